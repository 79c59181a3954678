// Boxes of things in a picture: what a detector's outputs mean, and how answers are drawn. Figures: detect_metrics.h.
//
// A detector answers a batch of N pictures with, in pixels of the network's input,
//   boxes     f32 N×P×4   left, top, right, bottom at each of P points
//   scores    f32 N×K×P   0 to 1, per class
//   selected  i64 S×3     image, class, point of what non-maximum suppression kept; rows of -1 are not used
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "annotation/annotation.h"
#include "base/result.h"
#include "image/image.h"
#include "tasks/tasks.h"
#include "tensor/tensor.h"

namespace sightline::tasks {

// Error unsupported: an output is missing, or its type or shape is another; shapes may have free dimensions (-1).
Result<void> check_detect_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);

// Of each picture the best 100 objects, best first, equals in the order selected, in the picture's own frame and cut at its edges. What
// lies outside of the picture, or has no area, or no number for a score, is no object. Errors: unsupported as above; invalid_data when a
// row of selected names what is not there, or the batch has more or fewer pictures than placements.
Result<std::vector<annotation::Annotation>> decode_detect(const Outputs& outputs, std::span<const image::Placement> placements);

// What a model found: whole lines in the colour of the class, label and score above. Lines and text grow with the picture; labels that
// would cover too much of a small one are left out.
inline constexpr std::array kDetectColumns{"object", "score", "left top right bottom"};
// {"objects": [{"label", "name", "score", "box": [left, top, right, bottom]}]}
Told tell_detect(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

void draw_detect(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);
// What people said: dashed lines, the label below, so that both can be drawn on one picture.
void draw_detect_truth(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);

}  // namespace sightline::tasks
