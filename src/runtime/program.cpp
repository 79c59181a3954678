#include "runtime/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "runtime/operators.h"
#include "runtime/post_ops.h"
#include "runtime/session.h"

namespace sightline::runtime {
namespace {

// Operators whose planning functions look at what follows them.
constexpr std::string_view heads[] = {
    "Add", "BatchNormalization", "Cast", "Concat", "Conv", "ConvTranspose", "Div", "Gemm", "MatMul", "Mul", "Sub"};
constexpr std::string_view followers_of_arithmetic[] = {"Add",       "Clip", "Div",   "Exp", "HardSigmoid",    "HardSwish",
                                                        "LeakyRelu", "Mul",  "PRelu", "Pow", "QuantizeLinear", "Relu",
                                                        "Sigmoid",   "Sqrt", "Sub",   "Tanh"};
constexpr std::string_view followers_of_concat[] = {"Reshape", "Split", "Transpose"};
constexpr std::string_view followers_of_cast[] = {"Add", "Div", "Mul", "Sub", "Transpose"};

bool may_follow(const graph::Node& head, const graph::Node& next, const std::string& value) {
  if (!next.domain.empty()) return false;
  if (head.op_type == "Concat") return std::ranges::count(followers_of_concat, next.op_type) > 0 && next.inputs[0] == value;
  if (next.outputs.size() != 1) return false;
  if (head.op_type == "Cast") return std::ranges::count(followers_of_cast, next.op_type) > 0;
  return std::ranges::count(followers_of_arithmetic, next.op_type) > 0;
}

}  // namespace

std::string describe(const graph::Node& node, std::int64_t opset) {
  const std::string name = !node.name.empty() ? node.name : node.outputs.empty() ? "" : node.outputs[0];
  return fmt::format("node \"{}\" ({}{}, opset {})", name, node.domain.empty() ? "" : node.domain + ".", node.op_type, opset);
}

Result<graph::Graph> folded_graph(const graph::Graph& graph) {
  SIGHTLINE_CHECK(graph::check(graph));
  graph::Graph folded = graph::remove_identities(graph::fold_batch_norm(graph::serving_graph(graph)));
  for (const graph::Node& node : folded.nodes) {
    if (runtime::find_operator(node) != nullptr) continue;
    return Error{ErrorKind::unsupported, describe(node, folded.opset) + ": the runtime does not have this operator" +
                                             did_you_mean(node.op_type, supported_operators())};
  }
  return folded;
}

std::set<std::string> integer_weights(const graph::Graph& graph) {
  constexpr std::string_view layers[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
  std::set<std::string> weights, dequantized;
  if (!processor_has_int8()) return weights;
  for (const graph::Node& node : graph.nodes)
    if (node.op_type == "DequantizeLinear") dequantized.insert(node.outputs[0]);
  for (const graph::Node& node : graph.nodes)
    if (std::ranges::count(layers, node.op_type) > 0 && dequantized.contains(node.inputs[0]) && dequantized.contains(node.inputs[1]))
      weights.insert(node.inputs[1]);
  return weights;
}

bool is_dequantized_constant(const graph::Graph& graph, const graph::Node& node) {
  return node.op_type == "DequantizeLinear" && node.domain.empty() &&
         std::ranges::all_of(node.inputs, [&](const std::string& input) { return input.empty() || graph.initializers.contains(input); });
}

std::vector<Chain> chains_of(const graph::Graph& graph) {
  std::map<std::string, std::vector<std::size_t>> readers;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (const std::string& input : graph.nodes[i].inputs) readers[input].push_back(i);
  std::set<std::string> outputs;
  for (const graph::ValueInfo& output : graph.outputs) outputs.insert(output.name);

  std::vector<bool> taken(graph.nodes.size(), false);
  std::map<std::size_t, Chain> by_last;  // a chain runs where its last node stands, when all that it needs is there
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (taken[i]) continue;
    const graph::Node& head = graph.nodes[i];
    Chain chain{&head};
    taken[i] = true;
    std::size_t last = i;
    if (head.domain.empty() && std::ranges::count(heads, head.op_type) > 0) {
      while (graph.nodes[last].outputs.size() == 1 && !outputs.contains(graph.nodes[last].outputs[0])) {
        const auto it = readers.find(graph.nodes[last].outputs[0]);
        if (it == readers.end() || it->second.size() > 2) break;
        const std::vector<std::size_t>& next = it->second;
        // Two readers only where they are a gate and its product, and nobody else reads the gate.
        if (next.size() == 2) {
          const graph::Node &gate = graph.nodes[next[0]], &product = graph.nodes[next[1]];
          if (!is_gated(gate, product, graph.nodes[last].outputs[0]) || readers.at(gate.outputs[0]).size() != 1 ||
              outputs.contains(gate.outputs[0]))
            break;
        }
        if (std::ranges::any_of(
                next, [&](std::size_t each) { return taken[each] || !may_follow(head, graph.nodes[each], graph.nodes[last].outputs[0]); }))
          break;
        for (const std::size_t each : next) {
          chain.push_back(&graph.nodes[each]);
          taken[each] = true;
        }
        last = next.back();
      }
    }
    by_last[last] = std::move(chain);
  }
  std::vector<Chain> chains;
  chains.reserve(by_last.size());
  for (auto& [last, chain] : by_last) chains.push_back(std::move(chain));
  return chains;
}

bool images_are_independent(const graph::Graph& graph) {
  for (const graph::ValueInfo& input : graph.inputs)
    if (input.shape.empty() || input.shape[0] >= 0) return false;
  constexpr std::int64_t images = 7;  // any number: a first dimension that is computed from the batch (N·3) is not the batch
  const auto values = graph::infer_shapes(graph), counted = graph::infer_shapes(graph, images);
  if (!values.ok() || !counted.ok() || graph.inputs.empty()) return false;
  std::set<std::string> dequantized;
  for (const graph::Node& node : graph.nodes)
    if (is_dequantized_constant(graph, node)) dequantized.insert(node.outputs[0]);
  const auto computed = [&](const std::string& value) {
    return !value.empty() && !graph.initializers.contains(value) && !dequantized.contains(value);
  };
  // What follows from shapes is known when a plan is made, for the images that it is made for.
  const auto known = [&](const std::string& value) { return !value.empty() && counted->at(value).value.defined(); };
  for (const graph::ValueInfo& output : graph.outputs)
    if (!computed(output.name) || known(output.name)) return false;
  for (const graph::Node& node : graph.nodes) {
    if (std::ranges::all_of(node.outputs, known) || is_dequantized_constant(graph, node)) continue;
    const Operator* row = runtime::find_operator(node);
    if (row == nullptr || row->mixes_images) return false;
    // The batch stays in front, and nowhere else. That already excludes transposing it, reducing it, gathering along it, and products
    // over it.
    for (const std::string& output : node.outputs) {
      if (output.empty()) continue;
      const Shape& shape = values->at(output).shape;
      if (shape.empty() || shape[0] >= 0 || std::ranges::count(shape, -1) != 1 || counted->at(output).shape[0] != images) return false;
    }
    std::size_t rank = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::string& input = node.inputs[i];
      const Shape& shape = values->at(input.empty() ? graph.inputs[0].name : input).shape;
      if (!computed(input) || known(input)) {
        // A constant may not have a number for each image; what is computed from the batch may only decide shapes.
        if (node.op_type == "Concat") return false;
        const bool shapes_only = (graph::find_operator(node)->bound >> i & 1U) != 0;
        if (computed(input) && !shapes_only && graph::Constants(graph, &*values).find(input) == nullptr) return false;
        continue;
      }
      // Broadcasting aligns last dimensions: with different ranks the batch would meet another axis.
      if (rank != 0 && shape.size() != rank) return false;
      rank = shape.size();
    }
    constexpr std::string_view along_axis[] = {"Concat", "Hardmax", "LayerNormalization", "LogSoftmax", "LpNormalization", "Softmax"};
    const std::int64_t axis = node.integer("axis", graph.opset < 13 ? 1 : -1);
    if (std::ranges::count(along_axis, node.op_type) > 0 && (axis == 0 || axis == -static_cast<std::int64_t>(rank))) return false;
    // Images picked by numbers that are computed from images.
    if (node.op_type == "Gather" && computed(node.inputs[0]) && node.integer("axis", 0) == 0) return false;
  }
  return true;
}

}  // namespace sightline::runtime
