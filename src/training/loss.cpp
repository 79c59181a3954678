#include "training/loss.h"

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

}  // namespace sightline::training
