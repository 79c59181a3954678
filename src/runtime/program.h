// A graph made ready for planning, once for all batch sizes: stripped, folded, constant parts computed, and cut into chains that one
// step may be able to execute.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/precision.h"

namespace sightline::runtime {

// A node and the nodes that follow it one by one (each the only reader of the one before): candidates for fusing. All inputs of the
// chain that come from elsewhere are computed before it.
using Chain = std::vector<const graph::Node*>;

struct Program {
  graph::Graph graph;         // not to be changed or moved after chains_of: chains point into it
  std::vector<Chain> chains;  // in execution order; every node is in one of them
  Precision precision = Precision::f32;
  std::set<std::string> kept_f32;  // names of nodes that compute in f32 whatever the precision
};

// serving_graph, BatchNormalization folded, identities gone. Errors: invalid_data; unsupported names node, operator and opset.
Result<graph::Graph> folded_graph(const graph::Graph& graph);
// DequantizeLinear of initializers: its numbers are constant, but a layer of integers does not want them.
bool is_dequantized_constant(const graph::Graph& graph, const graph::Node& node);
// Values that layers take for their weights, made by DequantizeLinear, where their input is as well: both are left as the integers that
// they are. None where the processor cannot multiply integers.
std::set<std::string> integer_weights(const graph::Graph& graph);
std::vector<Chain> chains_of(const graph::Graph& graph);

// Whether each image of a batch is computed without looking at the others, so that a batch may be cut into pieces. True only when that is
// plain to see: every value carries the batch as its first dimension, and no operator works along it.
bool images_are_independent(const graph::Graph& graph);

// "node \"conv_3\" (Conv, opset 17)"
std::string describe(const graph::Node& node, std::int64_t opset);

}  // namespace sightline::runtime
