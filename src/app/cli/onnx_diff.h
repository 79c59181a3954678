// Where two networks differ: in what they compute (Merkle digests of their values, so that names do not count) and in their weights.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::cli {

struct WeightDifference {
  enum class Kind { value, shape, only_left, only_right };
  std::string name;
  Kind kind = Kind::value;
  std::string left, right;  // dtype and shape
  double difference = 0;    // of values: the largest, and the largest relative to the left one's largest magnitude
  double relative = 0;
};

struct GraphDifference {
  bool same = false;                                    // the same function, weights and all
  bool same_structure = false;                          // the same function when weights are left out of account
  std::vector<std::string> notes;                       // inputs, outputs, opset
  std::vector<std::string> only_left, only_right;       // nodes where the ways part: what goes into them is the same on both sides
  std::size_t following_left = 0, following_right = 0;  // nodes that differ only because something before them does
  std::vector<WeightDifference> weights;                // largest relative difference first
};

GraphDifference difference_of(const graph::Graph& left, const graph::Graph& right);

}  // namespace sightline::cli
