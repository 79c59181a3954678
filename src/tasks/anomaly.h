// What is not as it should be in a picture, learned from good ones only: what a detector's outputs mean, and how answers are drawn.
// Figures: anomaly_metrics.h.
//
// A detector answers a batch of N pictures with
//   anomaly_score  f32 N      0 to 1, of the picture; above 0.5 is an alarm
//   anomaly_map    f32 N×H×W  the same for every pixel of the network's input
//
// People say of a picture: Annotation::label, its kind ("good", "scratch"), score 1 where it is not good and 0 where it is, and perhaps a
// mask.
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

inline constexpr double kAlarm = 0.5;  // scores above it

// Whatever the classes: they are kinds of what may be wrong, which the network does not know. Error unsupported: an output is missing, or
// its type or shape is another; shapes may have free dimensions (-1).
Result<void> check_anomaly_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);

// score, and score_map over the whole picture at the network's resolution: without what padded it; 0 where the network did not see the
// picture. Errors: unsupported as above; invalid_data when the batch has more or fewer pictures than placements, or a score is not a
// number.
Result<std::vector<annotation::Annotation>> decode_anomaly(const Outputs& outputs, std::span<const image::Placement> placements);

inline constexpr std::array kAnomalyColumns{"score", "alarm", "left top right bottom"};
// {"score": 0 to 1, "alarm": whether it is above kAlarm, "where": [{"score", "box"}, …] of the annotation's objects (alarmed_regions)}
Told tell_anomaly(const annotation::Annotation& annotation, const std::vector<std::string>& classes);
// What of the map lies above the alarm, as boxes in pixels of a picture of this size with their highest score, the highest first: regions
// that hang together over edges or corners, without a label. At most `most`.
std::vector<annotation::Object> alarmed_regions(const annotation::Annotation& annotation, int width, int height, std::size_t most = 20);

// The map as colours, a line around what is above the alarm, and the score.
void draw_anomaly(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);
// A line around the mask in the colour of the kind, and its name below.
void draw_anomaly_truth(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);

}  // namespace sightline::tasks
