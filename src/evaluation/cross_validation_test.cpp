#include "evaluation/cross_validation.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;

// One-hot answers, right where `right` says so.
Tensor answers_of(const std::vector<std::int32_t>& labels, const std::vector<bool>& right, int classes) {
  Tensor answers = Tensor::zeros(Dtype::f32, {static_cast<std::int64_t>(labels.size()), classes});
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const int answer = right[i] ? labels[i] : (labels[i] + 1) % classes;
    answers.values<float>()[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(answer)] = 1;
  }
  return answers;
}

CrossValidated estimate(const std::vector<std::int32_t>& labels, const std::vector<bool>& right, int classes,
                        const std::vector<std::int64_t>& groups = {}) {
  const Tensor answers = answers_of(labels, right, classes);
  auto result = cross_validated(std::span(&answers, 1), labels, groups);
  EXPECT_TRUE(result.ok());
  return *result;
}

TEST(ClopperPearson, HasThePublishedLimits) {
  // Tables of binomial limits: 0 of 10, 8 of 10, 10 of 10, 15 of 30.
  EXPECT_NEAR(clopper_pearson(0, 10).low, 0, 1e-12);
  EXPECT_NEAR(clopper_pearson(0, 10).high, 0.30850, 1e-5);
  EXPECT_NEAR(clopper_pearson(8, 10).low, 0.44390, 1e-5);
  EXPECT_NEAR(clopper_pearson(8, 10).high, 0.97479, 1e-5);
  EXPECT_NEAR(clopper_pearson(10, 10).low, std::pow(0.025, 0.1), 1e-10);
  EXPECT_NEAR(clopper_pearson(15, 30).low, 0.31297, 1e-5);
  EXPECT_NEAR(clopper_pearson(15, 30).high, 0.68703, 1e-5);
  EXPECT_EQ(clopper_pearson(0, 0).high, 1);
  // Beta(2, 1) has the distribution function x².
  EXPECT_NEAR(beta_quantile(0.49, 2, 1), 0.7, 1e-12);
  EXPECT_NEAR(beta_quantile(0.5, 5000, 5000), 0.5, 1e-9);
}

TEST(CrossValidated, AccuracyIsAShareWithClopperAndPearsonsLimits) {
  std::vector<std::int32_t> labels(50, 0);
  for (std::size_t i = 0; i < 25; ++i) labels[i] = 1;
  std::vector<bool> right(50, true);
  for (std::size_t i = 20; i < 30; ++i) right[i] = false;
  const CrossValidated result = estimate(labels, right, 2);
  EXPECT_DOUBLE_EQ(result.accuracy.value, 0.8);
  EXPECT_NEAR(result.accuracy.effective, 50, 1.5);
  EXPECT_NEAR(result.accuracy.interval.low, clopper_pearson(40, 50).low, 0.005);
  EXPECT_NEAR(result.accuracy.interval.high, clopper_pearson(40, 50).high, 0.005);
  EXPECT_DOUBLE_EQ(result.accuracy.chance, 0.5);
  EXPECT_TRUE(result.accuracy.excludes_chance);
  EXPECT_THAT(result.sentence, HasSubstr("better than chance (0.500)"));
  EXPECT_DOUBLE_EQ(result.recall[0].value, 0.8);
}

