// Files of opsets 7 to 12 spelled as opset 13 has it: attributes that became inputs, Softmax over what lies behind its axis, operators that
// got another name. Specification: the changelog of ONNX's operators, versions 8 to 13.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

class Raising {
 public:
  Raising(Graph& graph, const std::map<std::string, ValueInfo>& values) : graph_(graph), values_(values) {}

  Result<void> run() {
    for (Node& node : graph_.nodes) {
      if (node.domain.empty()) SIGHTLINE_CHECK(raise(node));
      nodes_.push_back(std::move(node));
    }
    graph_.nodes = std::move(nodes_);
    graph_.opset = 13;
    return {};
  }

 private:
  Result<void> raise(Node& node) {
    const std::string op = node.op_type;
    if (op == "BatchNormalization") node.attributes.erase("spatial");
    if (op == "Scatter") node.op_type = "ScatterElements";
    if (op == "Squeeze" || op == "Unsqueeze" || op == "ReduceSum") integers_to_input(node, "axes", 1);
    if (op == "Split") integers_to_input(node, "split", 1);
    if (op == "TopK" && node.attributes.contains("k")) {
      set_input(node, 1, integers("k", {node.integer("k", 1)}));
      node.attributes.erase("k");
    }
    if (op == "Slice" && node.attributes.contains("starts")) {
      const bool axes = node.attributes.contains("axes");
      integers_to_input(node, "starts", 1);
      integers_to_input(node, "ends", 2);
      if (axes) integers_to_input(node, "axes", 3);
    }
    if (op == "Clip") {
      for (const auto& [key, slot] : {std::pair{"min", 1}, std::pair{"max", 2}}) real_to_input(node, key, static_cast<std::size_t>(slot));
    }
    if (op == "Pad") {
      integers_to_input(node, "pads", 1);
      real_to_input(node, "value", 2);
    }
    if (op == "Dropout") real_to_input(node, "ratio", 1);
    if (op == "Upsample" || (op == "Resize" && graph_.opset < 11)) return stretch(node);
    if (op == "Softmax" || op == "LogSoftmax" || op == "Hardmax") return normalise(node);
    return {};
  }

  // Upsample and the first Resize take the pixel at or before the place in the input.
  Result<void> stretch(Node& node) {
    if (node.attributes.contains("scales")) {
      const auto& scales = std::get<std::vector<float>>(node.attributes.at("scales"));
      set_input(node, 1, constant("scales", Tensor::of<float>({static_cast<std::int64_t>(scales.size())}, scales)));
      node.attributes.erase("scales");
    }
    if (node.inputs.size() < 2) return fault(node, "it does not say how far it stretches");
    node.op_type = "Resize";
    node.inputs = {node.inputs[0], "", node.inputs[1]};
    node.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
    if (node.text("mode", "nearest") == "nearest") node.attributes["nearest_mode"] = std::string("floor");
    return {};
  }

  // Until opset 12 everything from the axis on was one row.
  Result<void> normalise(Node& node) {
    const auto rank = values_.at(node.inputs[0]).shape.size();
    SIGHTLINE_TRY(const std::int64_t axis, axis_of(node, node.integer("axis", 1), rank));
    if (axis + 1 == static_cast<std::int64_t>(rank)) {
      node.attributes["axis"] = std::int64_t{-1};
      return {};
    }
    // Sizes stay what they are, the free one as well: a matrix, normalised, in the first shape.
    const std::string shape = fresh(node.outputs[0] + "_shape"), rows = fresh(node.outputs[0] + "_rows");
    const std::string normal = fresh(node.outputs[0] + "_normal"), result = node.outputs[0];
    nodes_.push_back({shape, "Shape", {node.inputs[0]}, {shape}, {}, ""});
    nodes_.push_back({rows, "Flatten", {node.inputs[0]}, {rows}, {{"axis", axis}}, ""});
    nodes_.push_back({node.name, node.op_type, {rows}, {normal}, {{"axis", std::int64_t{-1}}}, ""});
    node = Node{fresh(result + "_reshape"), "Reshape", {normal, shape}, {result}, {}, ""};
    return {};
  }

  std::string fresh(const std::string& wish) {
    std::string name = wish;
    for (int i = 1; values_.contains(name) || graph_.initializers.contains(name) || !taken_.insert(name).second; ++i)
      name = fmt::format("{}_{}", wish, i);
    return name;
  }
  std::string constant(const std::string& wish, Tensor tensor) {
    const std::string name = fresh(wish);
    graph_.initializers[name] = std::move(tensor);
    return name;
  }
  std::string integers(const std::string& wish, const std::vector<std::int64_t>& values) {
    return constant(wish, Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  }
  static void set_input(Node& node, std::size_t slot, const std::string& name) {
    if (node.inputs.size() <= slot) node.inputs.resize(slot + 1);
    node.inputs[slot] = name;
  }
  void integers_to_input(Node& node, const char* key, std::size_t slot) {
    if (!node.attributes.contains(key)) return;
    set_input(node, slot, integers(fmt::format("{}_{}", node.outputs[0], key), node.integers(key)));
    node.attributes.erase(key);
  }
  void real_to_input(Node& node, const char* key, std::size_t slot) {
    if (!node.attributes.contains(key)) return;
    set_input(node, slot, constant(fmt::format("{}_{}", node.outputs[0], key), Tensor::filled({}, node.real(key, 0))));
    node.attributes.erase(key);
  }

  Graph& graph_;
  const std::map<std::string, ValueInfo>& values_;
  std::set<std::string> taken_;
  std::vector<Node> nodes_;
};

}  // namespace

Result<Graph> raise_opset(const Graph& graph, std::int64_t opset) {
  if (opset > 17 || graph.opset < 7)
    return Error{ErrorKind::unsupported, fmt::format("opset {} cannot be raised to {}: 7 to 17 are known here", graph.opset, opset)};
  Graph raised = graph;
  if (graph.opset >= opset) return raised;
  // What is known up to 17 spells the same from 13 on.
  if (graph.opset < 13) {
    SIGHTLINE_TRY(const auto values, infer_shapes(graph));
    SIGHTLINE_CHECK(Raising(raised, values).run());
  }
  raised.opset = std::max<std::int64_t>(opset, 13);
  return raised;
}

}  // namespace sightline::graph
