// The operators once more, as plainly as they can be written, for the tests to compare with: straight from the ONNX specification, sums in
// double, no layouts, no fusing, no folding.
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace sightline::runtime {

// The graph's outputs. Asserts where the graph is not what the tests use.
std::vector<Tensor> reference_run(const graph::Graph& graph, std::span<const Tensor> inputs);

// Largest difference relative to the largest magnitude of `wanted` (at least 1e-3); infinite when dtype or shape differ.
double relative_difference(const Tensor& got, const Tensor& wanted);

}  // namespace sightline::runtime
