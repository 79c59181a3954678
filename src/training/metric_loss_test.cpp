#include "training/metric_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "modules/metric_losses.h"

namespace sightline::training {
namespace {

constexpr double pi = 3.14159265358979323846;

struct Tolerance {
  double hand = 1e-5;   // f32 and numbers of six places
  double slow = 1e-9;   // f64 both, sums in another order
  double slope = 1e-5;  // central differences of f64
} constexpr tolerance;

using Rows = std::vector<std::vector<double>>;

torch::Tensor tensor_of(const Rows& rows) {
  torch::Tensor all = torch::zeros({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows[0].size())}, torch::kDouble);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < rows[i].size(); ++j) all[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(j)] = rows[i][j];
  return all;
}
torch::Tensor labels_of(const std::vector<std::int64_t>& labels) { return torch::tensor(labels, torch::kLong); }

// ---- on paper: two columns, along x and along y ----

const Rows axes{{1, 0}, {0, 1}};

TEST(MetricLoss, OnPaper) {
  const torch::Tensor columns = tensor_of(axes), first = labels_of({0});
  const double half = std::sqrt(0.5);
  // Scores 1 and 0: ln(1 + e⁻¹).
  EXPECT_NEAR(softmax_identity_loss(tensor_of({{1, 0}}), columns, first).item<double>(), 0.313262, tolerance.hand);
  // Cosines 1 and 0 whatever the length: 2·(1 - 0.35) = 1.3 against 0: ln(1 + e^-1.3).
  EXPECT_NEAR(cosface_loss(tensor_of({{7, 0}}), columns, first, {0.35, 2}).item<double>(), 0.241008, tolerance.hand);
  // 45° and half a radian more: 2·0.281473 against 2·0.707107.
  EXPECT_NEAR(arcface_loss(tensor_of({{1, 1}}), columns, first, {0.5, 2}).item<double>(), 1.206660, tolerance.hand);
  // Half a turn away: angle + m is beyond π, the cosine is -1 - 0.5·sin 0.5 = -1.239713, twice that against 0.
  EXPECT_NEAR(arcface_loss(tensor_of({{-1, 0}}), columns, first, {0.5, 2}).item<double>(), 2.559891, tolerance.hand);
  // Lengths 1 and 3: mean 2, deviation √2, q = ∓0.233180; 45° each.
  EXPECT_NEAR(adaface_loss(tensor_of({{half, half}, {3 * half, 3 * half}}), columns, labels_of({0, 0}), {0.4, 2}).item<double>(), 1.175667,
              tolerance.hand);
  // One pair of one identity, 5 apart: 12.5. Of two: 1 apart, ½·(2 - 1)²; √18 apart, beyond the margin: mean 0.25.
  const torch::Tensor three = tensor_of({{0, 0}, {3, 4}, {0, 1}}), who = labels_of({0, 0, 1});
  EXPECT_NEAR(contrastive_loss(three, who, 2).item<double>(), 12.75, tolerance.hand);
  // Distances: 5 of one identity; 1 and 4.243 of two: wrong either way, and taking none for one errs least: half of the smallest.
  EXPECT_NEAR(best_distance(three, who), 0.5, tolerance.hand);
  EXPECT_NEAR(best_distance(three, labels_of({0, 1, 0})), (1 + std::sqrt(18)) / 2, tolerance.hand);
  // a = 0°, p = 60°: d² = 1. n at 90° (d² = 2) and 30° (2 - √3): from a the one at 90° is the nearest beyond p; from p it is nearer than a
  // is, as the other one: the farthest of both, d² = 2 - √3. (1 - 2 + 0.2)⁺ = 0 and (1 - (2 - √3) + 0.2) = 0.932051.
  const auto at = [](double degrees) { return std::vector<double>{std::cos(degrees * pi / 180), std::sin(degrees * pi / 180)}; };
  EXPECT_NEAR(triplet_loss(tensor_of({at(0), at(60), at(90), at(30)}), labels_of({0, 0, 1, 2}), 0.2).item<double>(), 0.932051 / 2,
              tolerance.hand);
  // The pair of one identity is 60° apart; those of two are 90, 20, 30, 40 and 70° apart: three of five are more alike.
  EXPECT_NEAR(pair_error(tensor_of({at(0), at(60), at(90), at(20)}), labels_of({0, 0, 1, 2})), 3.0 / 5, 1e-9);
}

