// Sets of classes that hold the right one with a stated probability, instead of one answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "package/decisions.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

// Calibrates on probabilities f32 N×K of samples that the model was not fitted on (Vovk, Gammerman & Shafer 2005; sets of least size,
// Sadinle, Lei & Wasserman 2019): the limit is the ⌊(1 - coverage)(N + 1)⌋-th smallest probability of the right class, so that a new sample
// is covered with at least the stated probability whatever the model is, if samples are exchangeable. On out-of-fold probabilities
// (cross-conformal, Vovk 2015) the guarantee weakens to 2·coverage - 1, and in practice the stated coverage is met. per_class: a limit for
// each class from its own samples; too few of them (below coverage / (1 - coverage)) put the class into every set. Errors: usage (sizes,
// coverage outside (0, 1)).
Result<package::Conformal> calibrate_conformal(const Tensor& probabilities, std::span<const std::int32_t> labels, double coverage,
                                               bool per_class = false);

}  // namespace sightline::evaluation
