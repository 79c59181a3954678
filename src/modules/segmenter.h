// A light encoder and decoder, as a graph: what stands at every pixel. The decoder goes from the backbone's coarsest map up to stride 2,
// meeting the finer maps on the way as sums (Ronneberger et al. 2015; Lin et al. 2017), with plain 3×3 convolutions; the last doubling is
// bilinear and a part of the graph.
//
// Input "image" u8 N×H×W×C, H and W multiples of 32; pictures are meant to be letterboxed into it. K classes, and background before them.
//   training  "pixel_logits" f32 N×(K+1)×H×W
//   serving   "class_scores" f32 N×(K+1)×H×W: their softmax
// For objects that touch each other, which classes cannot keep apart, besides:
//   training  "instance_logits" f32 N×2×H×W
//   serving   "instance_maps" f32 N×2×H×W: their sigmoid: how surely a pixel of an object is one of its border, and how far within its
//             object it lies: 1 in the middle, falling to 0 at the border (training/segment_loss.h, tasks/watershed.h)
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::modules {

// Raised when the same options build another graph than before: part of the key of the step that builds segmenters.
inline constexpr int segmenter_version = 1;

inline constexpr const char *pixel_logits = "pixel_logits", *instance_logits = "instance_logits";
inline constexpr std::int64_t most_pixel_classes = 254;  // a pixel's number is a byte, and one is kept for "not judged"

struct SegmenterOptions {
  std::string backbone = "sight-s";  // one with stages (modules.h)
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t classes = 0;  // without background
  bool instances = false;
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
  std::uint64_t seed = 0;
};

// Its metadata say how many layers are the backbone's (detector.h: backbone_layers_key, adopt_backbone). Errors usage: what the options get
// wrong; not_found: no such backbone.
Result<graph::Graph> build_segmenter(const SegmenterOptions& options);

}  // namespace sightline::modules
