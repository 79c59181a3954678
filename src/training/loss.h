// The losses: of classification, and of learning what another network says of a picture.
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

// What target vectors are compared on: each number less its mean, over its deviation, both over the training samples.
struct TargetScale {
  torch::Tensor mean, inverse_deviation;  // f32 K; 0 where the number never varies
};
// targets: of all samples, rows of K; chosen: the training samples.
TargetScale scale_of(std::span<const float> targets, std::int64_t width, std::span<const std::int64_t> chosen);

// Mean squared difference plus mean of 1 - cosine, between predicted f32 N×K and the scaled targets f32 N×K (at most 6 deviations from the
// mean: a number that is seldom other than 0 would rule the sum). Distillation of features (Hinton et al. 2015; Romero et al. 2015).
torch::Tensor distillation_loss(const torch::Tensor& predicted, const torch::Tensor& targets, const TargetScale& scale);

}  // namespace sightline::training
