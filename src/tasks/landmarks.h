// Where each of some named points of a thing lies: what a landmarker's output means, and how answers are told and drawn. Figures:
// landmarks_metrics.h.
//
// A landmarker of K points (the classes) answers a batch of N pictures with
//   heat_maps   f32 N×K×h×w   of each point, how probable it is at each cell, of 4×4 pixels of the network's input; each map sums to 1
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

// Error unsupported: the output is missing, or its type or shape does not fit the classes; shapes may have free dimensions (-1).
Result<void> check_landmarks_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);

inline constexpr double landmark_cell = 4;  // pixels of the network's input
// Cells on either side of a map's peak that belong to it.
inline constexpr std::int64_t peak_reach = 2;

// A peak of a map, in cells (the centre of the first one is 0.5).
struct Peak {
  double x = 0, y = 0;
  double share = 0;  // of the map that lies within peak_reach of its largest cell
};
// The place between the cells is that of the Gaussian through the largest cell's sums along each axis and their neighbours; at an edge,
// where one is missing, of a Gaussian as wide as what is taught (training/landmark_loss.h). map: rows · columns.
Peak peak_of(std::span<const float> map, std::int64_t rows, std::int64_t columns);

// Annotation::landmarks of each picture, in its own frame and within it: the peak of each map, with its share as score: how probable it is
// that the point is about there. Errors: unsupported as above; invalid_data: another number of pictures than placements, or a map whose
// numbers are none.
Result<std::vector<annotation::Annotation>> decode_landmarks(const Outputs& outputs, std::span<const image::Placement> placements,
                                                             const Terms& terms);

inline constexpr std::array kLandmarksColumns{"point", "x", "y", "score"};
// {"landmarks": [{"label","name","x","y","score"}…]}, pixels of the picture (annotation.h's frame).
Told tell_landmarks(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

// A dot for each point in its class's colour, with its name where there are few and the picture is large enough; those that score less than
// sure_score as rings.
void draw_landmarks(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);
// Crosses, thinner than the dots.
void draw_landmarks_truth(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);

}  // namespace sightline::tasks
