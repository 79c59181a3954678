#include "training/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sightline::training {
namespace {

constexpr double beta = 0.999;

// What a class of so many samples weighs, up to a factor.
double weight_of(modules::Loss loss, double count) {
  if (count == 0) return 0;
  return loss == modules::Loss::class_balanced ? (1 - beta) / (1 - std::pow(beta, count)) : 1 / count;
}

}  // namespace

torch::Tensor class_weights(modules::Loss loss, std::span<const std::int32_t> labels, std::span<const std::int64_t> chosen,
                            std::int64_t classes) {
  if (loss != modules::Loss::balanced_cross_entropy && loss != modules::Loss::class_balanced) return {};
  std::vector<double> counts(static_cast<std::size_t>(classes), 0);
  for (const std::int64_t sample : chosen) ++counts[static_cast<std::size_t>(labels[static_cast<std::size_t>(sample)])];
  double total = 0;
  for (const double count : counts) total += count * weight_of(loss, count);
  std::vector<float> weights;
  for (const double count : counts)
    weights.push_back(static_cast<float>(weight_of(loss, count) * static_cast<double>(chosen.size()) / total));
  return torch::tensor(weights);
}

torch::Tensor classification_loss(modules::Loss loss, const torch::Tensor& logits, const torch::Tensor& labels,
                                  const torch::Tensor& weights, double smoothing) {
  if (loss != modules::Loss::focal) return at::cross_entropy_loss(logits, labels, weights, at::Reduction::Mean, -100, smoothing);
  const torch::Tensor each = at::cross_entropy_loss(logits, labels, weights, at::Reduction::None, -100, smoothing);
  const torch::Tensor right = logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1);
  return ((1 - right).square() * each).mean();
}

TargetScale scale_of(std::span<const float> targets, std::int64_t width, std::span<const std::int64_t> chosen) {
  const auto columns = static_cast<std::size_t>(width);
  std::vector<double> sum(columns, 0), squares(columns, 0);
  for (const std::int64_t sample : chosen) {
    const auto row = targets.subspan(static_cast<std::size_t>(sample) * columns, columns);
    for (std::size_t i = 0; i < columns; ++i) {
      sum[i] += row[i];
      squares[i] += static_cast<double>(row[i]) * row[i];
    }
  }
  const auto count = static_cast<double>(std::max<std::size_t>(chosen.size(), 1));
  std::vector<float> mean, inverse;
  for (std::size_t i = 0; i < columns; ++i) {
    const double middle = sum[i] / count, variance = squares[i] / count - middle * middle;
    constexpr double least_variance = 1e-10;
    mean.push_back(static_cast<float>(middle));
    inverse.push_back(variance > least_variance ? static_cast<float>(1 / std::sqrt(variance)) : 0.0F);
  }
  return {torch::tensor(mean), torch::tensor(inverse)};
}

torch::Tensor distillation_loss(const torch::Tensor& predicted, const torch::Tensor& targets, const TargetScale& scale) {
  constexpr double most_deviations = 6;
  const torch::Tensor wanted = ((targets - scale.mean) * scale.inverse_deviation).clamp(-most_deviations, most_deviations);
  return at::mse_loss(predicted, wanted) + (1 - at::cosine_similarity(predicted, wanted, 1)).mean();
}

}  // namespace sightline::training
