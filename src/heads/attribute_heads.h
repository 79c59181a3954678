// Heads for several questions about one picture on the same features, as one graph (tasks/attributes.h says what its outputs mean).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "heads/head.h"

namespace sightline::heads {

struct AttributeHead {
  Tensor weight, bias;     // f32 n×D, n: scores of n values that exclude each other, or with n = 1 the score of yes
  double threshold = 0.5;  // of a question of yes or no: the probability from which on yes is said
};

// Of a fitted head without a projection on all D features, the temperature within. yes_or_no: of the classes no (0) and yes (1) the one
// score whose sigmoid is the probability of yes.
AttributeHead attribute_head(const Head& head, bool yes_or_no);

// Behind an input `features_value` f32 N×D: "probabilities" and "margins", f32 N×L, the heads' labels in their order; training output
// "logits". Error invalid_data: no heads, or of different D.
Result<graph::Graph> attributes_graph(std::span<const AttributeHead> heads, const std::string& features_value);

}  // namespace sightline::heads
