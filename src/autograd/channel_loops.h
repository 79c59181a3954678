// The inner loops of fused batch normalisation over rows of channels (N·H·W × C, channels last, f32). Compiled for several instruction
// sets; the processor chooses when the program starts. They only read and write memory that they are given.
#pragma once

#include <cstdint>

namespace sightline::autograd {

// sum[c] += Σ (x - shift[c]), square[c] += Σ (x - shift[c])².
void add_moments(const float* x, std::int64_t rows, std::int64_t channels, const float* shift, double* sum, double* square);

// y = x · factor[c] + offset[c], plus shortcut (may be null), then cut off below 0 when `rectify`.
void normalise_rows(const float* x, const float* shortcut, std::int64_t rows, std::int64_t channels, const float* factor,
                    const float* offset, bool rectify, float* y);

// What the backward passes read. With g the gradient of the result, or 0 where the result was cut off: where y is null, cut off is what
// x · factor + offset leaves at or below 0; otherwise where y is 0. Not rectified: nothing is cut off.
struct NormGradient {
  const float* dy = nullptr;
  const float* x = nullptr;
  const float* y = nullptr;
  const float* factor = nullptr;
  const float* offset = nullptr;
  bool rectified = false;
};
// sum[c] += Σ g, product[c] += Σ g · (x - mean[c]).
void add_gradient_sums(const NormGradient& gradient, std::int64_t rows, std::int64_t channels, const float* mean, double* sum,
                       double* product);
// dx = a[c] · g + b[c] · x + k[c]; masked (may be null) = g.
void gradient_rows(const NormGradient& gradient, std::int64_t rows, std::int64_t channels, const float* a, const float* b, const float* k,
                   float* dx, float* masked);

}  // namespace sightline::autograd