TEST(CrossValidated, OneRightAnswerOfARareClassProvesLittle) {
  std::vector<std::int32_t> labels(1001, 0);
  labels[7] = 1;
  const CrossValidated result = estimate(labels, std::vector<bool>(1001, true), 2);
  EXPECT_EQ(result.balanced_accuracy.value, 1);
  EXPECT_LT(result.balanced_accuracy.interval.low, 0.5);
  EXPECT_FALSE(result.balanced_accuracy.excludes_chance);
  EXPECT_THAT(result.sentence, HasSubstr("does not exclude chance"));
  EXPECT_GT(result.accuracy.interval.low, 0.99);
  EXPECT_LT(result.recall[1].interval.low, 0.03);
  // Five a class, all right, in two classes: ten of ten.
  std::vector<std::int32_t> few{0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
  const CrossValidated small = estimate(few, std::vector<bool>(10, true), 3);
  EXPECT_NEAR(small.balanced_accuracy.interval.low, clopper_pearson(10, 10).low, 0.02);
  EXPECT_TRUE(small.balanced_accuracy.excludes_chance);
  EXPECT_EQ(small.recall[2].interval.high, 1);
  EXPECT_EQ(small.recall[2].interval.low, 0);
}

TEST(CrossValidated, SamplesOfAGroupThatErrTogetherCountAsOne) {
  std::vector<std::int32_t> labels(200);
  std::vector<bool> right(200);
  std::vector<std::int64_t> groups(200);
  Random random(5);
  for (std::size_t g = 0; g < 20; ++g) {
    const bool hit = random.uniform() < 0.7;
    for (std::size_t i = g * 10; i < g * 10 + 10; ++i) {
      labels[i] = static_cast<std::int32_t>(g % 2);
      right[i] = hit;
      groups[i] = static_cast<std::int64_t>(g);
    }
  }
  EXPECT_NEAR(estimate(labels, right, 2, groups).accuracy.effective, 20, 2);
  EXPECT_NEAR(estimate(labels, right, 2).accuracy.effective, 200, 2);
  EXPECT_NEAR(estimate(labels, std::vector<bool>(200, true), 2, groups).balanced_accuracy.effective, 20, 2);
}

TEST(CrossValidated, IntervalsCoverTheTruthAsOftenAsTheySay) {
  // Classes of 3, 6 and 25 samples with recalls of their own; the share of intervals that hold the true balanced accuracy.
  struct Truth {
    double recall[3];
  };
  for (const Truth& truth : {Truth{{0.9, 0.9, 0.9}}, Truth{{0.5, 0.7, 0.95}}, Truth{{0.99, 0.99, 0.99}}, Truth{{0.35, 0.3, 0.4}}}) {
    constexpr int trials = 1500;
    int held = 0, held_accuracy = 0;
    const double wanted = (truth.recall[0] + truth.recall[1] + truth.recall[2]) / 3;
    const double wanted_accuracy = (3 * truth.recall[0] + 6 * truth.recall[1] + 25 * truth.recall[2]) / 34;
    for (int trial = 0; trial < trials; ++trial) {
      Random random(77, static_cast<std::uint64_t>(trial));
      std::vector<std::int32_t> labels;
      std::vector<bool> right;
      for (std::int32_t c = 0; c < 3; ++c) {
        for (int i = 0; i < (c == 0 ? 3 : c == 1 ? 6 : 25); ++i) {
          labels.push_back(c);
          right.push_back(random.uniform() < truth.recall[c]);
        }
      }
      const CrossValidated result = estimate(labels, right, 3);
      held += result.balanced_accuracy.interval.low <= wanted && wanted <= result.balanced_accuracy.interval.high ? 1 : 0;
      held_accuracy += result.accuracy.interval.low <= wanted_accuracy && wanted_accuracy <= result.accuracy.interval.high ? 1 : 0;
    }
    EXPECT_GT(held, 0.94 * trials) << wanted;
    EXPECT_GT(held_accuracy, 0.94 * trials) << wanted;
  }
}

TEST(CrossValidated, RepeatsAreAveragedAndMistakesOfCallsRefused) {
  const std::vector<std::int32_t> labels{0, 1, 1, 0};
  const std::vector<Tensor> repeats{answers_of(labels, {true, true, true, true}, 2), answers_of(labels, {false, true, true, true}, 2)};
  const auto result = cross_validated(repeats, labels);
  ASSERT_TRUE(result.ok());
  EXPECT_DOUBLE_EQ(result->accuracy.value, 0.875);
  EXPECT_EQ(result->repeats, 2);
  EXPECT_EQ(cross_validated({}, labels).error().kind, ErrorKind::usage);
  EXPECT_EQ(cross_validated(repeats, std::vector<std::int32_t>{0, 1}).error().kind, ErrorKind::usage);
  EXPECT_EQ(cross_validated(repeats, std::vector<std::int32_t>{0, 1, 2, 0}).error().kind, ErrorKind::usage);
  EXPECT_EQ(cross_validated(repeats, labels, std::vector<std::int64_t>{1}).error().kind, ErrorKind::usage);
  EXPECT_EQ(cross_validated(repeats, labels, {}, 1.5).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::evaluation
