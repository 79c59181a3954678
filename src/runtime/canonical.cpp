#include "runtime/canonical.h"

#include <algorithm>
#include <optional>

#include "graph/operators.h"
#include "runtime/program.h"

namespace sightline::runtime {
namespace {

using graph::Graph;
using graph::Node;

// The same graph, values and initializers called by their digests; what is computed twice is there once.
Graph named_by_content(const Graph& graph, const std::map<std::string, Digest>& digests) {
  const auto name_of_value = [&](const std::string& value) { return value.empty() ? value : digests.at(value); };
  Graph result;
  result.opset = graph.opset;
  for (const graph::ValueInfo& input : graph.inputs) {
    result.inputs.push_back(input);
    result.inputs.back().name = name_of_value(input.name);
  }
  for (const auto& [name, tensor] : graph.initializers) result.initializers.emplace(name_of_value(name), tensor);
  std::set<std::string> made;
  for (const Node& node : graph.nodes) {
    Node named = node;
    for (std::string& input : named.inputs) input = name_of_value(input);
    for (std::string& output : named.outputs) output = name_of_value(output);
    if (made.insert(first_output(named)).second) result.nodes.push_back(std::move(named));
  }
  for (const graph::ValueInfo& output : graph.outputs) {
    const std::string name = name_of_value(output.name);
    if (std::ranges::count(result.outputs, name, &graph::ValueInfo::name) > 0) continue;
    result.outputs.push_back(output);
    result.outputs.back().name = name;
  }
  return result;
}

// A constant K×F from Gemm's or MatMul's second input.
Tensor rows_of(const Tensor& weight, bool transposed, float factor) {
  const std::int64_t rows = weight.dim(transposed ? 0 : 1), columns = weight.dim(transposed ? 1 : 0);
  Tensor result(Dtype::f32, {rows, columns});
  const auto from = weight.values<float>();
  const auto to = result.values<float>();
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      to[static_cast<std::size_t>(r * columns + c)] = factor * from[static_cast<std::size_t>(transposed ? r * columns + c : c * rows + r)];
  return result;
}

// Looks from an output of the graph backwards.
class HeadFinder {
 public:
  HeadFinder(const Graph& graph, const std::map<std::string, graph::ValueInfo>& values) : graph_(graph), values_(values) {
    for (const Node& node : graph.nodes) {
      for (const std::string& input : node.inputs) ++readers_[input];
      for (const std::string& output : node.outputs) maker_[output] = &node;
    }
    for (const graph::ValueInfo& output : graph.outputs) ++readers_[output.name];
  }

