// Several questions about one picture, each with an answer of its own: what a model's outputs mean, and how answers are told and drawn.
// Classes are labels as annotation/attributes.h has them. Figures: attributes_metrics.h.
//
// A model answers a batch of N pictures with, for L labels,
//   probabilities  f32 N×L  of a question of yes or no: of yes; of values that exclude each other: they sum to 1 within their question
//   margins        f32 N×L  0 or more where the label is said: the probability beyond the label's threshold, or beyond the most probable
//                           value's of its question
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
Result<void> check_attributes_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);
// Annotation::attributes, one a label. Errors: unsupported as above; invalid_data when the batch has more or fewer pictures than
// placements, or a probability is not a number.
Result<std::vector<annotation::Annotation>> decode_attributes(const Outputs& outputs, std::span<const image::Placement> placements);

inline constexpr std::array kAttributesColumns{"question", "answer", "probability"};
// {"said": [labels], "attributes": [{"label", "name", "said", "probability"}]}; a row a question.
Told tell_attributes(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

// What is said, a line a label, from the top left; where a picture is too small for all, the last line says how many more there are.
void draw_attributes(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);
void draw_attributes_truth(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);

}  // namespace sightline::tasks
