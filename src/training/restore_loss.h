// What a restorer is taught (modules/restorer.h), and what a wrong answer costs.
#pragma once

#include <torch/torch.h>

namespace sightline::training {

// sqrt(difference² + smoothness²) - smoothness, the mean over all values (Charbonnier et al. 1994): absolute differences, but smooth at 0.
// f32 of one shape.
inline constexpr double smoothness = 1e-3;
torch::Tensor charbonnier_loss(const torch::Tensor& picture, const torch::Tensor& wanted);

// The negative logarithm of a normal density of each difference, whose variance is told as its logarithm, without constants: the mean of
// (log variance + difference² / variance) / 2. The pictures are f32 N×C×H×W, log_variance f32 N×1×H×W. What the picture should be is not
// taught by it: no gradient goes into `picture`.
torch::Tensor deviation_loss(const torch::Tensor& picture, const torch::Tensor& log_variance, const torch::Tensor& wanted);
// What it weighs beside the other.
inline constexpr double deviation_weight = 0.02;

}  // namespace sightline::training