  // Fills `nodes` with what the head replaces.
  std::optional<LinearHead> find(const std::string& output, std::set<std::string>& nodes) const {
    LinearHead head;
    std::set<std::string> seen;
    std::string at = output;
    const Node* node = step(at, true, seen);
    if (node != nullptr && node->op_type == "Softmax" && is_last_axis(*node)) {
      head.softmax = true;
      at = node->inputs[0];
      node = step(at, false, seen);
    }
    float factor = 1;
    if (node != nullptr && node->op_type == "Mul") {
      const bool second = number(node->inputs[1]) != nullptr;
      const Tensor* scale = number(node->inputs[second ? 1 : 0]);
      if (scale == nullptr) return std::nullopt;
      factor = scale->values<float>()[0];
      at = node->inputs[second ? 0 : 1];
      node = step(at, false, seen);
    }
    const Tensor* bias = nullptr;
    if (node != nullptr && node->op_type == "Add") {
      const bool second = matrix_or_vector(node->inputs[1]) != nullptr;
      bias = matrix_or_vector(node->inputs[second ? 1 : 0]);
      if (bias == nullptr) return std::nullopt;
      at = node->inputs[second ? 0 : 1];
      node = step(at, false, seen);
      if (node == nullptr || node->op_type != "MatMul") return std::nullopt;
    }
    if (node == nullptr || (node->op_type != "MatMul" && node->op_type != "Gemm")) return std::nullopt;
    const bool gemm = node->op_type == "Gemm";
    const Tensor* weight = matrix_or_vector(node->inputs[1]);
    const auto features = values_.find(node->inputs[0]);
    if (weight == nullptr || weight->rank() != 2 || weight->count() == 0 || features == values_.end()) return std::nullopt;
    const graph::ValueInfo& info = features->second;
    if (info.dtype != Dtype::f32 || info.shape.size() != 2 || info.shape[0] >= 0 || node->integer("transA", 0) != 0) return std::nullopt;
    if (gemm && node->real("alpha", 1.0F) != 1.0F) return std::nullopt;
    const bool transposed = gemm && node->integer("transB", 0) != 0;
    const std::int64_t rows = weight->dim(transposed ? 0 : 1);
    float beta = 1;
    if (gemm && node->inputs.size() > 2 && !node->inputs[2].empty()) {
      beta = node->real("beta", 1.0F);
      bias = matrix_or_vector(node->inputs[2]);
      if (bias == nullptr) return std::nullopt;
    }
    if (bias != nullptr && bias->count() != 1 && (bias->count() != rows || bias->shape().back() != rows)) return std::nullopt;
    head.features = node->inputs[0];
    head.weight = rows_of(*weight, transposed, factor);
    head.bias = Tensor::zeros(Dtype::f32, {rows});
    for (std::size_t i = 0; bias != nullptr && i < static_cast<std::size_t>(rows); ++i)
      head.bias.values<float>()[i] = factor * beta * bias->values<float>()[bias->count() == 1 ? 0 : i];
    nodes.insert(seen.begin(), seen.end());
    return head;
  }

 private:
  // The node that makes `value`, if nobody else reads that; the output itself has one reader, the graph.
  const Node* step(const std::string& value, bool is_output, std::set<std::string>& seen) const {
    const auto maker = maker_.find(value);
    if (maker == maker_.end() || readers_.at(value) != 1 || !maker->second->domain.empty() || maker->second->outputs.size() != 1)
      return nullptr;
    if (!is_output && std::ranges::count(graph_.outputs, value, &graph::ValueInfo::name) > 0) return nullptr;
    const auto info = values_.find(value);
    if (info == values_.end() || info->second.dtype != Dtype::f32 || info->second.shape.size() != 2) return nullptr;
    seen.insert(value);
    return maker->second;
  }
  bool is_last_axis(const Node& node) const {
    const std::int64_t axis = node.integer("axis", graph_.opset < 13 ? 1 : -1);
    return axis == 1 || axis == -1;
  }
  const Tensor* matrix_or_vector(const std::string& value) const {
    const Tensor* tensor = graph::find_constant(graph_, value);
    return tensor != nullptr && tensor->dtype() == Dtype::f32 && tensor->rank() >= 1 && tensor->rank() <= 2 ? tensor : nullptr;
  }
  const Tensor* number(const std::string& value) const {
    const Tensor* tensor = graph::find_constant(graph_, value);
    return tensor != nullptr && tensor->dtype() == Dtype::f32 && tensor->count() == 1 && tensor->rank() <= 2 ? tensor : nullptr;
  }

