// A frozen backbone: a graph from a picture to the vector that describes it, kept as a folder that models share.
//
//   backbone.onnx   u8 N×H×W×C "image" → f32 N×D "features"; what it is stands in its metadata
//   backbone.data   its weights (ONNX external data)
//
// The folder lies in the store as a tree, so that the weights are one blob for every model that is built on them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/sha256.h"
#include "graph/graph.h"
#include "runtime/precision.h"

namespace sightline::features {

inline constexpr const char* graph_file = "backbone.onnx";
inline constexpr const char* weights_file = "backbone.data";
inline constexpr const char* value = "features";

// One of the values that "features" is made of, in its order.
struct Cut {
  std::string name;   // "early", "middle", "last", or what the file calls the value
  std::string at;     // the value, as the file called it
  std::string value;  // of the graph, f32 N×width: "features" itself when it is the only one
  std::int64_t width = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &Cut::name), field("at", &Cut::at), field("value", &Cut::value), field("width", &Cut::width)};
  }
};

struct About {
  std::string file;  // its name where it was imported from
  Digest file_digest;
  std::string origin = "not stated", licence = "not stated";
  std::vector<Cut> cuts;             // what describes the picture
  std::string precision = "f32";     // what it is computed in: f32, bf16, mixed (integers and bf16) or int8 (integers)
  std::vector<std::string> reasons;  // what was found and what was assumed, a sentence each
  static constexpr auto fields() {
    return std::tuple{field("file", &About::file),       field("digest", &About::file_digest), field("origin", &About::origin),
                      field("licence", &About::licence), field("cuts", &About::cuts),          field("precision", &About::precision),
                      field("reasons", &About::reasons)};
  }
};

struct Backbone {
  graph::Graph graph;
  std::map<std::string, std::uint64_t> offsets;  // of initializers in weights_path
  std::string weights_path;
  About about;
  int side = 0, channels = 0;
  std::int64_t dimensions = 0;  // D
  Digest digest;                // Merkle digest of "features": equal for equal functions, whatever the names and whoever made them
};

// What a session of it rounds to: integers stand in the graph itself.
runtime::Precision computed_in(const About& about);

// What follows from a graph to "features" and what it is; without weights_path.
Backbone made_of(graph::Graph graph, About about);

// Whether the graph is one that write_backbone wrote.
bool is_backbone(const graph::Graph& graph);
// With fewer of its cuts, by name: the graph that computes just those. Error usage: the names that there are.
Result<Backbone> with_cuts(const Backbone& backbone, const std::vector<std::string>& names);
// The same network for pictures of another side, where it is one that takes any; about.reasons says so. Error usage: it is not, its
// features would be others in number.
Result<Backbone> seen_at(const Backbone& backbone, int side);
// folder must exist. Errors: invalid_data (not a graph from one square picture to f32 N×D; cuts that are not what it holds), io.
Result<void> write_backbone(const graph::Graph& graph, const About& about, const std::string& folder);
// Errors name the file: not_found, invalid_data.
Result<Backbone> read_backbone(const std::string& folder);

}  // namespace sightline::features
