// Where each of some named points of a thing lies, as a graph: a light encoder and decoder whose last map has a channel for each point; its
// softmax over all places says how probable the point is at each (Tompson et al. 2014 draw such maps; that a map is one distribution is as
// in Nibali et al. 2018).
//
// Input "image" u8 N×H×W×C, H and W multiples of 32; pictures are meant to be letterboxed into it. K points, stride 4.
//   training  "place_logits" f32 N×K×H/4×W/4
//   serving   "heat_maps" f32 N×K×H/4×W/4: of each point, probabilities that sum to 1
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::modules {

// Raised when the same options build another graph than before: part of the key of the step that builds landmarkers.
inline constexpr int landmarker_version = 1;

inline constexpr const char *place_logits = "place_logits", *heat_maps = "heat_maps";
inline constexpr std::int64_t landmark_stride = 4, most_landmarks = 512;

struct LandmarkerOptions {
  std::string backbone = "sight-s";  // one with stages (modules.h)
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t landmarks = 0;
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
  std::uint64_t seed = 0;
};

// Its metadata say how many layers are the backbone's (detector.h: backbone_layers_key, adopt_backbone). Errors usage: what the options get
// wrong; not_found: no such backbone.
Result<graph::Graph> build_landmarker(const LandmarkerOptions& options);

}  // namespace sightline::modules
