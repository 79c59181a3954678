// Heads in closed form on principal axes, fitted on all samples or on all but a fold, without solving again for what is left out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "heads/spectrum.h"

namespace sightline::heads {

// Ridge regression on one-hot targets, intercepts free: Σ emphasis · |y - b - W x|² + alpha · |W|². What a fold's samples would be told by
// a head that never saw them follows from the residuals of the one that did: e = (I - H)⁻¹ r over the fold, H the fold's block of the hat
// matrix (Allen 1974 for one sample; Cook & Weisberg 1982, section 3.8, for several).
class RidgePath {
 public:
  // The spectrum must outlive the path. labels in [0, classes).
  RidgePath(const Spectrum& spectrum, std::span<const std::int32_t> labels, int classes);

  // alpha above 0, absolute; for coordinates.
  Coefficients fit(double alpha) const;
  // Per sample and class, target minus what the fit without that sample says: N×K.
  std::vector<double> leave_one_out_residuals(double alpha) const;
  // The fits without the samples `held_out` (not all of them), one for each alpha. Errors: internal, interrupted.
  Result<std::vector<Coefficients>> without(std::span<const std::int64_t> held_out, std::span<const double> alphas) const;

 private:
  const Spectrum& spectrum_;
  std::span<const std::int32_t> labels_;
  std::size_t classes_;
  std::vector<double> share_;  // K, emphasised
  std::vector<double> cross_;  // K×r, Σ emphasis · (y - share) · x
};

// What linear discriminants and class means need to know of the samples that they learn from.
struct ClassSums {
  double count = 0;
  std::vector<double> class_count;  // K
  std::vector<double> mean;         // r
  std::vector<double> sum;          // K×r, of x - mean
};
// All samples but those held out.
ClassSums class_sums(const Spectrum& spectrum, std::span<const std::int32_t> labels, int classes,
                     std::span<const std::int64_t> held_out = {});

// Linear discriminant analysis with the pooled within-class scatter plus alpha · I as covariance (Friedman 1989 shrinks so), from the ridge
// fit of the same samples with the same alpha: the one is a K×K transformation of the other (Hastie, Buja & Tibshirani 1995). Priors are
// the class shares, or equal. A class without samples is never the answer.
Result<Coefficients> discriminant(const ClassSums& sums, const Coefficients& ridge, bool equal_priors);

// Nearest class mean, by distance or by the angle about the common mean (the answers are those of the cosine; the scores are not divided by
// the length of the sample, so that the head stays linear). A class without samples is never the answer.
Coefficients nearest_mean(const ClassSums& sums, bool cosine);

}  // namespace sightline::heads
