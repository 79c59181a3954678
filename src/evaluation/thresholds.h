// How sure a model must be of a class before it may say so: thresholds per class, from probabilities of samples that the model was not
// fitted on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

struct ThresholdOptions {
  double precision = 0;  // 0: the threshold of greatest F1; else the one of greatest recall at which precision is at least this
  double confidence =
      0;  // of the demanded precision: 0: the share that was counted; 0.95: its lower Clopper-Pearson limit at 95%, one-sided
};

struct ClassThreshold {
  double threshold = 1;  // the class is said when its probability is at least this
  double precision = 0, recall = 0, f1 = 0;
  std::int64_t said = 0, samples = 0;  // how often it is said, and how many samples there are
  bool reached = false;                // false: the class has no sample, or no threshold reaches the precision; it is then never said
  static constexpr auto fields() {
    return std::tuple{field("threshold", &ClassThreshold::threshold), field("precision", &ClassThreshold::precision),
                      field("recall", &ClassThreshold::recall),       field("f1", &ClassThreshold::f1),
                      field("said", &ClassThreshold::said),           field("samples", &ClassThreshold::samples),
                      field("reached", &ClassThreshold::reached)};
  }
};

// probabilities f32 N×K, labels in [0, K): one threshold per class, each class against the rest. It lies halfway between the probabilities
// of neighbours in rank, so that a trifle of rounding moves no sample across it. Figures are those of the same samples, so a little too
// good. Errors: usage (sizes, options outside [0, 1)).
Result<std::vector<ClassThreshold>> choose_thresholds(const Tensor& probabilities, std::span<const std::int32_t> labels,
                                                      const ThresholdOptions& options = {});

}  // namespace sightline::evaluation
