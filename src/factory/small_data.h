// What few images are good for: where the statistics of evaluation meet the heads that are fitted on features.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "dataset/audit.h"
#include "evaluation/learning_curve.h"
#include "heads/choose.h"
#include "heads/training_sizes.h"

namespace sightline::factory {

// The samples `rows` of the manifest whose labels look wrong to heads that have not seen them, most suspect first (dataset/audit.h). The
// choice was made on features of these rows, in order.
std::vector<dataset::Suspect> suspects_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& rows,
                                          const heads::Choice& choice);

// Points of a class's learning curve, or with label -1 of the balanced error over all classes.
std::vector<evaluation::CurvePoint> curve_points(std::span<const heads::ErrorsAtSize> errors, int label);

struct ImagesNeeded {
  evaluation::SamplesNeeded overall;                // of each class, for the balanced accuracy
  std::vector<std::string> classes;                 // whose recall is below the target now, the worst first
  std::vector<evaluation::SamplesNeeded> by_class;  // for their recall to reach it
  std::vector<std::string> sentences;               // overall, then by class
};
// Whether `target` (balanced accuracy, and recall of each class) is reached by more images, from errors at several training sizes. Errors:
// as errors_by_training_size; usage (target outside (0, 1)); unsupported when the classes are too small for three training sizes.
Result<ImagesNeeded> images_needed(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                                   const std::vector<std::string>& classes, double target, std::uint64_t seed);

}  // namespace sightline::factory
