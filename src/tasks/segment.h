// What stands at every pixel of a picture: what a segmenter's outputs mean, and how answers are told and drawn. Figures: segment_metrics.h.
//
// A segmenter for K classes answers a batch of N pictures with
//   class_scores   f32 N×(K+1)×H×W  how probable each class is at each pixel of the network's input, background first
//   instance_maps  f32 N×2×H×W      where objects are told apart: border and depth (instance_maps.h); may be missing
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

// Error unsupported: an output is missing, or its type or shape does not fit the classes; shapes may have free dimensions (-1).
Result<void> check_segment_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);

// Annotation::mask: the most probable class of every pixel of the picture (the first of equals), from scores that are brought to its size
// bilinearly. With instance_maps also instances, and an object for each with the class that most of its pixels have, the box around them,
// and as score the mean of that class's scores over them. Errors: unsupported as above; invalid_data: another number of pictures than
// placements, or scores that are no numbers.
Result<std::vector<annotation::Annotation>> decode_segment(const Outputs& outputs, std::span<const image::Placement> placements);

inline constexpr std::array kSegmentColumns{"class", "area", "objects"};
// {"classes": [{"label","name","pixels","share" of the picture,"rle"}…], "objects": [{"label","name","score","box","pixels","rle",
// "polygons"}…]}: rle as COCO writes it ({"size":[height,width],"counts"}); polygons [[x,y,x,y,…],…], outer borders in pixels. Where
// objects are not told apart, "objects" is missing and the classes have "polygons".
Told tell_segment(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

// The pixels of each class, or of each object, in a colour through which the picture shows, with a line around them, and how much there is.
void draw_segment(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);
// The lines alone.
void draw_segment_truth(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes);

}  // namespace sightline::tasks
