// The library of reusable parts, as functions that append nodes to a graph: backbones, pooling, heads. They know no engine.
// One explicit table; CLI help and docs read its rows.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "modules/necks.h"

namespace sightline::modules {

// Raised when a backbone or a head builds another graph than before: it is part of the key of the step that builds graphs.
inline constexpr int version = 2;

struct Backbone {
  const char* name;  // "resnet-s"
  const char* description;
  const char* source;  // paper
  int least_side;      // smallest input side in pixels that it makes sense for
  // f32 N×C×H×W → feature map N×F×h×w
  std::string (*append)(graph::Builder& builder, const std::string& x);
  // The maps of the same net at strides 8, 16 and 32, for detectors (detector.h); null: it has none there.
  std::vector<std::string> (*append_pyramid)(graph::Builder& builder, const std::string& x) = nullptr;
  // Those at strides 2, 4, 8, 16 and 32, for segmenters (segmenter.h); null: likewise.
  std::vector<std::string> (*append_stages)(graph::Builder& builder, const std::string& x) = nullptr;
};

std::span<const Backbone> backbones();
// Error not_found names the nearest match.
Result<const Backbone*> find_backbone(const std::string& name);

struct ClassifierOptions {
  std::string backbone = "resnet-s";
  std::int64_t height = 0, width = 0, channels = 0;  // of the input image
  std::int64_t classes = 0;
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
  float dropout = 0.0F;
  Neck neck = Neck::average;
  std::uint64_t seed = 0;
};

// Input "image" u8 N×H×W×C; training output "logits" f32 N×K; serving output "probabilities" f32 N×K =
// softmax(logits × "inverse_temperature"), a constant that is 1 until calibration sets it.
Result<graph::Graph> build_classifier(const ClassifierOptions& options);

}  // namespace sightline::modules
