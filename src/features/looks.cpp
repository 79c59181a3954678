#include "features/looks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"

namespace sightline::features {
namespace {

// The picture as the first convolution takes it, f32 N×C×H×W; nothing where another node reads something else that follows from the
// picture.
std::optional<std::string> picture_of(const graph::Graph& graph) {
  const auto first = std::ranges::find(graph.nodes, "Conv", &graph::Node::op_type);
  if (first == graph.nodes.end()) return std::nullopt;
  const std::string picture = first->inputs[0];
  std::set<std::string> before{graph.inputs[0].name};
  for (const graph::Node& node : graph.nodes) {
    if (before.contains(picture)) break;
    if (std::ranges::any_of(node.inputs, [&](const std::string& input) { return before.contains(input); }))
      before.insert(node.outputs.begin(), node.outputs.end());
  }
  before.erase(picture);
  for (const graph::Node& node : graph.nodes)
    if (!std::ranges::any_of(node.outputs, [&](const std::string& output) { return before.contains(output) || output == picture; }) &&
        std::ranges::any_of(node.inputs, [&](const std::string& input) { return before.contains(input); }))
      return std::nullopt;
  return picture;
}

// The nodes of one side, with names of their own.
class Copy {
 public:
  // joined: the graph's last node joins its cuts, which is done anew.
  Copy(const graph::Graph& graph, const std::string& picture, std::string seen, std::string suffix, bool joined)
      : picture_(picture), seen_(std::move(seen)), suffix_(std::move(suffix)) {
    bool behind = false;
    for (const graph::Node& node : graph.nodes) {
      if (behind && !(joined && node.outputs[0] == value)) made_.insert(node.outputs.begin(), node.outputs.end());
      behind = behind || node.outputs[0] == picture;
    }
  }

  std::string name(const std::string& of) const { return of == picture_ ? seen_ : made_.contains(of) ? of + suffix_ : of; }

  void append(const graph::Graph& graph, std::vector<graph::Node>& nodes) const {
    for (const graph::Node& node : graph.nodes) {
      if (!made_.contains(node.outputs[0])) continue;
      graph::Node copy = node;
      copy.name += suffix_;
      for (std::string& input : copy.inputs) input = name(input);
      for (std::string& output : copy.outputs) output = name(output);
      nodes.push_back(std::move(copy));
    }
  }

 private:
  std::string picture_, seen_, suffix_;
  std::set<std::string> made_;
};

std::string add(std::vector<graph::Node>& nodes, const char* op, std::vector<std::string> inputs, const std::string& output,
                std::map<std::string, graph::Attribute> attributes = {}) {
  nodes.push_back({output, op, std::move(inputs), {output}, std::move(attributes), ""});
  return output;
}

std::string add_smaller(graph::Graph& graph, const std::string& picture, int from, int to, const std::string& name) {
  if (from == to) return picture;
  if (from % to == 0) {
    const std::vector<std::int64_t> step{from / to, from / to};
    return add(graph.nodes, "AveragePool", {picture}, name, {{"kernel_shape", step}, {"strides", step}});
  }
  const float scale = static_cast<float>(to) / static_cast<float>(from);
  graph.initializers[name + ".scales"] = Tensor::of<float>({4}, {1, 1, scale, scale});
  return add(graph.nodes, "Resize", {picture, "", name + ".scales"}, name,
             {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("half_pixel")}});
}

}  // namespace

Result<std::optional<Backbone>> looking_at(const Backbone& backbone, const std::vector<int>& sides) {
  const graph::Graph& source = backbone.graph;
  const std::optional<std::string> picture = picture_of(source);
  if (!picture) return std::optional<Backbone>();
  for (const int side : sides)
    if (!seen_at(backbone, side).ok()) return std::optional<Backbone>();
  const int largest = sides.back();
  SIGHTLINE_TRY(Backbone seen, seen_at(backbone, largest));
  graph::Graph& graph = seen.graph;
  graph.nodes.clear();
  for (const graph::Node& node : source.nodes) {
    graph.nodes.push_back(node);
    if (node.outputs[0] == *picture) break;
  }

  std::vector<Cut> cuts = backbone.about.cuts;
  const bool joined = cuts.size() > 1;
  if (!joined) cuts = {{cuts.empty() ? "last" : cuts[0].name, cuts.empty() ? value : cuts[0].at, value, backbone.dimensions}};
  seen.about.cuts.clear();
  std::vector<std::string> parts;
  for (const int side : sides) {
    const std::string suffix = fmt::format(".at{}", side);
    const std::string smaller = add_smaller(graph, *picture, largest, side, *picture + suffix);
    const Copy copy(source, *picture, smaller, suffix, joined);
    copy.append(source, graph.nodes);
    for (const Cut& cut : cuts) {
      const std::string made = copy.name(cut.value), rooted = made + ".rooted";
      const std::string root = add(graph.nodes, "Sqrt", {add(graph.nodes, "Abs", {made}, made + ".magnitude")}, made + ".root");
      add(graph.nodes, "Mul", {root, add(graph.nodes, "Sign", {made}, made + ".sign")}, rooted);
      seen.about.cuts.push_back({.name = fmt::format("{} at {}", cut.name, side), .at = cut.at, .value = rooted, .width = cut.width});
      parts.push_back(rooted);
    }
  }
  if (parts.size() == 1) {
    graph.nodes.back().outputs = {value};
    seen.about.cuts[0].value = value;
  } else {
    add(graph.nodes, "Concat", parts, value, {{"axis", std::int64_t{1}}});
  }
  std::int64_t width = 0;
  for (const Cut& cut : seen.about.cuts) width += cut.width;
  graph.outputs = {{value, Dtype::f32, {-1, width}, {}}};
  graph = graph::serving_graph(graph);
  SIGHTLINE_CHECK(graph::check(graph));
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(graph));
  if (shapes.at(value).shape != Shape{-1, width}) return std::optional<Backbone>();
  std::vector<std::string> names;
  names.reserve(sides.size());
  for (const int side : sides) names.push_back(std::to_string(side));
  seen.about.reasons.push_back(fmt::format("looks at pictures of {} pixels a side at once", join(names, " and ")));
  return std::optional(made_of(std::move(graph), std::move(seen.about)));
}

}  // namespace sightline::features
