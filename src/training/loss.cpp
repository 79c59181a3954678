#include "training/loss.h"

#include <vector>

namespace sightline::training {

torch::Tensor inverse_frequency(std::span<const std::int32_t> labels, std::span<const std::int64_t> chosen, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes), 0);
  for (const std::int64_t sample : chosen) ++counts[static_cast<std::size_t>(labels[static_cast<std::size_t>(sample)])];
  std::vector<float> weights;
  for (const std::int64_t count : counts)
    weights.push_back(count == 0 ? 0 : static_cast<float>(static_cast<double>(chosen.size()) / static_cast<double>(classes * count)));
  return torch::tensor(weights);
}

torch::Tensor classification_loss(const torch::Tensor& logits, const torch::Tensor& labels, const torch::Tensor& weights,
                                  double smoothing) {
  return at::cross_entropy_loss(logits, labels, weights, at::Reduction::Mean, -100, smoothing);
}

}  // namespace sightline::training
