// Pictures as they should look: what a restorer's outputs mean, what it is shown, and how answers are told. Figures: restore_metrics.h.
//
// A restorer answers a batch of N pictures with
//   restored   f32 N×C×H×W  levels of 0 to 255 and a little beyond; H and W are the picture's, or larger by a whole factor
//   deviation  f32 N×1×H×W  by how many levels each of them is expected to be off, as a standard deviation
// What it undoes stands in the metadata (degradation.h).
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

inline constexpr std::array kRestoreColumns{"size", "expected deviation", "of the least sure tenth"};

Result<void> check_restore_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);
// One annotation a picture, with `restored` (rounded, and cut to 0 to 255) and `deviation`. Errors: invalid_data (a number that is none,
// other sizes than the placements'), unsupported (outputs as check_restore_outputs).
Result<std::vector<annotation::Annotation>> decode_restore(const Outputs& outputs, std::span<const image::Placement> placements);
// {"width","height","deviation": mean, "least_sure": of the tenth of the pixels that is least sure, the mean}
Told tell_restore(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

// The picture degraded as the model's metadata say, drawn for its name; truth.restored is the picture itself, cut to a multiple of the
// scale.
Result<image::Image> show_restore(const image::Image& picture, const std::string& name, const Terms& terms, annotation::Annotation& truth);

// Side by side: what was shown (enlarged by bicubic interpolation, where the answer is larger), what came out, what is true, and how sure
// the model is (the warmer, the less): a part of the picture, around the place where the answer is worst.
image::Image strip_of_restore(const Case& one);

image::Image picture_of(const Tensor& pixels);  // u8 h×w×C
// The deviation as a picture of 16 bits: 2,048 a level, so that white is 32 levels or more.
std::string deviation_png(const Tensor& deviation);

}  // namespace sightline::tasks
