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

// All fits: features f32 N×D, labels in [0, classes). Errors: invalid_data (shapes, labels, values that are not finite), usage (options),
// unsupported (more than 8192 features), interrupted. A class without samples gets the intercept that its share of zero gives.

// Ridge regression on one-hot targets (centred, intercept free). lambda relative to the mean eigenvalue of the covariance.
Result<LinearHead> fit_ridge(const Tensor& features, std::span<const std::int32_t> labels, int classes, double lambda);
// Multinomial logistic regression: mean cross entropy + penalty/2 · |W|² with W on standardised features (the head that is returned takes
// raw ones), intercepts free. L-BFGS (Liu & Nocedal 1989).
Result<LinearHead> fit_logistic(const Tensor& features, std::span<const std::int32_t> labels, int classes, double penalty,
                                int iterations = 100);

// Features for pictures without any trained network: random convolution patches (whitened patches of the training pictures, ReLU, pooled in
// a 3×3 grid) beside the pixels (averaged in cells to at most 1024). pixels u8 N×H×W×C, C 1 or 3 → f32 N×D, D = 9·filters + pixels.
// Deterministic for the seed. The caller shrinks large pictures first (32×32 is enough). Coates & Ng 2011; Rahimi & Recht 2007.
Result<Tensor> patch_features(const Tensor& pixels, int filters, std::uint64_t seed);

// Out-of-fold class probabilities f32 N×K: ridge on standardised features in `folds` stratified folds, lambda chosen on the first of them,
// scores turned into probabilities by a temperature fitted on the out-of-fold scores together with a share of wrong labels. Each sample
// is judged by a head that has not seen it (nor its group: samples with the same non-negative group share a fold; groups may be empty).
// One pass makes the normal equations of every fold. Memory beside the features: (folds + 4) · D² floats.
Result<Tensor> out_of_fold_probabilities(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                                         int classes, int folds, std::uint64_t seed);

}  // namespace sightline::heads
