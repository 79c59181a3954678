// A one-stage detector without anchors, as a graph: backbone at three strides, a neck that carries what is seen down and up again, a
// decoupled head whose every place says which class stands there and how far its box reaches. Sources: Liu et al. 2018 (path aggregation),
// Tian et al. 2019 (points instead of anchors), Li et al. 2020 (distances as distributions), Feng et al. 2021 (scores that know how well
// the box fits; training/detect_loss.h).
//
// Input "image" u8 N×H×W×C, H and W multiples of 32; pictures are meant to be letterboxed into it. P points over the strides 8, 16 and 32,
// finest first, row by row: P = HW/64 + HW/256 + HW/1024. K classes.
//   training   "class_logits" f32 N×P×K; "box_logits" f32 N×P×64: for left, top, right and bottom of the box 16 numbers each, whose softmax
//              weighs the distances 0 to 15 strides from the point
//   serving    "boxes" f32 N×P×4: left, top, right, bottom in pixels of the input (may reach beyond it)
//              "scores" f32 N×K×P, 0 to 1
//              "selected" i64 S×3: image, class, point, by NonMaxSuppression within each class; the constants "nms_most", "nms_overlap" and
//              "nms_score" say how many are kept, from which overlap on, above which score
// The decoding is a part of the graph, so that whoever serves it gets pixels.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::modules {

// Raised when the same options build another graph than before: part of the key of the step that builds detectors.
inline constexpr int detector_version = 1;

inline constexpr const char *class_logits = "class_logits", *box_logits = "box_logits";
inline constexpr std::int64_t box_bins = 16;         // distances 0 to 15 strides
inline constexpr std::int64_t coarsest_stride = 32;  // sides are multiples of it
inline constexpr std::int64_t most_per_class = 100;  // of a class and picture, before and after suppression
inline constexpr float suppress_overlap = 0.6F;      // intersection over union above which the lower score goes
inline constexpr float least_score = 0.01F;          // what scores less is not considered

struct DetectorOptions {
  std::string backbone = "sight-s";  // one with a pyramid (modules.h)
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t classes = 0;
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
  std::uint64_t seed = 0;
};

// Errors usage: what the options get wrong; not_found: no such backbone.
Result<graph::Graph> build_detector(const DetectorOptions& options);

// Where the points lie, in pixels of the input: the centre of their cell.
struct AnchorPoint {
  float x = 0, y = 0, stride = 0;
};
std::vector<AnchorPoint> anchor_points(std::int64_t height, std::int64_t width);

// Metadata of a graph that begins with a backbone: how many of its layers with weights belong to that, from the picture on. Training gives
// those recipe.backbone_rate.
inline constexpr const char* backbone_layers_key = "sightline_backbone_layers";

// Writes that: the layers up to the one that makes this value (the backbone's last map).
void mark_backbone(graph::Graph& graph, const std::string& last_map);

// Gives the detector's backbone the weights of a graph that begins with the same net (a classifier of it, or features/backbone.h's),
// layer by layer in their order; gives the number of tensors that were taken. Where `backbone` has its normalisation still, that comes too,
// statistics and all. Where it was folded into the convolutions, the detector's goes away there and the convolution gets the bias: the same
// function, but one that bears only a low backbone_rate and clipped gradients, because nothing keeps its values in range any more. Errors:
// unsupported (no detector of ours), invalid_data (the first layer that is another).
Result<int> adopt_backbone(graph::Graph& detector, const graph::Graph& backbone);

// The parts that it is made of, for `sightline modules`.
struct DetectorPart {
  const char *name, *description, *source;
};
std::span<const DetectorPart> detector_parts();
// A graph of that part alone, for its cost and its ports: the backbone's three maps in (of a picture of this size), the neck's three maps
// or the head's two training outputs out.
Result<graph::Graph> detector_part(const DetectorPart& part, std::int64_t height, std::int64_t width, std::int64_t classes);

}  // namespace sightline::modules
