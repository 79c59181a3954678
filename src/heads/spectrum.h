// Features in the coordinates of their principal axes: one eigendecomposition, of the scatter matrix D×D when there are more samples than
// features and of the samples' products N×N otherwise, and every ridge penalty, every fold and every quadratic classifier after it is
// cheap. Heads that shrink towards zero in the length of their weights are the same in these coordinates as in the features' own, because
// the axes are orthonormal and nothing outside their span is ever given weight (Hastie, Tibshirani, Friedman 2009, sections 3.4.1
// and 18.3.5).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "heads/linear.h"
#include "tensor/tensor.h"

namespace sightline::heads {

// Weights and intercepts in whatever coordinates the context says, double precision.
struct Coefficients {
  std::vector<double> weight;  // K×r
  std::vector<double> bias;    // K
};

struct Spectrum {
  std::int64_t samples = 0, dimensions = 0, rank = 0;
  std::vector<double> centred;      // N×D: rows less their (weighted) mean
  std::vector<double> mean;         // D
  std::vector<double> emphasis;     // N, weights of the samples
  double total = 0;                 // their sum
  std::vector<double> values;       // r, eigenvalues of Σ weight · row rowᵀ, descending, positive (one zero when nothing varies)
  std::vector<double> coordinates;  // N×r: centred rows on the principal axes

  // Mean of the eigenvalues: what penalties are relative to. 1 when nothing varies.
  double mean_value() const;
  // The same scores from rows N×D as `fitted` gives from their coordinates.
  Coefficients to_rows(const Coefficients& fitted) const;
};

// rows N×D (destroyed); emphasis: a positive weight per sample, empty: 1 each. Directions with less than 1e-10 of the largest eigenvalue
// are dropped. Memory: 2·N·D doubles and the square of the smaller of both. Errors: internal (no convergence), interrupted.
Result<Spectrum> spectrum_of(std::vector<double> rows, std::int64_t samples, std::int64_t dimensions,
                             std::span<const double> emphasis = {});

// x ← (x - mean) · scale for fits: unit variance, but a feature that varies much less than the others do is not blown up to their size
// (scale = 1/√(variance + softening · mean variance)), and each cut's share of the variance is the same. cut_widths: how many columns each
// cut has, empty for one cut.
struct FeatureScaling {
  std::vector<double> mean, scale;  // D
};
FeatureScaling scaling_for_fit(const Tensor& features, std::span<const std::int64_t> cut_widths);
std::vector<double> scaled_rows(const Tensor& features, const FeatureScaling& scaling);
// The head for raw features from coefficients for scaled ones.
LinearHead to_features(const Coefficients& scaled, const FeatureScaling& scaling);

}  // namespace sightline::heads
