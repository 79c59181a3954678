// A QDQ graph taken apart where its integers are, so that engines can be compared layer by layer: what one layer rounds differently, the
// next ones would otherwise make more of.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "graph/graph.h"

namespace sightline::graph {

// The graph with the result of every QuantizeLinear as a further output, in the order of the nodes.
inline Graph opened_at_integers(const Graph& graph) {
  Graph opened = graph;
  const auto infos = infer_shapes(graph);
  for (const Node& node : graph.nodes) {
    const bool asked = std::ranges::count(graph.outputs, node.outputs[0], &ValueInfo::name) > 0;
    if (node.op_type == "QuantizeLinear" && !asked) opened.outputs.push_back(infos->at(node.outputs[0]));
  }
  return opened;
}

// Of such a graph, whose outputs from `first` on are integers: each of them is an input as well, in the same order behind the others, and
// whoever reads it reads the input.
inline Graph parted_at_integers(const Graph& opened, std::size_t first) {
  Graph parted = opened;
  std::map<std::string, std::size_t> place;
  for (std::size_t i = first; i < opened.outputs.size(); ++i) {
    place[opened.outputs[i].name] = i;
    parted.inputs.push_back(opened.outputs[i]);
  }
  for (Node& node : parted.nodes) {
    const auto found = place.find(node.outputs[0]);
    if (found != place.end()) parted.outputs[found->second].name = node.outputs[0] += ".made";
  }
  return parted;
}

struct IntegerDifference {
  double steps = 0;  // the greatest
  double share = 0;  // of the elements that differ
};

inline IntegerDifference integer_difference(const Tensor& got, const Tensor& wanted) {
  const auto at = [](const Tensor& tensor, std::size_t i) {
    return tensor.dtype() == Dtype::u8 ? static_cast<double>(tensor.values<std::uint8_t>()[i])
                                       : static_cast<double>(tensor.values<std::int8_t>()[i]);
  };
  const auto count = static_cast<std::size_t>(wanted.count());
  IntegerDifference difference;
  for (std::size_t i = 0; i < count; ++i) {
    const double steps = std::abs(at(got, i) - at(wanted, i));
    difference.steps = std::max(difference.steps, steps);
    difference.share += steps > 0 ? 1 / static_cast<double>(count) : 0;
  }
  return difference;
}

}  // namespace sightline::graph
