// A network that somebody else trained, made trainable again: read as ONNX, cut at its feature layer, given a new linear head. It knows no
// engine; what comes out is a graph like those of build_classifier.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "modules/necks.h"

namespace sightline::modules {

// Raised when an import makes another graph than before: part of the key of the step that imports.
inline constexpr int import_version = 2;

// Names that the new graph has, whatever the old one was called.
inline constexpr const char* features_value = "features";  // f32 N×D
inline constexpr const char* head_weight = "head.weight";  // f32 K×D
inline constexpr const char* head_bias = "head.bias";      // f32 K

struct ImportOptions {
  std::vector<std::string> cuts = {"auto"};  // words or names of values (cuts.h)
  Neck neck = Neck::average;                 // of cuts that have places
  std::int64_t classes = 0;
  std::int64_t side = 0;               // for a graph that leaves height and width free; 0: 224
  std::vector<float> mean, deviation;  // per channel or one for all, on the 0..255 scale; empty: from the graph or its metadata
  float dropout = 0.0F;
  std::uint64_t seed = 0;  // of the head's first weights
};

struct ImportedCut {
  std::string name;   // "early", "middle", "last", or what the file calls the value
  std::string at;     // the value, as the file calls it
  std::string value;  // of the new graph, f32 N×width: "features" when it is the only one
  std::int64_t width = 0;
};

struct ImportedClassifier {
  graph::Graph graph;  // u8 N×H×W×C → training output "logits", serving output "probabilities" (modules.h)
  int side = 0, channels = 0;
  std::int64_t features = 0;      // D, of all cuts together
  std::vector<ImportedCut> cuts;  // what the head reads, one behind the other in "features"
  bool normalised = false;        // it has BatchNormalization or LayerNormalization left
  std::vector<std::string> reasons;
};

// The cut "auto": from the output back through Softmax, Flatten and their like to the last Gemm, MatMul or 1×1 Conv with constant weights
// that reads one vector per picture; its input is the feature layer. A graph that ends in such a vector itself is taken as it is. A value
// that is named may also be a feature map N×F×h×w (its places are brought together by the neck) or tokens N×T×F (likewise). Several cuts
// are joined: "features" is then a Concat. The input must be one square picture, f32 N×C×H×W, f32 N×H×W×C or u8, C 1 or 3, with a free
// batch or a batch of one. Its normalisation is taken from the options, else from metadata ("mean_values", "scale_values",
// "reverse_input_channels" of OpenVINO's Model API), else found in the first nodes, else assumed, which a reason then says. Errors name the
// file: invalid_data, unsupported, not_found (no such value; the nearest), usage (no clear feature layer: the candidates).
Result<ImportedClassifier> import_classifier(const graph::Graph& source, const std::string& file, const ImportOptions& options);

}  // namespace sightline::modules