  const Graph& graph_;
  const std::map<std::string, graph::ValueInfo>& values_;
  std::map<std::string, int> readers_;
  std::map<std::string, const Node*> maker_;
};

// Takes the heads off; what remains has their features as outputs.
void split_heads(Canonical& canonical) {
  Graph& graph = canonical.graph;
  std::set<std::string> gone, features;
  std::vector<graph::ValueInfo> outputs;
  const HeadFinder finder(graph, canonical.values);
  for (const graph::ValueInfo& output : graph.outputs) {
    auto head = finder.find(output.name, gone);
    if (!head) {
      outputs.push_back(output);
      continue;
    }
    features.insert(head->features);
    canonical.heads.emplace(output.name, *std::move(head));
  }
  for (const std::string& value : features)
    if (std::ranges::count(outputs, value, &graph::ValueInfo::name) == 0) outputs.push_back(canonical.values.at(value));
  graph.outputs = std::move(outputs);
  std::erase_if(graph.nodes, [&](const Node& node) { return gone.contains(first_output(node)); });
  std::set<std::string> read;
  for (const Node& node : graph.nodes) read.insert(node.inputs.begin(), node.inputs.end());
  std::erase_if(graph.initializers, [&](const auto& entry) { return !read.contains(entry.first); });
}

void find_values_of_shapes(Canonical& canonical) {
  const Graph& graph = canonical.graph;
  std::set<std::string> known;
  for (const auto& [name, tensor] : graph.initializers) known.insert(name);
  for (const Node& node : graph.nodes) {
    const bool of_shape = node.domain.empty() && (node.op_type == "Shape" || node.op_type == "Size");
    const bool of_known =
        std::ranges::all_of(node.inputs, [&](const std::string& input) { return input.empty() || known.contains(input); });
    const bool worked_out = std::ranges::all_of(
        node.outputs, [&](const std::string& output) { return output.empty() || canonical.values.at(output).value.defined(); });
    if (!of_shape && !of_known && !worked_out) continue;
    canonical.of_shapes.insert(first_output(node));
    known.insert(node.outputs.begin(), node.outputs.end());
  }
}

}  // namespace

const std::string& first_output(const Node& node) {
  const auto found = std::ranges::find_if(node.outputs, [](const std::string& output) { return !output.empty(); });
  return found == node.outputs.end() ? node.outputs.at(0) : *found;
}

Result<Canonical> canonical_of(const Graph& graph) {
  SIGHTLINE_CHECK(graph::check(graph));
  const Graph serving = graph::serving_graph(graph);
  const std::map<std::string, Digest> digests = graph::merkle_hashes(serving);
  Canonical canonical;
  canonical.inputs = serving.inputs;
  SIGHTLINE_TRY(const auto own_values, graph::infer_shapes(serving));
  for (const graph::ValueInfo& input : serving.inputs) canonical.input_values.push_back(digests.at(input.name));
  for (const graph::ValueInfo& output : serving.outputs) {
    canonical.outputs.push_back(own_values.at(output.name));
    canonical.output_values.push_back(digests.at(output.name));
    if (const auto found = serving.initializers.find(output.name); found != serving.initializers.end())
      canonical.constants.emplace(canonical.output_values.back(), found->second);
  }
  Graph named = named_by_content(serving, digests);
  // Outputs that are inputs or initializers need no graph.
  std::erase_if(named.outputs, [&](const graph::ValueInfo& output) {
    return canonical.constants.contains(output.name) || std::ranges::count(canonical.input_values, output.name) > 0;
  });
  canonical.graph = std::move(named);
  for (const auto& [name, info] : own_values) canonical.values[digests.at(name)] = info;
  for (auto& [name, info] : canonical.values) info.name = name;
  split_heads(canonical);
  return canonical;
}

Result<void> fold(Canonical& canonical) {
  SIGHTLINE_TRY(canonical.graph, folded_graph(canonical.graph));
  SIGHTLINE_TRY(canonical.values, graph::infer_shapes(canonical.graph));
  find_values_of_shapes(canonical);
  constexpr std::int64_t images = 7;  // any number: N·3 is not the batch
  SIGHTLINE_TRY(const auto counted, graph::infer_shapes(canonical.graph, images));
  for (const auto& [name, info] : counted) {
    const Shape& shape = canonical.values.at(name).shape;
    const auto free = std::ranges::count(shape, -1);
    if (free == 0 || (free == 1 && shape[0] == -1 && info.shape[0] == images)) canonical.handed.insert(name);
  }
  return {};
}

Canonical with_output(const Canonical& canonical, const std::string& value) {
  Canonical one;
  one.values = canonical.values;
  one.of_shapes = canonical.of_shapes;
  one.handed = canonical.handed;
  one.graph = canonical.graph;
  std::erase_if(one.graph.outputs, [&](const graph::ValueInfo& output) { return output.name != value; });
  one.graph = graph::serving_graph(one.graph);
  return one;
}

}  // namespace sightline::runtime
