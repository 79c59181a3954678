// A net that turns a picture into a point, as a graph: a backbone, one layer that reads all places of its last map, batch normalisation.
// Pictures of one identity are to lie close together, whoever it is. Source: Deng et al. 2019 (ArcFace, arXiv:1801.07698: this layer and
// no activation behind it).
//
// Input "image" u8 N×H×W×C, H = W. D numbers a picture, K identities to learn from.
//   training   "features" f32 N×D before they are brought to unit length; "identity_scores" f32 N×K: their products with the K columns of
//              the constant "identities" (D×K), a direction for each identity, which are learned along and do not ship
//   serving    "embedding" f32 N×D of unit length
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::modules {

// Raised when the same options build another graph than before: part of the key of the step that builds embedders.
inline constexpr int embedder_version = 1;

inline constexpr const char *features_output = "features", *identity_scores = "identity_scores", *identity_columns = "identities",
                            *embedding_output = "embedding";

struct EmbedderOptions {
  std::string backbone = "sight-s";
  std::int64_t side = 0, channels = 0;
  std::int64_t identities = 0;
  std::int64_t width = 128;            // D
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
  float dropout = 0.0F;                // of the last map, in training
  std::uint64_t seed = 0;
};

// Metadata says how many layers are the backbone's (backbone_layers_key), so that it can be adopted (adopt_backbone) and have a rate of its
// own. Errors usage: what the options get wrong; not_found: no such backbone.
Result<graph::Graph> build_embedder(const EmbedderOptions& options);

}  // namespace sightline::modules
