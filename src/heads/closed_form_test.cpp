#include "heads/closed_form.h"

#include <gtest/gtest.h>

#include <numeric>

#include "heads/clouds_for_test.h"
#include "heads/logistic.h"

namespace sightline::heads {
namespace {

struct Case {
  std::int64_t samples, dimensions;
  bool emphasised;
};

// Rows, labels and weights of the samples that a naive solution takes.
struct Problem {
  std::vector<double> rows;  // N×D
  std::vector<std::int32_t> labels;
  std::vector<double> emphasis;
  std::size_t n = 0, d = 0;
  int classes = 3;

  Spectrum spectrum() const {
    auto made = spectrum_of(rows, static_cast<std::int64_t>(n), static_cast<std::int64_t>(d), emphasis);
    EXPECT_TRUE(made.ok());
    return *std::move(made);
  }
};

Problem problem_of(const Case& which) {
  const Clouds clouds = make_clouds(which.samples, which.dimensions, 3, 1.2, 17);
  Problem problem{.labels = clouds.labels, .n = static_cast<std::size_t>(which.samples), .d = static_cast<std::size_t>(which.dimensions)};
  const auto values = clouds.features.values<float>();
  problem.rows.assign(values.begin(), values.end());
  for (double& value : problem.rows) value += 3;
  for (std::size_t i = 0; i < problem.n; ++i) problem.emphasis.push_back(which.emphasised ? 0.25 + static_cast<double>(i % 5) : 1.0);
  return problem;
}

// Minimises Σ emphasis (y - b - w x)² + alpha |w|² over the samples in use by elimination: D weights, then the intercept.
std::vector<double> naive_ridge(const Problem& problem, const std::vector<bool>& used, double alpha, int label) {
  const std::size_t size = problem.d + 1;
  std::vector<double> normal(size * size), right(size);
  for (std::size_t i = 0; i < problem.n; ++i) {
    if (!used[i]) continue;
    const auto x = [&](std::size_t j) { return j < problem.d ? problem.rows[i * problem.d + j] : 1.0; };
    for (std::size_t a = 0; a < size; ++a) {
      for (std::size_t b = 0; b < size; ++b) normal[a * size + b] += problem.emphasis[i] * x(a) * x(b);
      right[a] += problem.emphasis[i] * x(a) * (problem.labels[i] == label ? 1 : 0);
    }
  }
  for (std::size_t j = 0; j < problem.d; ++j) normal[j * size + j] += alpha;
  return eliminate(normal, right);
}

double naive_score(const Problem& problem, const std::vector<double>& solution, std::size_t row) {
  double score = solution.back();
  for (std::size_t j = 0; j < problem.d; ++j) score += solution[j] * problem.rows[row * problem.d + j];
  return score;
}

double score(const Spectrum& spectrum, const Coefficients& fitted, std::size_t label, std::size_t row) {
  const auto r = static_cast<std::size_t>(spectrum.rank);
  double sum = fitted.bias[label];
  for (std::size_t j = 0; j < r; ++j) sum += fitted.weight[label * r + j] * spectrum.coordinates[row * r + j];
  return sum;
}

class ClosedForm : public testing::TestWithParam<Case> {};

TEST_P(ClosedForm, RidgeIsThatOfTheNormalEquations) {
  const Problem problem = problem_of(GetParam());
  const Spectrum spectrum = problem.spectrum();
  const double alpha = 0.1 * spectrum.mean_value();
  const Coefficients fitted = spectrum.to_rows(RidgePath(spectrum, problem.labels, 3).fit(alpha));
  for (int label = 0; label < 3; ++label) {
    const std::vector<double> wanted = naive_ridge(problem, std::vector<bool>(problem.n, true), alpha, label);
    for (std::size_t j = 0; j < problem.d; ++j)
      EXPECT_NEAR(fitted.weight[static_cast<std::size_t>(label) * problem.d + j], wanted[j], 1e-9);
    EXPECT_NEAR(fitted.bias[static_cast<std::size_t>(label)], wanted.back(), 1e-9);
  }
}

TEST_P(ClosedForm, LeavingOneOutIsTheSameAsReallyLeavingItOut) {
  const Problem problem = problem_of(GetParam());
  const Spectrum spectrum = problem.spectrum();
  const double alpha = 0.03 * spectrum.mean_value();
  const std::vector<double> residuals = RidgePath(spectrum, problem.labels, 3).leave_one_out_residuals(alpha);
  for (const std::size_t left : {std::size_t{0}, problem.n / 2, problem.n - 1}) {
    std::vector<bool> used(problem.n, true);
    used[left] = false;
    for (int label = 0; label < 3; ++label) {
      const double target = problem.labels[left] == label ? 1 : 0;
      const double wanted = target - naive_score(problem, naive_ridge(problem, used, alpha, label), left);
      EXPECT_NEAR(residuals[left * 3 + static_cast<std::size_t>(label)], wanted, 1e-8);
    }
  }
}

TEST_P(ClosedForm, LeavingAFoldOutIsTheSameAsReallyLeavingItOut) {
  const Problem problem = problem_of(GetParam());
  const Spectrum spectrum = problem.spectrum();
  const RidgePath path(spectrum, problem.labels, 3);
  const double alpha = 0.1 * spectrum.mean_value();
  // A fold smaller than the number of axes, and one larger where there are few: both ways of solving.
  for (const std::size_t every : {std::size_t{7}, std::size_t{2}}) {
    std::vector<std::int64_t> fold;
    std::vector<bool> used(problem.n, true);
    for (std::size_t i = 0; i < problem.n; i += every) {
      fold.push_back(static_cast<std::int64_t>(i));
      used[i] = false;
    }
    const auto fitted = path.without(fold, std::vector<double>{alpha});
    ASSERT_TRUE(fitted.ok());
    for (int label = 0; label < 3; ++label) {
      const std::vector<double> wanted = naive_ridge(problem, used, alpha, label);
      for (std::size_t i = 0; i < problem.n; ++i)
        EXPECT_NEAR(score(spectrum, (*fitted)[0], static_cast<std::size_t>(label), i), naive_score(problem, wanted, i), 1e-8);
    }
  }
}

TEST_P(ClosedForm, TheDiscriminantIsThatOfItsCovariance) {
  Problem problem = problem_of(GetParam());
  std::ranges::fill(problem.emphasis, 1.0);
  const Spectrum spectrum = problem.spectrum();
  const RidgePath path(spectrum, problem.labels, 3);
  const double alpha = 0.1 * spectrum.mean_value();
  const std::vector<std::int64_t> fold{1, 4, 5};
  const auto ridge = path.without(fold, std::vector<double>{alpha});
  ASSERT_TRUE(ridge.ok());
  const auto fitted = discriminant(class_sums(spectrum, problem.labels, 3, fold), (*ridge)[0], false);
  ASSERT_TRUE(fitted.ok());

  // Means, pooled within-class scatter plus alpha, and the discriminant functions, as textbooks have them.
  const std::size_t d = problem.d;
  std::vector<double> mean(3 * d), count(3), covariance(d * d);
  const auto left_out = [&](std::size_t i) { return std::ranges::count(fold, static_cast<std::int64_t>(i)) > 0; };
  for (std::size_t i = 0; i < problem.n; ++i)
    if (!left_out(i)) count[static_cast<std::size_t>(problem.labels[i])] += 1;
  const double all = count[0] + count[1] + count[2];
  for (std::size_t i = 0; i < problem.n; ++i) {
    const auto label = static_cast<std::size_t>(problem.labels[i]);
    for (std::size_t j = 0; j < d && !left_out(i); ++j) mean[label * d + j] += problem.rows[i * d + j] / count[label];
  }
  for (std::size_t i = 0; i < problem.n; ++i) {
    if (left_out(i)) continue;
    const double* own = mean.data() + static_cast<std::size_t>(problem.labels[i]) * d;
    for (std::size_t a = 0; a < d; ++a)
      for (std::size_t b = 0; b < d; ++b)
        covariance[a * d + b] += (problem.rows[i * d + a] - own[a]) * (problem.rows[i * d + b] - own[b]) / (all - 3);
  }
  for (std::size_t a = 0; a < d; ++a) covariance[a * d + a] += alpha / (all - 3);
  std::vector<double> wanted(problem.n * 3);
  for (std::size_t c = 0; c < 3; ++c) {
    const std::vector<double> own(mean.begin() + static_cast<std::ptrdiff_t>(c * d),
                                  mean.begin() + static_cast<std::ptrdiff_t>((c + 1) * d));
    const std::vector<double> weight = eliminate(covariance, own);
    for (std::size_t i = 0; i < problem.n; ++i) {
      wanted[i * 3 + c] = std::log(count[c] / all);
      for (std::size_t j = 0; j < d; ++j) wanted[i * 3 + c] += weight[j] * (problem.rows[i * d + j] - own[j] / 2);
    }
  }
  // Scores differ from ours by a constant per sample.
  for (std::size_t i = 0; i < problem.n; ++i) {
    for (std::size_t c = 1; c < 3; ++c)
      EXPECT_NEAR(score(spectrum, *fitted, c, i) - score(spectrum, *fitted, 0, i), wanted[i * 3 + c] - wanted[i * 3], 1e-6);
  }
}

TEST_P(ClosedForm, LogisticEndsWhereTheGradientIsZero) {
  const Problem problem = problem_of(GetParam());
  std::vector<double> rows = problem.rows;  // the coordinates ignore the emphasis, the loss does not
  const auto spectrum = spectrum_of(rows, static_cast<std::int64_t>(problem.n), static_cast<std::int64_t>(problem.d));
  ASSERT_TRUE(spectrum.ok());
  const std::vector<std::int64_t> fold{0, 3};
  const std::vector<double> penalties{1.0, 0.1, 0.02};
  const auto path = LogisticPath(*spectrum, problem.labels, 3, problem.emphasis)
                        .without(fold, penalties, {.iterations = 500, .small_gradient = 1e-7, .small_step = 0});
  ASSERT_TRUE(path.ok());
  ASSERT_EQ(path->size(), 3U);
  const auto r = static_cast<std::size_t>(spectrum->rank);
  for (std::size_t p = 0; p < penalties.size(); ++p) {
    const Coefficients& fitted = (*path)[p];
    std::vector<double> gradient(3 * r), of_bias(3);
    double total = 0;
    for (std::size_t i = 0; i < problem.n; ++i)
      if (i != 0 && i != 3) total += problem.emphasis[i];
    for (std::size_t i = 0; i < problem.n; ++i) {
      if (i == 0 || i == 3) continue;
      double sum = 0;
      for (std::size_t c = 0; c < 3; ++c) sum += std::exp(score(*spectrum, fitted, c, i));
      for (std::size_t c = 0; c < 3; ++c) {
        const double share = std::exp(score(*spectrum, fitted, c, i)) / sum - (problem.labels[i] == static_cast<int>(c) ? 1 : 0);
        of_bias[c] += problem.emphasis[i] * share / total;
        for (std::size_t j = 0; j < r; ++j) gradient[c * r + j] += problem.emphasis[i] * share * spectrum->coordinates[i * r + j] / total;
      }
    }
    for (std::size_t i = 0; i < 3 * r; ++i) EXPECT_NEAR(gradient[i] + penalties[p] * fitted.weight[i], 0, 2e-5);
    for (const double g : of_bias) EXPECT_NEAR(g, 0, 2e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(MoreSamplesThanFeaturesAndLess, ClosedForm,
                         testing::Values(Case{60, 8, false}, Case{60, 8, true}, Case{24, 40, false}, Case{24, 40, true}),
                         [](const auto& which) {
                           return std::to_string(which.param.samples) + "x" + std::to_string(which.param.dimensions) +
                                  (which.param.emphasised ? "_emphasised" : "");
                         });

TEST(Spectrum, CoordinatesKeepProductsAndDropWhatDoesNotVary) {
  Problem problem = problem_of({20, 6, false});
  for (std::size_t i = 0; i < 20; ++i) {
    problem.rows[i * 6 + 2] = 5;                        // constant
    problem.rows[i * 6 + 4] = problem.rows[i * 6 + 1];  // a copy
  }
  const Spectrum spectrum = problem.spectrum();
  EXPECT_EQ(spectrum.rank, 4);
  for (std::size_t a = 0; a < 20; ++a) {
    for (std::size_t b = 0; b < 20; ++b) {
      double here = 0, there = 0;
      for (std::size_t j = 0; j < 4; ++j) here += spectrum.coordinates[a * 4 + j] * spectrum.coordinates[b * 4 + j];
      for (std::size_t j = 0; j < 6; ++j) there += spectrum.centred[a * 6 + j] * spectrum.centred[b * 6 + j];
      EXPECT_NEAR(here, there, 1e-10);
    }
  }
}

TEST(Spectrum, NothingThatVariesGivesTheShares) {
  const auto spectrum = spectrum_of(std::vector<double>(12, 2.0), 4, 3);
  ASSERT_TRUE(spectrum.ok());
  const std::vector<std::int32_t> labels{0, 0, 0, 1};
  const Coefficients fitted = spectrum->to_rows(RidgePath(*spectrum, labels, 2).fit(spectrum->mean_value()));
  EXPECT_NEAR(fitted.bias[0], 0.75, 1e-12);
  for (const double weight : fitted.weight) EXPECT_EQ(weight, 0);
}

TEST(NearestMean, FindsTheNearestByDistanceAndByAngle) {
  const Problem problem = problem_of({30, 5, false});
  const Spectrum spectrum = problem.spectrum();
  const ClassSums sums = class_sums(spectrum, problem.labels, 3);
  const Coefficients by_distance = nearest_mean(sums, false), by_angle = nearest_mean(sums, true);
  std::vector<double> mean(3 * 5), centre(5);
  for (std::size_t i = 0; i < 30; ++i) {
    const auto label = static_cast<std::size_t>(problem.labels[i]);
    for (std::size_t j = 0; j < 5; ++j) {
      mean[label * 5 + j] += problem.rows[i * 5 + j] / sums.class_count[label];
      centre[j] += problem.rows[i * 5 + j] / 30;
    }
  }
  for (std::size_t i = 0; i < 30; ++i) {
    std::size_t nearest = 0, steepest = 0, ours = 0, ours_by_angle = 0;
    double least = 1e300, most = -1e300;
    for (std::size_t c = 0; c < 3; ++c) {
      double distance = 0, product = 0, length = 0;
      for (std::size_t j = 0; j < 5; ++j) {
        const double x = problem.rows[i * 5 + j], m = mean[c * 5 + j];
        distance += (x - m) * (x - m);
        product += (x - centre[j]) * (m - centre[j]);
        length += (m - centre[j]) * (m - centre[j]);
      }
      if (distance < least) nearest = c, least = distance;
      if (product / std::sqrt(length) > most) steepest = c, most = product / std::sqrt(length);
      if (score(spectrum, by_distance, c, i) > score(spectrum, by_distance, ours, i)) ours = c;
      if (score(spectrum, by_angle, c, i) > score(spectrum, by_angle, ours_by_angle, i)) ours_by_angle = c;
    }
    EXPECT_EQ(ours, nearest);
    EXPECT_EQ(ours_by_angle, steepest);
  }
}

TEST(ClosedFormHeads, AClassWithoutSamplesIsNeverTheAnswer) {
  const Problem problem = problem_of({40, 6, false});
  const Spectrum spectrum = problem.spectrum();
  const ClassSums sums = class_sums(spectrum, problem.labels, 5);  // classes 3 and 4 have none
  const RidgePath path(spectrum, problem.labels, 5);
  const auto lda = discriminant(sums, path.fit(0.01 * spectrum.mean_value()), true);
  ASSERT_TRUE(lda.ok());
  for (const Coefficients& fitted : {*lda, nearest_mean(sums, false), nearest_mean(sums, true)}) {
    for (std::size_t i = 0; i < 40; ++i) {
      const double best = std::max({score(spectrum, fitted, 0, i), score(spectrum, fitted, 1, i), score(spectrum, fitted, 2, i)});
      EXPECT_GT(best, score(spectrum, fitted, 3, i));
      EXPECT_GT(best, score(spectrum, fitted, 4, i));
    }
  }
}

}  // namespace
}  // namespace sightline::heads
