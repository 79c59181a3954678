#include "factory/tail.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

namespace sightline::factory {
namespace {

constexpr double margin = 0.1;  // of the range, beyond what was seen

int layers_of(const graph::Graph& graph) {
  const auto roles = graph::roles_of(graph);
  return static_cast<int>(std::ranges::count_if(graph.nodes, [&](const graph::Node& node) {
    return node.op_type != "PRelu" && std::ranges::any_of(node.inputs, [&](const std::string& input) {
             const auto role = roles.find(input);
             return role != roles.end() && role->second == graph::Role::weight;
           });
  }));
}

// Values through which everything that the picture says must pass: after their node it is the only one that is still to be read. Each with
// the number of nodes up to it.
std::vector<std::pair<std::string, std::size_t>> bottlenecks(const graph::Graph& graph) {
  std::map<std::string, std::size_t> last_reader;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (const std::string& input : graph.nodes[i].inputs) last_reader[input] = i;
  for (const graph::ValueInfo& output : graph.outputs) last_reader[output.name] = graph.nodes.size();
  for (const std::string& output : graph.training_outputs) last_reader[output] = graph.nodes.size();
  std::set<std::string> moving;  // depends on the picture
  for (const graph::ValueInfo& input : graph.inputs) moving.insert(input.name);
  std::set<std::string> alive = moving;
  std::vector<std::pair<std::string, std::size_t>> found;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    if (std::ranges::none_of(node.inputs, [&](const std::string& input) { return moving.contains(input); })) continue;
    for (const std::string& output : node.outputs) {
      if (output.empty()) continue;
      moving.insert(output);
      if (last_reader.contains(output)) alive.insert(output);
    }
    std::erase_if(alive, [&](const std::string& value) { return last_reader[value] <= i; });
    if (alive.size() == 1) found.emplace_back(*alive.begin(), i + 1);
  }
  // What a function makes of a value is as good to keep, and often has fewer distinct numbers (nothing below zero behind a ReLU).
  constexpr std::array<std::string_view, 7> functions{"Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Sigmoid", "Tanh"};
  std::erase_if(found, [&](const auto& each) {
    return each.second < graph.nodes.size() && std::ranges::count(functions, graph.nodes[each.second].op_type) > 0 &&
           std::ranges::count(graph.nodes[each.second].inputs, each.first) > 0;
  });
  return found;
}

// Nodes that make constants for the tail are on both sides.
void drop_unused_initializers(graph::Graph& graph) {
  std::set<std::string> read;
  for (const graph::Node& node : graph.nodes) read.insert(node.inputs.begin(), node.inputs.end());
  std::erase_if(graph.initializers, [&](const auto& entry) { return !read.contains(entry.first); });
}

}  // namespace

Result<std::optional<Parts>> split_network(const graph::Graph& graph, double most) {
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(graph));
  SIGHTLINE_TRY(const graph::Cost whole, graph::cost_of(graph));
  std::int64_t pixels = 1;
  for (std::size_t i = 1; i < graph.inputs[0].shape.size(); ++i) pixels *= graph.inputs[0].shape[i];
  for (const auto& [name, count] : bottlenecks(graph)) {
    const auto value = values.find(name);
    if (value == values.end() || value->second.dtype != Dtype::f32 || value->second.shape.size() != 4) continue;
    const Shape& shape = value->second.shape;
    if (shape[2] < 2 || shape[3] < 2 || 2 * shape[1] * shape[2] * shape[3] > pixels) continue;
    Parts parts{.cut = name, .shape = {shape[1], shape[2], shape[3]}, .stem = graph, .tail = graph};
    parts.stem.training_outputs.clear();
    parts.stem.outputs = {{name, Dtype::f32, shape, {}}};
    parts.stem = graph::serving_graph(parts.stem);
    parts.tail.inputs = {{name, Dtype::f32, {-1, shape[1], shape[2], shape[3]}, {}}};
    std::set<std::string> made;  // by nodes that read nothing of the picture
    for (const graph::ValueInfo& input : graph.inputs) made.insert(input.name);
    parts.tail.nodes.clear();
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const graph::Node& node = graph.nodes[i];
      const bool moves = std::ranges::any_of(node.inputs, [&](const std::string& input) { return made.contains(input); });
      if (moves) made.insert(node.outputs.begin(), node.outputs.end());
      if (i >= count || !moves) parts.tail.nodes.push_back(node);
    }
    drop_unused_initializers(parts.tail);
    SIGHTLINE_TRY(const graph::Cost tail, graph::cost_of(parts.tail));
    parts.share = static_cast<double>(tail.flops) / static_cast<double>(std::max<std::int64_t>(whole.flops, 1));
    parts.layers = layers_of(parts.tail);
    parts.all = layers_of(graph);
    if (parts.share > most) continue;
    if (parts.layers < 2 || parts.layers == parts.all) break;  // nothing but the head, or nothing before it
    SIGHTLINE_CHECK(graph::check(parts.tail));
    return std::optional(std::move(parts));
  }
  return std::optional<Parts>();
}

