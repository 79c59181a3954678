// Normal equations of ridge regression for rows of a feature matrix: sums over rows x (centred and scaled first) and their one-hot targets
// y of x xᵀ, x yᵀ, x and y. Sums over disjoint sets of rows add, so one pass over the features serves every fold.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::heads {

// x ← (x - mean) · scale, feature by feature. Centring first keeps single precision sums exact enough.
struct Scaling {
  std::vector<float> mean, scale;
};
Scaling centring(const Tensor& features);         // scale 1
Scaling standardisation(const Tensor& features);  // unit variance; a constant feature gets scale 0

struct Moments {
  std::int64_t dimensions = 0, classes = 0;
  double count = 0;
  std::vector<float> gram;             // D×D, lower triangle
  std::vector<double> cross;           // K×D
  std::vector<double> sum, class_sum;  // D, K
};
// Calls visit(block, rows of the block) for `rows` in order; block is f32 R×D, scaled. Error: interrupted.
Result<void> for_blocks(const Tensor& features, const Scaling& scaling, std::span<const std::int64_t> rows,
                        const std::function<void(const float*, std::span<const std::int64_t>)>& visit);
Result<Moments> moments_of(const Tensor& features, const Scaling& scaling, std::span<const std::int64_t> rows,
                           std::span<const std::int32_t> labels, int classes);

// Ridge regression from the moments of its rows, for scaled features: K×D weights and K intercepts in double precision. `gram` is the full
// D×D lower triangle in double precision and is destroyed; lambda is relative to the mean eigenvalue of the covariance.
struct RidgeSolution {
  std::vector<double> weight, bias;
};
Result<RidgeSolution> solve_ridge(std::vector<double> gram, const Moments& moments, double lambda);

}  // namespace sightline::heads
