#include "training/metric_loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace sightline::training {
namespace {

constexpr double kEpsilon = 1e-7;  // keeps the slope of the inverse cosine finite
constexpr double kQualityShare = 0.33;

torch::Tensor unit(const torch::Tensor& rows, std::int64_t axis) { return rows / rows.norm(2, {axis}, true).clamp_min(1e-12); }

torch::Tensor cosines(const torch::Tensor& features, const torch::Tensor& columns) {
  return unit(features, 1).matmul(unit(columns, 0)).clamp(-1 + kEpsilon, 1 - kEpsilon);  // N×K
}

// Cross-entropy where the own identity's cosine is replaced.
torch::Tensor with_own(const torch::Tensor& all, const torch::Tensor& own, const torch::Tensor& labels, double scale) {
  return torch::nn::functional::cross_entropy(all.scatter(1, labels.unsqueeze(1), own) * scale, labels);
}

torch::Tensor own_of(const torch::Tensor& all, const torch::Tensor& labels) { return all.gather(1, labels.unsqueeze(1)); }  // N×1

struct Pairs {
  torch::Tensor same, other;  // bool N×N, above the diagonal
};
Pairs pairs_of(const torch::Tensor& labels) {
  const torch::Tensor equal = labels.unsqueeze(0).eq(labels.unsqueeze(1));
  const torch::Tensor above = torch::ones_like(equal).triu(1);
  return {equal.logical_and(above), equal.logical_not().logical_and(above)};
}

torch::Tensor squared_distances(const torch::Tensor& rows) {  // N×N
  const torch::Tensor squares = rows.square().sum(1);
  return (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * rows.matmul(rows.t())).clamp_min(0);
}

// Of positions where the mask is; 0 (that still has a gradient) where it is nowhere.
torch::Tensor mean_where(const torch::Tensor& values, const torch::Tensor& mask) {
  const torch::Tensor chosen = values.masked_select(mask);
  return chosen.numel() > 0 ? chosen.mean() : values.sum() * 0;
}

std::vector<double> numbers_of(const torch::Tensor& values, const torch::Tensor& mask) {
  const torch::Tensor chosen = values.detach().masked_select(mask).to(torch::kDouble).contiguous();
  return {chosen.data_ptr<double>(), chosen.data_ptr<double>() + chosen.numel()};
}

}  // namespace

torch::Tensor softmax_identity_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels) {
  return torch::nn::functional::cross_entropy(features.matmul(columns), labels);
}

torch::Tensor cosface_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels, Margin margin) {
  const torch::Tensor all = cosines(features, columns);
  return with_own(all, own_of(all, labels) - margin.margin, labels, margin.scale);
}

torch::Tensor arcface_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels, Margin margin) {
  const torch::Tensor all = cosines(features, columns);
  const torch::Tensor own = own_of(all, labels);
  const double m = margin.margin;
  const torch::Tensor moved = own * std::cos(m) - (1 - own.square()).sqrt() * std::sin(m);
  const torch::Tensor beyond = own - m * std::sin(m);
  return with_own(all, torch::where(own > std::cos(std::numbers::pi - m), moved, beyond), labels, margin.scale);
}

torch::Tensor adaface_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels, Margin margin) {
  const torch::Tensor all = cosines(features, columns);
  const torch::Tensor lengths = features.detach().norm(2, {1}, true);  // N×1
  const torch::Tensor deviation = lengths.std(true) + 1e-3;
  const torch::Tensor quality = ((lengths - lengths.mean()) / deviation * kQualityShare).clamp(-1, 1);
  const torch::Tensor angle = own_of(all, labels).acos() - margin.margin * quality;
  const torch::Tensor own = angle.clamp(kEpsilon, std::numbers::pi - kEpsilon).cos() - (margin.margin * quality + margin.margin);
  return with_own(all, own, labels, margin.scale);
}

torch::Tensor contrastive_loss(const torch::Tensor& rows, const torch::Tensor& labels, double margin) {
  const Pairs pairs = pairs_of(labels);
  const torch::Tensor squared = squared_distances(rows);
  // The root has no slope at 0.
  const torch::Tensor distance = (squared + 1e-12).sqrt();
  return 0.5 * mean_where(squared, pairs.same) + 0.5 * mean_where((margin - distance).clamp_min(0).square(), pairs.other);
}