// ---- a literal copy, number by number ----

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}
double cross_entropy(const std::vector<double>& scores, std::size_t right) {
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - scores[right]);
  return std::log(sum);
}
std::vector<double> unit(std::vector<double> row) {
  const double length = std::sqrt(dot(row, row));
  for (double& each : row) each /= length;
  return row;
}

// own(angle, q): what stands in place of the own identity's cosine.
double slow_margin(const Rows& features, const Rows& columns, const std::vector<std::int64_t>& labels, double scale,
                   const std::function<double(double, double)>& own) {
  double mean = 0, squares = 0, loss = 0;
  for (const auto& row : features) mean += std::sqrt(dot(row, row)) / static_cast<double>(features.size());
  for (const auto& row : features) squares += std::pow(std::sqrt(dot(row, row)) - mean, 2);
  const double deviation = std::sqrt(squares / static_cast<double>(features.size() - 1)) + 1e-3;
  for (std::size_t i = 0; i < features.size(); ++i) {
    std::vector<double> scores;
    for (std::size_t k = 0; k < columns[0].size(); ++k) {
      std::vector<double> column;
      for (const auto& row : columns) column.push_back(row[k]);
      const double cosine = dot(unit(features[i]), unit(column));
      const double q = std::clamp((std::sqrt(dot(features[i], features[i])) - mean) / deviation * 0.33, -1.0, 1.0);
      scores.push_back(scale * (static_cast<std::int64_t>(k) == labels[i] ? own(std::acos(cosine), q) : cosine));
    }
    loss += cross_entropy(scores, static_cast<std::size_t>(labels[i])) / static_cast<double>(features.size());
  }
  return loss;
}

double slow_contrastive(const Rows& rows, const std::vector<std::int64_t>& labels, double margin) {
  double same = 0, other = 0;
  int pairs_same = 0, pairs_other = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = i + 1; j < rows.size(); ++j) {
      const double d = distance(rows[i], rows[j]);
      if (labels[i] == labels[j]) {
        same += d * d / 2;
        ++pairs_same;
      } else {
        other += std::pow(std::max(0.0, margin - d), 2) / 2;
        ++pairs_other;
      }
    }
  return same / pairs_same + other / pairs_other;
}

double slow_triplet(const Rows& rows, const std::vector<std::int64_t>& labels, double margin) {
  double sum = 0;
  int pairs = 0;
  for (std::size_t a = 0; a < rows.size(); ++a)
    for (std::size_t p = 0; p < rows.size(); ++p) {
      if (a == p || labels[a] != labels[p]) continue;
      const double near = std::pow(distance(rows[a], rows[p]), 2);
      double semi_hard = std::numeric_limits<double>::infinity(), farthest = 0;
      for (std::size_t n = 0; n < rows.size(); ++n) {
        if (labels[n] == labels[a]) continue;
        const double far = std::pow(distance(rows[a], rows[n]), 2);
        farthest = std::max(farthest, far);
        if (far > near) semi_hard = std::min(semi_hard, far);
      }
      sum += std::max(0.0, near - (std::isfinite(semi_hard) ? semi_hard : farthest) + margin);
      ++pairs;
    }
  return sum / pairs;
}

struct Drawn {
  Rows features, columns;
  std::vector<std::int64_t> labels;
};
Drawn drawn(std::int64_t seed) {
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  const auto rows_of = [](std::int64_t rows, std::int64_t columns) {
    const torch::Tensor all = torch::randn({rows, columns}, torch::kDouble);
    Rows list(static_cast<std::size_t>(rows));
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) list[static_cast<std::size_t>(i)].push_back(all[i][j].item<double>());
    return list;
  };
  Drawn all{rows_of(9, 5), rows_of(5, 4), {}};
  for (std::int64_t i = 0; i < 9; ++i) all.labels.push_back((i * 7 + seed) % 4);
  return all;
}