Result<std::optional<Wide>> with_quarters(const graph::Graph& graph) {
  constexpr std::int64_t most_features = 6000;
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(graph));
  const Shape& picture = graph.inputs[0].shape;
  std::map<std::int64_t, std::vector<std::pair<std::string, std::int64_t>>> by_size;  // height → maps in their order, with channels
  for (const auto& [name, count] : bottlenecks(graph)) {
    const auto value = values.find(name);
    if (value == values.end() || value->second.dtype != Dtype::f32 || value->second.shape.size() != 4) continue;
    const Shape& shape = value->second.shape;
    if (shape[2] >= 2 && shape[3] >= 2 && 8 * shape[2] <= picture[1]) by_size[shape[2]].emplace_back(name, shape[1]);
  }
  Wide wide{.graph = graph, .cuts = {}, .widths = {}};
  const std::string features = graph.outputs[0].name, own = features + ".last";
  std::int64_t total = graph.outputs[0].shape[1];
  std::vector<graph::Node> nodes;
  for (const auto& [height, maps] : by_size) {  // the smallest, which are the latest, first
    std::int64_t narrowest = maps[0].second;
    for (const auto& [name, channels] : maps) narrowest = std::min(narrowest, channels);
    const auto chosen = std::find_if(maps.rbegin(), maps.rend(), [&](const auto& map) { return 2 * map.second <= 3 * narrowest; });
    if (total + 4 * chosen->second > most_features) break;
    total += 4 * chosen->second;
    const Shape& shape = values.at(chosen->first).shape;
    const std::vector<std::int64_t> kernel{(shape[2] + 1) / 2, (shape[3] + 1) / 2}, strides{shape[2] / 2, shape[3] / 2};
    const std::string quarters = chosen->first + ".quarters", row = quarters + ".row";
    nodes.push_back({quarters, "AveragePool", {chosen->first}, {quarters}, {{"kernel_shape", kernel}, {"strides", strides}}, ""});
    nodes.push_back({row, "Flatten", {quarters}, {row}, {{"axis", std::int64_t{1}}}, ""});
    wide.cuts.push_back(row);
    wide.widths.push_back(4 * chosen->second);
  }
  if (wide.cuts.empty()) return std::optional<Wide>();
  wide.cuts.push_back(own);
  wide.widths.push_back(graph.outputs[0].shape[1]);
  for (graph::Node& node : wide.graph.nodes) {
    std::ranges::replace(node.inputs, features, own);
    std::ranges::replace(node.outputs, features, own);
  }
  wide.graph.nodes.insert(wide.graph.nodes.end(), nodes.begin(), nodes.end());
  wide.graph.nodes.push_back({features, "Concat", wide.cuts, {features}, {{"axis", std::int64_t{1}}}, ""});
  wide.graph.outputs = {{features, Dtype::f32, {-1, total}, {}}};
  SIGHTLINE_CHECK(graph::check(wide.graph));
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(wide.graph));
  const Shape& out = shapes.at(features).shape;
  if (out.size() != 2 || out[1] != total) return std::optional<Wide>();  // a map that does not fall into quarters
  return std::optional(std::move(wide));
}

