// Sets of classes that hold the right one with a stated probability, instead of one answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

struct Conformal {
  double coverage = 0.9;      // as demanded
  bool per_class = false;     // whether it holds within each class, or over all samples
  std::vector<double> least;  // K: a class is in the set when its probability is at least this; 0: always
  std::int64_t samples = 0;   // that it was calibrated on
  double mean_size = 0;       // of the sets of those samples
  static constexpr auto fields() {
    return std::tuple{field("coverage", &Conformal::coverage), field("per_class", &Conformal::per_class), field("least", &Conformal::least),
                      field("samples", &Conformal::samples), field("mean_size", &Conformal::mean_size)};
  }
};

// Calibrates on probabilities f32 N×K of samples that the model was not fitted on (Vovk, Gammerman & Shafer 2005; sets of least size,
// Sadinle, Lei & Wasserman 2019): the limit is the ⌊(1 - coverage)(N + 1)⌋-th smallest probability of the right class, so that a new sample
// is covered with at least the stated probability whatever the model is, if samples are exchangeable. On out-of-fold probabilities
// (cross-conformal, Vovk 2015) the guarantee weakens to 2·coverage - 1, and in practice the stated coverage is met. per_class: a limit for
// each class from its own samples; too few of them (below coverage / (1 - coverage)) put the class into every set. Errors: usage (sizes,
// coverage outside (0, 1)).
Result<Conformal> calibrate_conformal(const Tensor& probabilities, std::span<const std::int32_t> labels, double coverage,
                                      bool per_class = false);

// The classes of one sample's set, most probable first. Never empty: the most probable class is always in it. probabilities f32 K.
std::vector<int> prediction_set(const Conformal& conformal, std::span<const float> probabilities);

}  // namespace sightline::evaluation
