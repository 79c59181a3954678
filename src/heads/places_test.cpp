#include "heads/places.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"
#include "heads/gaussian_field.h"
#include "heads/memory_bank.h"

namespace sightline::heads {
namespace {

// One picture whose places are these descriptions, P×D.
Tensor places_of(const std::vector<std::vector<float>>& descriptions) {
  const auto count = static_cast<std::int64_t>(descriptions.size()), dimensions = static_cast<std::int64_t>(descriptions[0].size());
  Tensor places(Dtype::f32, {1, dimensions, 1, count});
  for (std::int64_t p = 0; p < count; ++p) {
    for (std::int64_t d = 0; d < dimensions; ++d)
      places.values<float>()[static_cast<std::size_t>(d * count + p)] =
          descriptions[static_cast<std::size_t>(p)][static_cast<std::size_t>(d)];
  }
  return places;
}

Tensor drawn(std::int64_t pictures, std::int64_t dimensions, std::int64_t side, std::uint64_t seed) {
  Tensor places(Dtype::f32, {pictures, dimensions, side, side});
  Random random(seed);
  for (float& value : places.values<float>()) value = static_cast<float>(random.normal());
  return places;
}

TEST(Places, DescriptionsAreTheChannelsOfAPlace) {
  const Tensor rows = descriptions_of(Tensor::of<float>({2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_TRUE(rows.same_as(Tensor::of<float>({4, 2}, {1, 3, 2, 4, 5, 7, 6, 8})));
}

TEST(MemoryBank, CoversFromTheFarthestOn) {
  // Three clusters on a line: whichever place is first, three members are one of each, and what is left is a cluster's width.
  const Tensor places = places_of({{0, 0}, {0.1F, 0}, {10, 0}, {10.1F, 0}, {30, 0}, {30.1F, 0}});
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto bank = fit_memory_bank(places, {.least = 3, .most = 3, .seed = seed});
    ASSERT_TRUE(bank.ok());
    std::set<std::int64_t> clusters;
    for (std::int64_t m = 0; m < 3; ++m)
      clusters.insert(std::lround((bank->members.values<float>()[static_cast<std::size_t>(2 * m)] + bank->mean.values<float>()[0]) / 10));
    EXPECT_EQ(clusters, (std::set<std::int64_t>{0, 1, 3}));
    EXPECT_NEAR(bank->coverage, 0.1, 1e-5);
  }
}

TEST(MemoryBank, CoverageIsTheLargestDistanceOfAGoodPlace) {
  const Tensor places = drawn(4, 6, 5, 3);
  const auto bank = fit_memory_bank(places, {.share = 0.2, .least = 1});
  ASSERT_TRUE(bank.ok());
  EXPECT_EQ(bank->members.dim(0), 20);
  const Tensor distances = distances_to(*bank, places);
  const auto values = distances.values<float>();
  EXPECT_NEAR(*std::max_element(values.begin(), values.end()), bank->coverage, 1e-4);
  EXPECT_EQ(std::count_if(values.begin(), values.end(), [](float d) { return d < 1e-3F; }), 20);  // the members themselves
}

TEST(MemoryBank, TheSameSeedGivesTheSameBankFromSomeOfThePlaces) {
  const Tensor places = drawn(6, 4, 8, 5);
  const MemoryBankOptions options{.least = 10, .most = 10, .candidates = 100, .seed = 9};
  const auto one = fit_memory_bank(places, options), other = fit_memory_bank(places, options);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_TRUE(one->members.same_as(other->members));
}

TEST(MemoryBank, RefusesWhatCannotBeFitted) {
  Tensor broken = drawn(1, 2, 2, 1);
  broken.values<float>()[3] = NAN;
  EXPECT_EQ(fit_memory_bank(broken).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fit_memory_bank(Tensor(Dtype::f32, {0, 2, 2, 2})).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fit_memory_bank(drawn(1, 2, 2, 1), {.share = 0}).error().kind, ErrorKind::usage);
}

TEST(GaussianField, DistancesOfGoodPlacesHaveTheMeanSquareOfTheirDimensions) {
  // Correlated and of unequal size; whitened they are not: E|W(x - m)|² = D on the data themselves, but for the shrinkage.
  Tensor places = drawn(60, 4, 6, 2);
  auto values = places.values<float>();
  for (std::size_t n = 0; n < 60; ++n) {
    for (std::size_t p = 0; p < 36; ++p) {
      float* at = values.data() + n * 4 * 36 + p;
      at[36] = 0.1F * at[36] + at[0];
      at[72] = 5 * at[72] + 100;
    }
  }
  const auto field = fit_gaussian_field(places, Spread::pooled);
  ASSERT_TRUE(field.ok()) << field.error().message;
  EXPECT_LT(field->shrinkage, 0.01);
  EXPECT_NEAR(field->mean.values<float>()[2], 100, 3);
  double sum = 0;
  const Tensor distances = distances_to(*field, places);
  for (const float d : distances.values<float>()) sum += static_cast<double>(d) * static_cast<double>(d);
  EXPECT_NEAR(sum / static_cast<double>(distances.count()), 4, 0.6);
}

TEST(GaussianField, FewPicturesAreShrunkAndEachPlaceHasItsOwnMean) {
  Tensor places = drawn(5, 8, 2, 4);  // fewer than dimensions: the covariance itself has no inverse
  for (std::int64_t n = 0; n < 5; ++n) {
    for (std::int64_t d = 0; d < 8; ++d) places.values<float>()[static_cast<std::size_t>((n * 8 + d) * 4)] += 50;  // place 0
  }
  const auto field = fit_gaussian_field(places, Spread::per_place);
  ASSERT_TRUE(field.ok()) << field.error().message;
  EXPECT_GT(field->shrinkage, 0.2);
  EXPECT_NEAR(field->mean.values<float>()[0], 50, 2);
  EXPECT_NEAR(field->mean.values<float>()[8], 0, 2);
  const Tensor distances = distances_to(*field, places);
  for (const float d : distances.values<float>()) EXPECT_LT(d, 6);
  Tensor moved = drawn(1, 8, 2, 9);  // as usual elsewhere, but not at place 0
  EXPECT_GT(distances_to(*field, moved).values<float>()[0], 50);
  EXPECT_EQ(fit_gaussian_field(drawn(1, 8, 2, 9), Spread::pooled).error().kind, ErrorKind::invalid_data);
}

TEST(Alarm, IsTheDistanceThatFurtherGoodPicturesExceedSeldom) {
  std::vector<double> distances;
  for (int i = 19; i >= 1; --i) distances.push_back(i);
  const auto tenth = alarm_of(distances, 0.1);  // k = 0.9 · 20 = 18
  ASSERT_TRUE(tenth.ok());
  EXPECT_EQ(tenth->threshold, 18);
  EXPECT_NEAR(tenth->false_alarm_rate, 0.1, 1e-12);
  EXPECT_EQ(tenth->count, 19);
  const auto strict = alarm_of(distances, 0.001);  // 19 pictures promise no less than 1 in 20
  EXPECT_EQ(strict->threshold, 19);
  EXPECT_NEAR(strict->false_alarm_rate, 0.05, 1e-12);
  EXPECT_EQ(alarm_of({}, 0.1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(alarm_of({1, NAN}, 0.1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(alarm_of({1}, 1).error().kind, ErrorKind::usage);
}

TEST(Alarm, KeepsItsPromiseOnAverage) {
  // 30 good pictures, a rate of 0.1: over many draws a further one exceeds the threshold in at most that share, and in not much less.
  Random random(3);
  int exceeded = 0;
  constexpr int draws = 4000;
  for (int i = 0; i < draws; ++i) {
    std::vector<double> good(30);
    for (double& value : good) value = std::abs(random.normal());
    exceeded += std::abs(random.normal()) > alarm_of(good, 0.1)->threshold ? 1 : 0;
  }
  EXPECT_LT(exceeded, 0.115 * draws);
  EXPECT_GT(exceeded, 0.07 * draws);
}

}  // namespace
}  // namespace sightline::heads
