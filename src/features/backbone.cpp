#include "features/backbone.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "base/text.h"

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

// "" or why these are not the cuts that the graph's features are made of.
std::string misfit(const graph::Graph& graph, const std::vector<Cut>& cuts) {
  std::int64_t width = 0;
  for (const Cut& cut : cuts) width += cut.width;
  if (!cuts.empty() && width != graph.outputs[0].shape[1])
    return fmt::format("its cuts are {} wide together, its features {}", width, graph.outputs[0].shape[1]);
  if (cuts.size() < 2) return "";
  for (const Cut& cut : cuts)
    if (std::ranges::none_of(graph.nodes, [&](const graph::Node& node) { return node.outputs[0] == cut.value; }))
      return fmt::format("it has no value \"{}\" for its cut \"{}\"", cut.value, cut.name);
  return "";
}

// What follows from the graph.
void settle(Backbone& backbone) {
  // The same rule gives the same places as when it was written.
  graph::ExternalWeights places;
  (void)graph::external_weights(backbone.graph, least_shared, places);
  backbone.offsets = std::move(places.offsets);
  backbone.side = static_cast<int>(backbone.graph.inputs[0].shape[1]);
  backbone.channels = static_cast<int>(backbone.graph.inputs[0].shape[3]);
  backbone.dimensions = backbone.graph.outputs[0].shape[1];
  backbone.digest = graph::digest_of(backbone.graph);
}

}  // namespace

runtime::Precision computed_in(const About& about) {
  return about.precision == "bf16" || about.precision == "mixed" ? runtime::Precision::bf16 : runtime::Precision::f32;
}

Backbone made_of(graph::Graph graph, About about) {
  Backbone backbone;
  backbone.graph = std::move(graph);
  backbone.about = std::move(about);
  settle(backbone);
  return backbone;
}

bool is_backbone(const graph::Graph& graph) { return graph.metadata.contains(about_key); }

Result<Backbone> seen_at(const Backbone& backbone, int side) {
  if (side == backbone.side) return backbone;
  Backbone other = backbone;
  other.side = side;
  Shape& picture = other.graph.inputs[0].shape;
  picture[1] = picture[2] = side;
  // A graph that was written for one size may not take another.
  const auto values = graph::infer_shapes(other.graph);
  if (!values.ok() || values->at(value).shape != backbone.graph.outputs[0].shape)
    return Error{ErrorKind::usage, fmt::format("recipe.side is {}, and {} is for pictures of {} pixels a side alone; leave recipe.side out",
                                               side, backbone.about.file, backbone.side)};
  other.digest = graph::digest_of(other.graph);
  other.about.reasons.push_back(fmt::format("looked through at {} pixels instead of {}", side, backbone.side));
  return other;
}

Result<Backbone> with_cuts(const Backbone& backbone, const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Cut& cut : backbone.about.cuts) known.push_back(cut.name);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) == known.end())
      return Error{ErrorKind::usage, fmt::format("{} was imported without a cut \"{}\"{}; it has {}", backbone.about.file, name,
                                                 did_you_mean(name, known), known.empty() ? "one without a name" : join(known, ", "))};
  std::vector<Cut> chosen;  // in the backbone's order
  for (const Cut& cut : backbone.about.cuts)
    if (std::ranges::find(names, cut.name) != names.end()) chosen.push_back(cut);
  if (chosen.empty()) return Error{ErrorKind::usage, backbone.about.file + ": no cut is named"};
  Backbone some = backbone;
  some.about.cuts = chosen;
  if (chosen.size() == backbone.about.cuts.size()) return some;
  std::vector<std::string> values;
  std::int64_t width = 0;
  for (const Cut& cut : chosen) {
    values.push_back(cut.value);
    width += cut.width;
  }
  std::erase_if(some.graph.nodes, [](const graph::Node& node) { return node.outputs[0] == value; });
  if (chosen.size() == 1) {
    for (graph::Node& node : some.graph.nodes) std::ranges::replace(node.outputs, values[0], std::string(value));
    some.about.cuts[0].value = value;
  } else {
    some.graph.nodes.push_back({.name = value,
                                .op_type = "Concat",
                                .inputs = values,
                                .outputs = {value},
                                .attributes = {{"axis", std::int64_t{1}}},
                                .domain = ""});
  }
  some.graph.outputs = {{value, Dtype::f32, {-1, width}, {}}};
  some.graph = graph::serving_graph(some.graph);
  settle(some);
  return some;
}

Result<void> write_backbone(const graph::Graph& graph, const About& about, const std::string& folder) {
  if (const std::string why = misfit(graph); !why.empty()) return Error{ErrorKind::invalid_data, fmt::format("no backbone: {}", why)};
  if (const std::string why = misfit(graph, about.cuts); !why.empty())
    return Error{ErrorKind::invalid_data, fmt::format("no backbone: {}", why)};
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
  if (const std::string why = misfit(backbone.graph, backbone.about.cuts); !why.empty()) return bad(why);
  backbone.weights_path = folder + "/" + weights_file;
  settle(backbone);
  return backbone;
}

}  // namespace sightline::features
