// What is written in a picture: what a reader's output means, and how readings are drawn. Figures: read_metrics.h.
//
// A reader of K symbols (the classes, each one character) answers a batch of N pictures with
//   columns   f32 N×T×(K+1)   of each of T columns, left to right, how probable each symbol is, and last that nothing new begins there
// (ctc.h). The formats that texts have may stand in the graph's metadata (text_formats.h).
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

inline constexpr std::size_t beam_width = 24, most_readings = 5;

// Error unsupported: the output is missing, or its type or shape is another; shapes may have free dimensions (-1).
Result<void> check_read_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);

// Of each picture the five most probable readings, best first, with the probability of each as a whole and of each character of the first;
// Annotation::text is the first one. No reading where none fits the formats. Errors: unsupported as above; invalid_data: a column that is
// no distribution, formats that cannot be read, or a batch of more or fewer pictures than placements.
Result<std::vector<annotation::Annotation>> decode_read(const Outputs& outputs, std::span<const image::Placement> placements,
                                                        const Terms& terms);

inline constexpr std::array kReadColumns{"text", "probability"};
// {"text", "confidence": of the whole, "characters": of each, "candidates": [{"text", "probability"}]}; rows: the readings that
// are worth it, best first.
Told tell_read(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

// Puts a bar with text and confidence under the picture, which becomes larger where it is small; one with what people said over it. What
// the built-in letters do not have is drawn as ?.
void draw_read(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);
void draw_read_truth(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);

}  // namespace sightline::tasks
