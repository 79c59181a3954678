// The loss of classification.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>

namespace sightline::training {

// n / (classes × count of the class), 0 for a class without samples; labels of the samples that are trained on.
torch::Tensor inverse_frequency(std::span<const std::int32_t> labels, std::span<const std::int64_t> chosen, std::int64_t classes);

// Mean cross entropy of logits f32 N×K and labels i64 N, with label smoothing (Szegedy et al. 2016). weights: f32 K or undefined; with
// them the mean is weighted.
torch::Tensor classification_loss(const torch::Tensor& logits, const torch::Tensor& labels, const torch::Tensor& weights, double smoothing);

}  // namespace sightline::training
