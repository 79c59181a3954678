// A model under names that say what its values are: every value is called by its Merkle digest, taken before anything is folded. What two
// models compute alike has the same name in both, wherever they came from. BatchNormalization is folded afterwards, so that it is folded
// alike. Linear heads are taken off: they are evaluated for many models at once (head_bank.h).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::runtime {

// softmax?(features · weightᵀ + bias)
struct LinearHead {
  std::string features;  // a value, f32 N×F
  Tensor weight;         // f32 K×F
  Tensor bias;           // f32 K
  bool softmax = false;
};

struct Canonical {
  std::vector<graph::ValueInfo> inputs, outputs;         // as the model has them, under its own names
  std::vector<std::string> input_values, output_values;  // what they are called here
  std::map<std::string, LinearHead> heads;               // outputs that are linear heads
  std::map<std::string, Tensor> constants;               // outputs that are initializers
  graph::Graph graph;                                    // the rest; its outputs are the other outputs and the heads' features
  std::map<std::string, graph::ValueInfo> values;        // of the rest, batch free
  // Nodes, by their first output, whose results follow from shapes and constants: planning wants to know them, so each part that reads
  // them computes them itself.
  std::set<std::string> of_shapes;
  // Values that may be handed from one session to another: the batch comes first, and nowhere else, or there is none.
  std::set<std::string> handed;
};

// Names and heads; quick, but for hashing the weights. Errors: as Session::create has before planning.
Result<Canonical> canonical_of(const graph::Graph& graph);
// The rest of it, which only what is not known yet has to have: BatchNormalization folded, of_shapes and handed filled.
Result<void> fold(Canonical& canonical);

// The model with this output of its graph only.
Canonical with_output(const Canonical& canonical, const std::string& value);

// The first output that has a name.
const std::string& first_output(const graph::Node& node);

}  // namespace sightline::runtime
