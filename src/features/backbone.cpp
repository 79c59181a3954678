#include "features/backbone.h"

#include <fmt/format.h>

#include "base/files.h"

namespace sightline::features {
namespace {

constexpr const char* about_key = "sightline_backbone";
// Smaller weights stay in the graph.
constexpr std::size_t least_shared = 256;

// "" or why the graph is no backbone.
std::string misfit(const graph::Graph& graph) {
  if (graph.inputs.size() != 1 || graph.outputs.size() != 1) return "it needs one input, the picture, and one output, its features";
  const Shape& in = graph.inputs[0].shape;
  const graph::ValueInfo& out = graph.outputs[0];
  if (graph.inputs[0].dtype != Dtype::u8 || in.size() != 4 || in[0] != -1 || in[1] < 1 || in[1] != in[2] || (in[3] != 1 && in[3] != 3))
    return fmt::format("its input is {} {}, not a square picture u8 N×H×W×C", name_of(graph.inputs[0].dtype), to_string(in));
  if (out.name != value || out.dtype != Dtype::f32 || out.shape.size() != 2 || out.shape[1] < 1)
    return fmt::format("its output \"{}\" is {} {}, not \"{}\" f32 N×D", out.name, name_of(out.dtype), to_string(out.shape), value);
  return "";
}

}  // namespace

runtime::Precision computed_in(const About& about) {
  return about.precision == "bf16" || about.precision == "mixed" ? runtime::Precision::bf16 : runtime::Precision::f32;
}

bool is_backbone(const graph::Graph& graph) { return graph.metadata.contains(about_key); }

Result<void> write_backbone(const graph::Graph& graph, const About& about, const std::string& folder) {
  if (const std::string why = misfit(graph); !why.empty()) return Error{ErrorKind::invalid_data, fmt::format("no backbone: {}", why)};
  graph::Graph written = graph;
  written.metadata = {{about_key, json_text(to_json(about))}};
  graph::ExternalWeights places{.file = weights_file, .offsets = {}};
  const std::string weights = graph::external_weights(written, least_shared, places);
  SIGHTLINE_TRY(const std::string model, graph::serialize_onnx(written, places));
  SIGHTLINE_CHECK(write_file(folder + "/" + weights_file, weights));
  return write_file(folder + "/" + graph_file, model);
}

Result<Backbone> read_backbone(const std::string& folder) {
  Backbone backbone;
  const std::string path = folder + "/" + graph_file;
  SIGHTLINE_TRY(backbone.graph, graph::read_onnx(path));
  const auto bad = [&](const std::string& why) { return Error{ErrorKind::invalid_data, fmt::format("{}: no backbone: {}", path, why)}; };
  if (const std::string why = misfit(backbone.graph); !why.empty()) return bad(why);
  const auto stated = backbone.graph.metadata.find(about_key);
  if (stated == backbone.graph.metadata.end()) return bad("it does not say what it is");
  SIGHTLINE_TRY(const Json json, parse_json(stated->second, path));
  SIGHTLINE_TRY(backbone.about, struct_from_json<About>(json, about_key));
  backbone.graph.metadata.clear();
  // The same rule gives the same places as when it was written.
  graph::ExternalWeights places;
  (void)graph::external_weights(backbone.graph, least_shared, places);
  backbone.offsets = std::move(places.offsets);
  backbone.weights_path = folder + "/" + weights_file;
  backbone.side = static_cast<int>(backbone.graph.inputs[0].shape[1]);
  backbone.channels = static_cast<int>(backbone.graph.inputs[0].shape[3]);
  backbone.dimensions = backbone.graph.outputs[0].shape[1];
  backbone.digest = graph::digest_of(backbone.graph);
  return backbone;
}

}  // namespace sightline::features
