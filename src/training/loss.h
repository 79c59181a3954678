// The losses: of classification, and of learning what another network says of a picture.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>

#include "modules/training_spec.h"

namespace sightline::training {

// What each class weighs under this loss, f32 K with a weighted mean of 1 over the samples; undefined where all weigh the same. A class
// without samples weighs 0. labels: of the samples that are trained on, `chosen` of them.
//   balanced_cross_entropy   n / (classes × count): every class weighs the same in all
//   class_balanced           inverse of the effective number (1 − βⁿ) / (1 − β), β = 0.999 (Cui et al. 2019): what a class's later samples
//                            add is less, so that large classes keep some of their weight
torch::Tensor class_weights(modules::Loss loss, std::span<const std::int32_t> labels, std::span<const std::int64_t> chosen,
                            std::int64_t classes);

// Mean of the loss over logits f32 N×K and labels i64 N, with label smoothing (Szegedy et al. 2016). weights: f32 K or undefined; with
// them the mean is weighted. focal: each sample counts (1 − p)², p the probability of its label (Lin et al. 2017).
torch::Tensor classification_loss(modules::Loss loss, const torch::Tensor& logits, const torch::Tensor& labels,
                                  const torch::Tensor& weights, double smoothing);

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