TEST(MetricLoss, AgreesWithALiteralCopy) {
  for (std::int64_t seed = 0; seed < 5; ++seed) {
    const Drawn all = drawn(seed);
    const torch::Tensor features = tensor_of(all.features), columns = tensor_of(all.columns), labels = labels_of(all.labels);
    const auto slow = [&](const std::function<double(double, double)>& own) {
      return slow_margin(all.features, all.columns, all.labels, 3, own);
    };
    EXPECT_NEAR(cosface_loss(features, columns, labels, {0.35, 3}).item<double>(),
                slow([](double angle, double) { return std::cos(angle) - 0.35; }), tolerance.slow);
    EXPECT_NEAR(arcface_loss(features, columns, labels, {0.5, 3}).item<double>(),
                slow([](double angle, double) { return angle + 0.5 < pi ? std::cos(angle + 0.5) : std::cos(angle) - 0.5 * std::sin(0.5); }),
                tolerance.slow);
    EXPECT_NEAR(adaface_loss(features, columns, labels, {0.4, 3}).item<double>(),
                slow([](double angle, double q) { return std::cos(std::clamp(angle - 0.4 * q, 0.0, pi)) - (0.4 * q + 0.4); }),
                tolerance.slow);
    EXPECT_NEAR(contrastive_loss(features, labels, 3).item<double>(), slow_contrastive(all.features, all.labels, 3), 1e-6);
    EXPECT_NEAR(triplet_loss(features, labels, 0.4).item<double>(), slow_triplet(all.features, all.labels, 0.4), tolerance.slow);
  }
}

TEST(MetricLoss, SlopesAreThoseOfFiniteDifferences) {
  const Drawn all = drawn(3);
  const torch::Tensor labels = labels_of(all.labels);
  const double apart = best_distance(tensor_of(all.features), labels);
  for (const modules::MetricLossRow& row : modules::metric_losses()) {
    SCOPED_TRACE(enum_name(row.loss));
    modules::Recipe recipe;
    recipe.metric_loss = row.loss;
    recipe.margin = row.loss == modules::MetricLoss::deepid2 ? apart : row.margin;  // else it moves with the features
    recipe.scale = std::min(row.scale, 4.0);
    recipe.pair_weight = row.pair_weight;
    torch::Tensor features = tensor_of(all.features).set_requires_grad(true), columns = tensor_of(all.columns).set_requires_grad(true);
    metric_loss(recipe, features, columns, labels).backward();
    ASSERT_TRUE(features.grad().defined());
    const torch::NoGradGuard no_gradient;
    // The quality of adaface is no way for the gradient, so only columns can be tried there.
    std::vector<torch::Tensor> tried;
    if (row.loss != modules::MetricLoss::adaface) tried.push_back(features);
    if (columns.grad().defined()) tried.push_back(columns);
    for (torch::Tensor& tensor : tried)
      for (std::int64_t i = 0; i < tensor.numel(); ++i) {
        torch::Tensor at = tensor.view({-1})[i];
        const double before = at.item<double>(), step = 1e-6;
        at.fill_(before + step);
        const double above = metric_loss(recipe, features, columns, labels).item<double>();
        at.fill_(before - step);
        const double below = metric_loss(recipe, features, columns, labels).item<double>();
        at.fill_(before);
        EXPECT_NEAR(tensor.grad().view({-1})[i].item<double>(), (above - below) / (2 * step), tolerance.slope) << i;
      }
  }
}

TEST(MetricLoss, DeepId2IsBothOfItsPartsAndFindsItsMargin) {
  const Drawn all = drawn(1);
  const torch::Tensor features = tensor_of(all.features), columns = tensor_of(all.columns), labels = labels_of(all.labels);
  modules::Recipe recipe;
  recipe.metric_loss = modules::MetricLoss::deepid2;
  recipe.pair_weight = 0.3;
  EXPECT_NEAR(metric_loss(recipe, features, columns, labels).item<double>(),
              softmax_identity_loss(features, columns, labels).item<double>() +
                  0.3 * contrastive_loss(features, labels, best_distance(features, labels)).item<double>(),
              tolerance.slow);
}

TEST(MetricLoss, BatchesWithoutPairsAddNothingAndStillHaveASlope) {
  torch::Tensor rows = torch::eye(3, torch::kDouble).set_requires_grad(true);
  for (const auto& labels : {std::vector<std::int64_t>{0, 1, 2}, {0, 0, 0}}) {
    const torch::Tensor who = labels_of(labels);
    triplet_loss(rows, who, 0.2).backward();
    EXPECT_EQ(triplet_loss(rows, who, 0.2).item<double>(), 0);
    contrastive_loss(rows, who, 1).backward();
    EXPECT_EQ(pair_error(rows, who), 0.5);
    EXPECT_EQ(best_distance(rows, who), 0);
  }
  EXPECT_TRUE(rows.grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace sightline::training
