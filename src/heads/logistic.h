// Multinomial logistic regression on principal axes, for a falling row of penalties: each starts where the one before ended.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "heads/closed_form.h"
#include "heads/spectrum.h"

namespace sightline::heads {

struct LogisticEffort {
  int iterations = 100;
  double small_gradient = 1e-5;  // largest component at which the optimum counts as reached
  double small_step = 1e-9;      // relative decrease of the loss below which single precision has no more to give
};
inline constexpr LogisticEffort judging_effort{.iterations = 30, .small_gradient = 1e-3, .small_step = 1e-4};  // answers settle long before

class LogisticPath {
 public:
  // emphasis: a positive weight per sample, empty: 1 each.
  LogisticPath(const Spectrum& spectrum, std::span<const std::int32_t> labels, int classes, std::span<const double> emphasis = {});

  // Minimises (emphasised) mean cross entropy + penalty/2 · |W|² without the samples `held_out`, for each of the penalties, which fall:
  // L-BFGS (Liu & Nocedal 1989) in coordinates in which the bound of the Hessian (Böhning 1992) is near the identity. A class without
  // samples ends with a low intercept. Errors: internal, interrupted.
  Result<std::vector<Coefficients>> without(std::span<const std::int64_t> held_out, std::span<const double> penalties,
                                            const LogisticEffort& effort) const;

 private:
  const Spectrum& spectrum_;
  std::span<const std::int32_t> labels_;
  int classes_;
  std::vector<double> emphasis_;
};

}  // namespace sightline::heads