torch::Tensor triplet_loss(const torch::Tensor& rows, const torch::Tensor& labels, double margin) {
  const torch::Tensor squared = squared_distances(rows);
  const torch::Tensor equal = labels.unsqueeze(0).eq(labels.unsqueeze(1));
  const torch::Tensor self = torch::eye(labels.size(0), torch::kBool);
  const torch::Tensor places = equal.logical_and(self.logical_not()).nonzero();  // P×2: a, p
  if (places.size(0) == 0 || equal.all().item<bool>()) return rows.sum() * 0;
  const torch::Tensor anchors = places.select(1, 0), positives = places.select(1, 1);
  const torch::Tensor near = squared.index({anchors, positives});    // P
  const torch::Tensor of_anchor = squared.index({anchors});          // P×N
  const torch::Tensor other = equal.index({anchors}).logical_not();  // P×N
  const torch::Tensor farther = other.logical_and(of_anchor > near.unsqueeze(1));
  const double far = std::numeric_limits<double>::infinity();
  const torch::Tensor semi_hard = std::get<0>(of_anchor.masked_fill(farther.logical_not(), far).min(1));
  const torch::Tensor farthest = std::get<0>(of_anchor.masked_fill(other.logical_not(), -far).max(1));
  const torch::Tensor negative = torch::where(farther.any(1), semi_hard, farthest);
  return (near - negative + margin).clamp_min(0).mean();
}

double best_distance(const torch::Tensor& rows, const torch::Tensor& labels) {
  const Pairs pairs = pairs_of(labels);
  const torch::Tensor distances = squared_distances(rows.detach()).sqrt();
  const std::vector<double> same = numbers_of(distances, pairs.same), other = numbers_of(distances, pairs.other);
  if (same.empty() || other.empty()) return 0;
  struct Step {
    double distance, change;  // of the error, when the distance is taken for one identity
  };
  std::vector<Step> steps;
  for (const double each : same) steps.push_back({each, -1 / static_cast<double>(same.size())});
  for (const double each : other) steps.push_back({each, 1 / static_cast<double>(other.size())});
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.distance < b.distance; });
  double error = 1, least = 1, best = steps.front().distance / 2;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    error += steps[i].change;
    if (i + 1 < steps.size() && steps[i + 1].distance == steps[i].distance) continue;
    if (error >= least - 1e-12) continue;
    least = error;
    best = i + 1 < steps.size() ? (steps[i].distance + steps[i + 1].distance) / 2 : steps[i].distance;
  }
  return best;
}

torch::Tensor metric_loss(const modules::Recipe& recipe, const torch::Tensor& features, const torch::Tensor& columns,
                          const torch::Tensor& labels) {
  const Margin margin{recipe.margin, recipe.scale};
  switch (recipe.metric_loss) {
    case modules::MetricLoss::softmax: return softmax_identity_loss(features, columns, labels);
    case modules::MetricLoss::cosface: return cosface_loss(features, columns, labels, margin);
    case modules::MetricLoss::arcface: return arcface_loss(features, columns, labels, margin);
    case modules::MetricLoss::adaface: return adaface_loss(features, columns, labels, margin);
    case modules::MetricLoss::contrastive: return contrastive_loss(unit(features, 1), labels, recipe.margin);
    case modules::MetricLoss::triplet: return triplet_loss(unit(features, 1), labels, recipe.margin);
    case modules::MetricLoss::deepid2: break;
  }
  const double apart = recipe.margin > 0 ? recipe.margin : best_distance(features, labels);
  return softmax_identity_loss(features, columns, labels) + recipe.pair_weight * contrastive_loss(features, labels, apart);
}

double pair_error(const torch::Tensor& features, const torch::Tensor& labels) {
  const Pairs pairs = pairs_of(labels);
  const torch::Tensor rows = unit(features.detach(), 1);
  const torch::Tensor alike = rows.matmul(rows.t());
  const std::vector<double> same = numbers_of(alike, pairs.same);
  std::vector<double> other = numbers_of(alike, pairs.other);
  if (same.empty() || other.empty()) return 0.5;
  std::sort(other.begin(), other.end());
  double wrong = 0;
  for (const double each : same) {
    const auto below = std::lower_bound(other.begin(), other.end(), each), above = std::upper_bound(below, other.end(), each);
    wrong += static_cast<double>(other.end() - above) + static_cast<double>(above - below) / 2;
  }
  return wrong / (static_cast<double>(same.size()) * static_cast<double>(other.size()));
}

}  // namespace sightline::training
