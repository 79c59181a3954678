#include "runtime/head_bank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace sightline::runtime {
namespace {

constexpr std::int64_t width = 48;

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Random random(seed);
  Tensor tensor(Dtype::f32, shape);
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(-1, 1));
  return tensor;
}

LinearHead head(std::int64_t classes, std::uint64_t seed, bool softmax) {
  return {"features", random_tensor({classes, width}, seed), random_tensor({classes}, seed + 1000), softmax};
}

// As the definition says, in double.
std::vector<double> expected(const LinearHead& head, std::span<const float> features) {
  std::vector<double> scores;
  for (std::int64_t k = 0; k < head.bias.dim(0); ++k) {
    double sum = static_cast<double>(head.bias.values<float>()[static_cast<std::size_t>(k)]);
    for (std::int64_t f = 0; f < width; ++f)
      sum += static_cast<double>(head.weight.values<float>()[static_cast<std::size_t>(k * width + f)]) *
             static_cast<double>(features[static_cast<std::size_t>(f)]);
    scores.push_back(sum);
  }
  if (!head.softmax) return scores;
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score);
  for (double& score : scores) score /= sum;
  return scores;
}

struct Held {
  HeadBank::HeadId id;
  LinearHead head;
};

void expect_right(const HeadBank& bank, const std::vector<Held>& asked, std::int64_t images, int threads) {
  const Tensor features = random_tensor({images, width}, 7);
  std::vector<HeadBank::Place> places;
  for (const Held& each : asked) places.push_back(bank.find(each.id));
  const std::vector<Tensor> answers = HeadBank::evaluate(features, places, threads);
  ASSERT_EQ(answers.size(), asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::int64_t classes = asked[i].head.bias.dim(0);
    ASSERT_EQ(answers[i].shape(), (Shape{images, classes}));
    for (std::int64_t n = 0; n < images; ++n) {
      const auto wanted = expected(asked[i].head, features.values<float>().subspan(static_cast<std::size_t>(n * width), width));
      for (std::size_t k = 0; k < wanted.size(); ++k)
        ASSERT_NEAR(static_cast<double>(answers[i].values<float>()[static_cast<std::size_t>(n * classes) + k]), wanted[k], 1e-5);
    }
  }
}

TEST(HeadBank, AnyHeadsOfAnySizeInAnyOrder) {
  HeadBank bank(width);
  std::vector<Held> heads;
  for (std::uint64_t i = 0; i < 900; ++i) {
    const LinearHead one = head(static_cast<std::int64_t>(1 + i % 13), i, i % 3 != 0);
    heads.push_back({bank.add(one), one});
  }
  for (const std::int64_t images : {1, 5}) {
    for (const int threads : {1, 2}) {
      expect_right(bank, heads, images, threads);
      expect_right(bank, {heads[811], heads[3], heads[4], heads[5], heads[899], heads[0], heads[3]}, images, threads);
      expect_right(bank, {heads[17]}, images, threads);
      expect_right(bank, {}, images, threads);
    }
  }
}

TEST(HeadBank, GivesMemoryBackAndKeepsTheRest) {
  HeadBank bank(width);
  std::vector<Held> heads;
  Random random(3);
  std::size_t most = 0;
  for (std::uint64_t i = 0; i < 6000; ++i) {
    // More come than go at first, then the other way round.
    if (!heads.empty() && random.uniform(0, 1) < (i < 3000 ? 0.3 : 0.8)) {
      const std::size_t which = static_cast<std::size_t>(random.below(heads.size()));
      bank.remove(heads[which].id);
      heads.erase(heads.begin() + static_cast<std::ptrdiff_t>(which));
    } else {
      const LinearHead one = head(static_cast<std::int64_t>(5 + i % 40), i, true);
      heads.push_back({bank.add(one), one});
    }
    std::size_t weights = 0;
    for (const Held& each : heads) weights += each.head.weight.byte_count();
    most = std::max(most, bank.bytes());
    if (i % 500 == 0) {
      expect_right(bank, heads, 1, 1);
      // No more than twice what is there, and a block that is being filled.
      EXPECT_LE(bank.bytes(), 2 * weights + (3U << 20));
    }
  }
  while (!heads.empty()) {
    bank.remove(heads.back().id);
    heads.pop_back();
  }
  EXPECT_TRUE(bank.empty());
  EXPECT_EQ(bank.bytes(), 0U);
  EXPECT_GT(most, 2U << 20);
}

// What runs goes on with the weights that it was given.
TEST(HeadBank, PlacesOutliveTheirHeads) {
  HeadBank bank(width);
  const LinearHead first = head(10, 1, false);
  const auto id = bank.add(first);
  const HeadBank::Place place = bank.find(id);
  const Tensor features = random_tensor({1, width}, 7);
  const Tensor before = HeadBank::evaluate(features, {&place, 1}, 1)[0].copy();
  bank.remove(id);
  for (std::uint64_t i = 0; i < 50; ++i) bank.add(head(10, 100 + i, false));
  EXPECT_TRUE(HeadBank::evaluate(features, {&place, 1}, 1)[0].same_as(before));
}

}  // namespace
}  // namespace sightline::runtime