Levels levels_of(const Tensor& rows) {
  const auto channels = static_cast<std::size_t>(rows.dim(1));
  const auto places = static_cast<std::size_t>(rows.dim(2) * rows.dim(3));
  const auto values = rows.values<float>();
  std::vector<float> low(channels, 0), high(channels, 0);
  for (std::size_t at = 0; at < values.size(); at += places) {
    const std::size_t c = at / places % channels;
    const auto [least, largest] =
        std::minmax_element(values.begin() + static_cast<std::ptrdiff_t>(at), values.begin() + static_cast<std::ptrdiff_t>(at + places));
    low[c] = std::min(low[c], *least);
    high[c] = std::max(high[c], *largest);
  }
  Levels levels;
  for (std::size_t c = 0; c < channels; ++c) {
    const double wider = margin * (static_cast<double>(high[c]) - low[c]);
    // What never lies below zero (behind a ReLU) stays so.
    const double from = low[c] < 0 ? low[c] - wider : 0, to = high[c] + wider;
    levels.low.push_back(static_cast<float>(from));
    levels.step.push_back(static_cast<float>(std::max((to - from) / 255, 1e-12)));
  }
  return levels;
}

Tensor to_bytes(const Tensor& rows, const Levels& levels) {
  const auto count = static_cast<std::size_t>(rows.dim(0)), channels = static_cast<std::size_t>(rows.dim(1));
  const auto places = static_cast<std::size_t>(rows.dim(2) * rows.dim(3));
  Tensor bytes(Dtype::u8, {rows.dim(0), rows.dim(2), rows.dim(3), rows.dim(1)});
  const auto source = rows.values<float>();
  const auto target = bytes.values<std::uint8_t>();
  for (std::size_t n = 0; n < count; ++n)
    for (std::size_t c = 0; c < channels; ++c) {
      const float low = levels.low[c], scale = 1 / levels.step[c];
      const float* from = source.data() + (n * channels + c) * places;
      std::uint8_t* to = target.data() + n * places * channels + c;
      for (std::size_t p = 0; p < places; ++p)
        to[p * channels] = static_cast<std::uint8_t>(std::clamp((from[p] - low) * scale, 0.0F, 255.0F) + 0.5F);
    }
  return bytes;
}

graph::Graph tail_of_bytes(const Parts& parts, const Levels& levels) {
  const std::int64_t channels = parts.shape[0];
  graph::Graph graph = parts.tail;
  graph.inputs = {{"image", Dtype::u8, {-1, parts.shape[1], parts.shape[2], channels}, {}}};
  graph.initializers["levels.step"] = Tensor::of({1, channels, 1, 1}, levels.step);
  graph.initializers["levels.low"] = Tensor::of({1, channels, 1, 1}, levels.low);
  std::vector<graph::Node> nodes;
  const auto add = [&](const char* op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, graph::Attribute> attributes = {}) {
    nodes.push_back({output, op, std::move(inputs), {output}, std::move(attributes), ""});
  };
  add("Cast", {"image"}, "levels.real", {{"to", std::int64_t{1}}});
  add("Transpose", {"levels.real"}, "levels.planes", {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});
  add("Mul", {"levels.planes", "levels.step"}, "levels.scaled");
  add("Add", {"levels.scaled", "levels.low"}, parts.cut);
  nodes.insert(nodes.end(), graph.nodes.begin(), graph.nodes.end());
  graph.nodes = std::move(nodes);
  return graph;
}

graph::Graph with_weights_of(const graph::Graph& whole, const graph::Graph& trained) {
  graph::Graph graph = whole;
  for (auto& [name, tensor] : graph.initializers)
    if (const auto found = trained.initializers.find(name); found != trained.initializers.end()) tensor = found->second;
  return graph;
}

}  // namespace sightline::factory
