#include "evaluation/conformal.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace sightline::evaluation {
namespace {

using testing::ElementsAre;

struct Drawn {
  Tensor probabilities;
  std::vector<std::int32_t> labels;
};
// Labels after softmax(scores), answers of a model that is three times too sure; class 2 is rare and hard.
Drawn draw(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  Drawn drawn{Tensor(Dtype::f32, {static_cast<std::int64_t>(count), 4}), {}};
  for (std::size_t i = 0; i < count; ++i) {
    double truth[4], answer[4], sum = 0, sum_of_answer = 0;
    for (std::size_t c = 0; c < 4; ++c) {
      const double score = 1.5 * random.normal() - (c == 2 ? 1 : 0);
      sum += truth[c] = std::exp(score);
      sum_of_answer += answer[c] = std::exp(3 * score);
    }
    double left = random.uniform() * sum;
    std::int32_t label = 0;
    while (label < 3 && left > truth[label]) left -= truth[label++];
    drawn.labels.push_back(label);
    for (std::size_t c = 0; c < 4; ++c) drawn.probabilities.values<float>()[i * 4 + c] = static_cast<float>(answer[c] / sum_of_answer);
  }
  return drawn;
}

double covered(const package::Conformal& conformal, const Drawn& drawn, int of_class = -1) {
  double held = 0, count = 0;
  for (std::size_t i = 0; i < drawn.labels.size(); ++i) {
    if (of_class >= 0 && drawn.labels[i] != of_class) continue;
    const std::vector<int> set = package::prediction_set(conformal, drawn.probabilities.values<float>().subspan(i * 4, 4));
    held += std::ranges::count(set, drawn.labels[i]) > 0 ? 1 : 0;
    count += 1;
  }
  return held / count;
}

TEST(Conformal, CoversAsOftenAsItSaysWhateverTheModel) {
  const Drawn test = draw(4000, 1000);
  for (const double coverage : {0.8, 0.9, 0.95}) {
    for (const std::size_t count : {std::size_t{25}, std::size_t{60}, std::size_t{400}}) {
      double mean = 0;
      constexpr int trials = 150;
      for (int trial = 0; trial < trials; ++trial) {
        const Drawn calibration = draw(count, static_cast<std::uint64_t>(trial));
        const auto conformal = calibrate_conformal(calibration.probabilities, calibration.labels, coverage);
        ASSERT_TRUE(conformal.ok());
        mean += covered(*conformal, test) / trials;
      }
      EXPECT_GT(mean, coverage - 0.012) << count;
      EXPECT_LT(mean, coverage + 1 / (static_cast<double>(count) + 1) + 0.02) << count;
    }
  }
}

TEST(Conformal, PerClassEveryClassIsCovered) {
  const Drawn calibration = draw(3000, 3), test = draw(20000, 4);
  const auto over_all = calibrate_conformal(calibration.probabilities, calibration.labels, 0.9);
  const auto per_class = calibrate_conformal(calibration.probabilities, calibration.labels, 0.9, true);
  ASSERT_TRUE(over_all.ok() && per_class.ok());
  EXPECT_LT(covered(*over_all, test, 2), 0.87) << "the rare class pays for the others";
  for (int c = 0; c < 4; ++c) EXPECT_NEAR(covered(*per_class, test, c), 0.9, 0.03) << c;
  EXPECT_GT(per_class->mean_size, over_all->mean_size - 0.1);
}

TEST(Conformal, FewSamplesLeaveNothingOut) {
  // Nine samples: 90% needs the smallest of all; eight are too few.
  const Drawn nine = draw(9, 5), eight = draw(8, 5);
  float smallest = 1;
  for (std::size_t i = 0; i < 9; ++i)
    smallest = std::min(smallest, nine.probabilities.values<float>()[i * 4 + static_cast<std::size_t>(nine.labels[i])]);
  EXPECT_EQ(calibrate_conformal(nine.probabilities, nine.labels, 0.9)->least[1], smallest);
  const auto all = calibrate_conformal(eight.probabilities, eight.labels, 0.9);
  EXPECT_EQ(all->mean_size, 4);
  const auto per_class = calibrate_conformal(nine.probabilities, std::vector<std::int32_t>(9, 1), 0.9, true);
  EXPECT_EQ(per_class->least[0], 0) << "a class without samples is in every set";
  EXPECT_GT(per_class->least[1], 0);
}

TEST(Conformal, SetsAreOrderedAndNeverEmpty) {
  const package::Conformal conformal{.least = {0.3, 0.3, 0.3}};
  const std::vector<float> spread{0.35F, 0.2F, 0.45F}, flat{0.25F, 0.26F, 0.24F};
  EXPECT_THAT(package::prediction_set(conformal, spread), ElementsAre(2, 0));
  EXPECT_THAT(package::prediction_set(conformal, flat), ElementsAre(1));
}

TEST(Conformal, RefusesWhatMakesNoSense) {
  const Drawn drawn = draw(10, 1);
  EXPECT_EQ(calibrate_conformal(drawn.probabilities, drawn.labels, 1).error().kind, ErrorKind::usage);
  EXPECT_EQ(calibrate_conformal(drawn.probabilities, std::vector<std::int32_t>{1}, 0.9).error().kind, ErrorKind::usage);
  EXPECT_EQ(calibrate_conformal(drawn.probabilities, std::vector<std::int32_t>(10, 4), 0.9).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::evaluation
