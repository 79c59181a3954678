// Closed-form and convex heads on fixed features. No LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::heads {

struct LinearHead {
  Tensor weight;  // f32 K×D
  Tensor bias;    // f32 K
};
// features f32 N×D → scores f32 N×K
Tensor scores_of(const LinearHead& head, const Tensor& features);

// Ridge regression on one-hot targets (centred, intercept free). lambda relative to the mean eigenvalue of the covariance.
Result<LinearHead> fit_ridge(const Tensor& features, std::span<const std::int32_t> labels, int classes, double lambda);
// Multinomial logistic regression with L2 penalty, L-BFGS.
Result<LinearHead> fit_logistic(const Tensor& features, std::span<const std::int32_t> labels, int classes, double penalty,
                                int iterations = 100);

// Features for pictures without any trained network: random convolution patches (whitened patches of the training pictures, ReLU, pooled in
// a grid) beside the pixels. pixels u8 N×H×W×C → f32 N×D. Deterministic for the seed. Coates & Ng 2011; Rahimi & Recht 2007.
Result<Tensor> patch_features(const Tensor& pixels, int filters, std::uint64_t seed);

// Out-of-fold class probabilities f32 N×K: ridge on features in `folds` stratified folds, scores turned into probabilities by a temperature
// fitted on the out-of-fold scores. Each sample is judged by a head that has not seen it (nor its group: samples with the same non-negative
// group share a fold).
Result<Tensor> out_of_fold_probabilities(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                                         int classes, int folds, std::uint64_t seed);

}  // namespace sightline::heads
