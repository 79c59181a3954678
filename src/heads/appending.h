// Nodes behind a value of a graph that exists. Internal to this folder.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::heads {

// Names everything after `prefix`, in the order in which it comes.
class Appender {
 public:
  Appender(graph::Graph& graph, std::string prefix) : graph_(&graph), prefix_(std::move(prefix)) {}

  // The one output's name: `output`, or one that follows from the prefix.
  std::string node(const std::string& op_type, std::vector<std::string> inputs, std::map<std::string, graph::Attribute> attributes = {},
                   std::string output = {});
  std::string constant(const std::string& name, Tensor value);

 private:
  graph::Graph* graph_;
  std::string prefix_;
  int count_ = 0;
};

// Shape N×C×h×w of a map with known C, h and w. Errors: not_found, invalid_data.
Result<Shape> shape_of_map(const graph::Graph& graph, const std::string& value);

// The part of the graph that computes `value`, which becomes its only output.
Result<graph::Graph> ending_at(graph::Graph graph, const std::string& value);

}  // namespace sightline::heads
