// Files of opset 6 spelled as opset 7 has it: broadcasting that was asked for by attributes and aligned at an axis, is_test, PRelu's slopes
// per channel. Specification: the changelog of ONNX's operators, version 7.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

constexpr std::array<std::string_view, 10> kBroadcasting{"Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub"};

class Respelling {
 public:
  explicit Respelling(Graph& graph) : graph_(graph) {
    for (const ValueInfo& input : graph.inputs) ranks_[input.name] = input.shape.size();
    for (const auto& [name, tensor] : graph.initializers) ranks_[name] = tensor.rank();
  }

  Result<void> run() {
    for (Node& node : graph_.nodes) {
      if (node.domain.empty()) SIGHTLINE_CHECK(respell(node));
      nodes_.push_back(std::move(node));
    }
    graph_.nodes = std::move(nodes_);
    graph_.opset = 7;
    return {};
  }

 private:
  Result<void> respell(Node& node) {
    const std::string& op = node.op_type;
    if (op == "BatchNormalization" || op == "Dropout") node.attributes.erase("is_test");
    if (op == "Gemm") node.attributes.erase("broadcast");
    if (op == "Xor" || std::ranges::count(kBroadcasting, op) > 0) {
      const bool aligned = node.attributes.contains("axis") && node.integer("broadcast", 0) != 0;
      const std::int64_t axis = node.integer("axis", -1);
      node.attributes.erase("axis");
      node.attributes.erase("broadcast");
      if (aligned && axis >= 0 && node.inputs.size() == 2) return align(node, axis);
    }
    // One slope for each channel, unless there is one for all.
    if (op == "PRelu" && node.inputs.size() == 2 && ranks_.contains(node.inputs[1]) && ranks_.at(node.inputs[1]) == 1) {
      const Tensor* slope = find_constant(graph_, node.inputs[1]);
      if (slope == nullptr || slope->count() != 1) return align(node, 1);
    }
    return {};
  }

  // Input 1 begins at this axis of input 0: axes of one behind it make that so.
  Result<void> align(Node& node, std::int64_t axis) {
    const auto wide = ranks_.find(node.inputs[0]), narrow = ranks_.find(node.inputs[1]);
    if (wide == ranks_.end() || narrow == ranks_.end())
      return Error{
          ErrorKind::unsupported,
          fmt::format("{}: it broadcasts along axis {} what is computed; convert the file to opset 7 or later", describe(node), axis)};
    const auto first = static_cast<std::int64_t>(narrow->second), rank = static_cast<std::int64_t>(wide->second);
    if (axis > rank - first) return fault(node, fmt::format("axis {} leaves no room for {} axes in {}", axis, first, rank));
    std::vector<std::int64_t> axes;
    for (std::int64_t i = first; i < rank - axis; ++i) axes.push_back(i);
    if (axes.empty()) return {};
    const std::string aligned = fmt::format("{}.aligned.{}", node.inputs[1], nodes_.size());
    nodes_.push_back({aligned, "Unsqueeze", {node.inputs[1]}, {aligned}, {{"axes", axes}}, ""});
    node.inputs[1] = aligned;
    return {};
  }

  Graph& graph_;
  std::map<std::string, std::size_t> ranks_;
  std::vector<Node> nodes_;
};

}  // namespace

Result<void> respell_opset_6(Graph& graph) { return Respelling(graph).run(); }

}  // namespace sightline::graph
