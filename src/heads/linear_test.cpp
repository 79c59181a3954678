#include "heads/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/interrupt.h"
#include "base/random.h"
#include "heads/clouds_for_test.h"

namespace sightline::heads {
namespace {

TEST(Ridge, OneFeatureHasTheAnalyticSolution) {
  // x = -1, 0, 1, 4 with mean 1, centred sum of squares 14; target of class 1 is 0, 0, 1, 1.
  const Tensor features = Tensor::of<float>({4, 1}, {-1, 0, 1, 4});
  const std::vector<std::int32_t> labels{0, 0, 1, 1};
  const auto plain = fit_ridge(features, labels, 2, 0);
  ASSERT_TRUE(plain.ok());
  // cross = (0)(-0.5) + ... = sum (x - 1)(y - 0.5) = (-2)(-0.5) + (-1)(-0.5) + 0 + 3 * 0.5 = 3
  EXPECT_NEAR(plain->weight.values<float>()[1], 3.0 / 14, 1e-5);
  EXPECT_NEAR(plain->bias.values<float>()[1], 0.5 - 3.0 / 14, 1e-5);
  EXPECT_NEAR(plain->weight.values<float>()[0], -3.0 / 14, 1e-5);
  // lambda 0.5 of the mean eigenvalue (the sum of squares itself): 3 / (14 · 1.5).
  const auto ridge = fit_ridge(features, labels, 2, 0.5);
  ASSERT_TRUE(ridge.ok());
  EXPECT_NEAR(ridge->weight.values<float>()[1], 3.0 / 21, 1e-6);
  EXPECT_NEAR(ridge->bias.values<float>()[1], 0.5 - 3.0 / 21, 1e-6);
}

TEST(Ridge, SolvesItsNormalEquations) {
  const Clouds clouds = make_clouds(500, 7, 3, 1.0, 3);
  const double lambda = 0.1;
  const auto head = fit_ridge(clouds.features, clouds.labels, 3, lambda);
  ASSERT_TRUE(head.ok());
  const Tensor scores = scores_of(*head, clouds.features);
  const auto x = clouds.features.values<float>();
  std::array<double, 7> mean{};
  for (std::size_t i = 0; i < 500; ++i)
    for (std::size_t j = 0; j < 7; ++j) mean[j] += x[i * 7 + j] / 500.0;
  double trace = 0;
  for (std::size_t i = 0; i < 500; ++i)
    for (std::size_t j = 0; j < 7; ++j) trace += (x[i * 7 + j] - mean[j]) * (x[i * 7 + j] - mean[j]);
  for (std::size_t k = 0; k < 3; ++k) {
    double residual_sum = 0;
    std::array<double, 7> gradient{};
    for (std::size_t i = 0; i < 500; ++i) {
      const double residual = scores.values<float>()[i * 3 + k] - (clouds.labels[i] == static_cast<int>(k) ? 1 : 0);
      residual_sum += residual;
      for (std::size_t j = 0; j < 7; ++j) gradient[j] += residual * (x[i * 7 + j] - mean[j]);
    }
    EXPECT_NEAR(residual_sum, 0, 1e-3);
    for (std::size_t j = 0; j < 7; ++j) EXPECT_NEAR(gradient[j] + lambda * trace / 7 * head->weight.values<float>()[k * 7 + j], 0, 2e-3);
  }
}

TEST(Ridge, BearsConstantFeaturesOffsetsAndMissingClasses) {
  Clouds clouds = make_clouds(300, 6, 3, 0.3, 5);
  auto values = clouds.features.values<float>();
  for (std::size_t i = 0; i < 300; ++i) {
    values[i * 6 + 2] = 7;              // constant
    values[i * 6 + 3] += 10000;         // a large offset
    values[i * 6 + 5] = values[i * 6];  // a copy
  }
  const auto head = fit_ridge(clouds.features, clouds.labels, 5, 1e-3);  // classes 3 and 4 have no sample
  ASSERT_TRUE(head.ok());
  EXPECT_GT(accuracy(scores_of(*head, clouds.features), clouds.labels), 0.97);
  const Tensor flat = Tensor::filled({10, 4}, 3.0F);
  const auto nothing = fit_ridge(flat, std::vector<std::int32_t>{0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, 2, 0);
  ASSERT_TRUE(nothing.ok());
  EXPECT_NEAR(scores_of(*nothing, flat).values<float>()[0], 0.3, 1e-6);
}

TEST(Logistic, GradientIsZeroAtTheOptimum) {
  const Clouds clouds = make_clouds(400, 5, 3, 1.5, 9);
  const double penalty = 0.01;
  const auto head = fit_logistic(clouds.features, clouds.labels, 3, penalty, 500);
  ASSERT_TRUE(head.ok());
  // On standardised features, as the objective is defined.
  const auto x = clouds.features.values<float>();
  std::array<double, 5> mean{}, deviation{};
  for (std::size_t i = 0; i < 400; ++i)
    for (std::size_t j = 0; j < 5; ++j) mean[j] += x[i * 5 + j] / 400.0;
  for (std::size_t i = 0; i < 400; ++i)
    for (std::size_t j = 0; j < 5; ++j) deviation[j] += (x[i * 5 + j] - mean[j]) * (x[i * 5 + j] - mean[j]) / 400.0;
  for (double& d : deviation) d = std::sqrt(d);
  const Tensor scores = scores_of(*head, clouds.features);
  for (std::size_t k = 0; k < 3; ++k) {
    double at_bias = 0;
    std::array<double, 5> gradient{};
    for (std::size_t i = 0; i < 400; ++i) {
      const float* s = scores.values<float>().data() + i * 3;
      const double sum = std::exp(s[0]) + std::exp(s[1]) + std::exp(s[2]);
      const double residual = std::exp(s[k]) / sum - (clouds.labels[i] == static_cast<int>(k) ? 1 : 0);
      at_bias += residual / 400;
      for (std::size_t j = 0; j < 5; ++j) gradient[j] += residual * (x[i * 5 + j] - mean[j]) / deviation[j] / 400;
    }
    EXPECT_NEAR(at_bias, 0, 1e-4);
    for (std::size_t j = 0; j < 5; ++j)
      EXPECT_NEAR(gradient[j] + penalty * head->weight.values<float>()[k * 5 + j] * deviation[j], 0, 1e-4);
  }
}

TEST(Logistic, SeparatesWhatIsSeparableAndGivesChancesForTheRest) {
  const Clouds clouds = make_clouds(300, 10, 4, 0.1, 11);
  const auto head = fit_logistic(clouds.features, clouds.labels, 4, 1e-4);
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(accuracy(scores_of(*head, clouds.features), clouds.labels), 1.0);
  // No information: the log odds of the class shares.
  const Tensor flat = Tensor::filled({8, 2}, 1.0F);
  const auto prior = fit_logistic(flat, std::vector<std::int32_t>{0, 0, 1, 1, 1, 1, 1, 1}, 2, 0.1);
  ASSERT_TRUE(prior.ok());
  EXPECT_NEAR(prior->bias.values<float>()[1] - prior->bias.values<float>()[0], std::log(3.0), 1e-3);
}

TEST(Heads, RefuseWhatTheyCannotFit) {
  const Tensor features = Tensor::filled({4, 2}, 1.0F);
  const std::vector<std::int32_t> labels{0, 1, 0, 1};
  EXPECT_EQ(fit_ridge(features, {}, 2, 0.1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fit_ridge(features, std::vector<std::int32_t>{0, 1, 2, 0}, 2, 0.1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fit_ridge(features, std::vector<std::int32_t>{0, -1, 0, 0}, 2, 0.1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fit_ridge(features, labels, 0, 0.1).error().kind, ErrorKind::usage);
  EXPECT_EQ(fit_ridge(features, labels, 2, -1).error().kind, ErrorKind::usage);
  EXPECT_EQ(fit_logistic(features, labels, 2, std::nan("")).error().kind, ErrorKind::usage);
  EXPECT_EQ(fit_logistic(Tensor::zeros(Dtype::u8, {4, 2}), labels, 2, 0.1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fit_ridge(Tensor(Dtype::f32, {0, 2}), {}, 2, 0.1).error().kind, ErrorKind::invalid_data);
  Tensor broken = features.copy();
  broken.values<float>()[5] = std::numeric_limits<float>::infinity();
  const auto status = fit_ridge(broken, labels, 2, 0.1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("row 2"), std::string::npos);
  EXPECT_EQ(fit_ridge(Tensor::zeros(Dtype::f32, {1, 9000}), std::vector<std::int32_t>{0}, 2, 0.1).error().kind, ErrorKind::unsupported);
}

TEST(Heads, StopWhenInterrupted) {
  const Clouds clouds = make_clouds(100, 5, 2, 1, 1);
  request_interrupt();
  const auto ridge = fit_ridge(clouds.features, clouds.labels, 2, 0.1);
  const auto logistic = fit_logistic(clouds.features, clouds.labels, 2, 0.1);
  clear_interrupt();
  ASSERT_FALSE(ridge.ok());
  EXPECT_EQ(ridge.error().kind, ErrorKind::interrupted);
  ASSERT_FALSE(logistic.ok());
  EXPECT_EQ(logistic.error().kind, ErrorKind::interrupted);
}

TEST(OutOfFold, GivesCalibratedProbabilitiesOfSamplesItHasNotSeen) {
  const Clouds clouds = make_clouds(3000, 20, 4, 1.5, 21);
  const auto result = out_of_fold_probabilities(clouds.features, clouds.labels, {}, 4, 5, 1);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->shape(), (Shape{3000, 4}));
  double confidence = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    const auto row = result->values<float>().subspan(i * 4, 4);
    EXPECT_NEAR(row[0] + row[1] + row[2] + row[3], 1, 1e-5);
    confidence += *std::max_element(row.begin(), row.end()) / 3000.0;
  }
  const double right = accuracy(*result, clouds.labels);
  EXPECT_GT(right, 0.8);
  EXPECT_NEAR(confidence, right, 0.04);
  // The same for the same seed.
  EXPECT_TRUE(result->same_as(*out_of_fold_probabilities(clouds.features, clouds.labels, {}, 4, 5, 1)));
}

TEST(OutOfFold, HeadsDoNotSeeTheirSamplesNorTheirGroups) {
  // Labels by chance, more features than a fold can tell apart from noise: whoever has seen the labels answers well, nobody else can.
  Clouds clouds = make_clouds(400, 300, 2, 1, 31);
  Random random(2);
  const auto values = clouds.features.values<float>();
  for (std::size_t i = 0; i < 400; i += 4) {  // groups of four copies
    for (std::size_t copy = 0; copy < 4; ++copy) {
      clouds.labels[i + copy] = i / 4 % 2 == 0 ? 0 : 1;
      for (std::size_t j = 0; j < 300; ++j)
        values[(i + copy) * 300 + j] = copy == 0 ? static_cast<float>(random.normal()) : values[i * 300 + j];
    }
  }
  std::vector<std::int64_t> groups(400);
  for (std::size_t i = 0; i < 400; ++i) groups[i] = static_cast<std::int64_t>(i / 4);
  const auto blind = out_of_fold_probabilities(clouds.features, clouds.labels, groups, 2, 4, 1);
  ASSERT_TRUE(blind.ok());
  EXPECT_LT(accuracy(*blind, clouds.labels), 0.65);
  const auto leaking = out_of_fold_probabilities(clouds.features, clouds.labels, {}, 2, 4, 1);
  ASSERT_TRUE(leaking.ok());
  EXPECT_GT(accuracy(*leaking, clouds.labels), 0.9);
}

TEST(OutOfFold, BearsSmallSetsAndRefusesImpossibleOnes) {
  const Clouds few = make_clouds(6, 40, 3, 0.1, 41);
  EXPECT_TRUE(out_of_fold_probabilities(few.features, few.labels, {}, 3, 10, 1).ok());
  const std::vector<std::int64_t> one_group(6, 7);
  const auto status = out_of_fold_probabilities(few.features, few.labels, one_group, 3, 5, 1);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(out_of_fold_probabilities(few.features, few.labels, {}, 3, 1, 1).error().kind, ErrorKind::usage);
  const std::vector<std::int64_t> short_groups(2, 0);
  EXPECT_EQ(out_of_fold_probabilities(few.features, few.labels, short_groups, 3, 2, 1).error().kind, ErrorKind::invalid_data);
}

}  // namespace
}  // namespace sightline::heads
