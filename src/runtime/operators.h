// The table of operators: which function plans a node. Each function lives in the file of its family.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/planner.h"

namespace sightline::runtime {

using Nodes = std::span<const graph::Node* const>;

struct Operator {
  const char* name;
  // Plans one node, or
  Result<void> (*plan)(Planner& planner, const graph::Node& node);
  // plans the first node of a chain and as many of the next as fit into the same step; gives how many that were (at least one).
  Result<std::size_t> (*plan_chain)(Planner& planner, Nodes chain);
  // Whether an image of a batch may be computed from others, although the result has the batch in front as the input has.
  bool mixes_images = false;
  // Whether its outputs are elements of its first input, unchanged, whatever their dtype.
  bool moves = false;
};

// Null when the runtime does not have the operator.
const Operator* find_operator(const graph::Node& node);

// arithmetic.cpp: broadcasting functions of two tensors
Result<std::size_t> plan_arithmetic(Planner& planner, Nodes chain);
// elementwise.cpp: functions of one tensor
Result<void> plan_elementwise(Planner& planner, const graph::Node& node);
// Sigmoid and HardSigmoid, together with the product that makes them a gate
Result<std::size_t> plan_gate(Planner& planner, Nodes chain);
Result<void> plan_prelu(Planner& planner, const graph::Node& node);
// functions.cpp: functions of one tensor, and Clip, that oneDNN lacks or lacks for the dtype
Result<void> plan_function(Planner& planner, const graph::Node& node);
Result<void> plan_clip_loops(Planner& planner, const graph::Node& node);
// logic.cpp: broadcasting loops
Result<void> plan_comparison(Planner& planner, const graph::Node& node);
Result<void> plan_where(Planner& planner, const graph::Node& node);
Result<void> plan_remainder(Planner& planner, const graph::Node& node);
Result<void> plan_bit_shift(Planner& planner, const graph::Node& node);
Result<void> plan_fold(Planner& planner, const graph::Node& node);
Result<void> plan_prelu_loops(Planner& planner, const graph::Node& node);
// convolution.cpp
Result<std::size_t> plan_convolution(Planner& planner, Nodes chain);
Result<std::size_t> plan_transposed_convolution(Planner& planner, Nodes chain);
// normalization.cpp
Result<std::size_t> plan_batch_normalization(Planner& planner, Nodes chain);
// linear.cpp
Result<std::size_t> plan_gemm(Planner& planner, Nodes chain);
Result<std::size_t> plan_matmul(Planner& planner, Nodes chain);
// pooling.cpp
Result<void> plan_pool(Planner& planner, const graph::Node& node);
Result<void> plan_global_pool(Planner& planner, const graph::Node& node);
Result<void> plan_reduce_mean(Planner& planner, const graph::Node& node);
// pool_loops.cpp: pools that oneDNN lacks or lacks for the dtype
Result<void> plan_pool_loops(Planner& planner, const graph::Node& node);
// reduction.cpp
Result<void> plan_reduction(Planner& planner, const graph::Node& node);
// ranking.cpp: the greatest
Result<void> plan_arg(Planner& planner, const graph::Node& node);
Result<void> plan_hardmax(Planner& planner, const graph::Node& node);
Result<void> plan_top_k(Planner& planner, const graph::Node& node);
Result<void> plan_non_max_suppression(Planner& planner, const graph::Node& node);
// layers.cpp: normalising with the input's own statistics
Result<void> plan_instance_normalization(Planner& planner, const graph::Node& node);
Result<void> plan_layer_normalization(Planner& planner, const graph::Node& node);
Result<void> plan_mean_variance_normalization(Planner& planner, const graph::Node& node);
Result<void> plan_lp_normalization(Planner& planner, const graph::Node& node);
Result<void> plan_local_response_normalization(Planner& planner, const graph::Node& node);
Result<void> plan_softmax_loops(Planner& planner, const graph::Node& node);
// recurrent.cpp
Result<void> plan_recurrent(Planner& planner, const graph::Node& node);
// quantize.cpp, products.cpp
Result<void> plan_quantize(Planner& planner, const graph::Node& node);
Result<void> plan_dequantize(Planner& planner, const graph::Node& node);
Result<void> plan_einsum(Planner& planner, const graph::Node& node);
Result<void> plan_matmul_loops(Planner& planner, const graph::Node& node);
// softmax.cpp
Result<void> plan_softmax(Planner& planner, const graph::Node& node);
// cast.cpp
Result<std::size_t> plan_cast(Planner& planner, Nodes chain);
Result<void> plan_cast_like(Planner& planner, const graph::Node& node);
// layout.cpp: the same elements in another shape or order
Result<void> plan_reshape(Planner& planner, const graph::Node& node);
Result<void> plan_transpose(Planner& planner, const graph::Node& node);
Result<void> plan_identity(Planner& planner, const graph::Node& node);
Result<void> plan_shape(Planner& planner, const graph::Node& node);
// arrange.cpp: pieces put together
Result<void> plan_concat(Planner& planner, const graph::Node& node);
Result<std::size_t> plan_joined(Planner& planner, Nodes chain);
// pieces.cpp: pieces taken out, repeated, filled in
Result<void> plan_pad(Planner& planner, const graph::Node& node);
Result<void> plan_slice(Planner& planner, const graph::Node& node);
Result<void> plan_split(Planner& planner, const graph::Node& node);
Result<void> plan_expand(Planner& planner, const graph::Node& node);
Result<void> plan_tile(Planner& planner, const graph::Node& node);
Result<void> plan_depth_to_space(Planner& planner, const graph::Node& node);
Result<void> plan_space_to_depth(Planner& planner, const graph::Node& node);
Result<void> plan_constant_of_shape(Planner& planner, const graph::Node& node);
Result<void> plan_range(Planner& planner, const graph::Node& node);
// gather.cpp: elements picked and placed by computed indices
Result<void> plan_gather(Planner& planner, const graph::Node& node);
Result<void> plan_gather_elements(Planner& planner, const graph::Node& node);
Result<void> plan_gather_nd(Planner& planner, const graph::Node& node);
Result<void> plan_scatter_elements(Planner& planner, const graph::Node& node);
Result<void> plan_scatter_nd(Planner& planner, const graph::Node& node);
Result<void> plan_one_hot(Planner& planner, const graph::Node& node);
Result<void> plan_cumulative_sum(Planner& planner, const graph::Node& node);
Result<void> plan_triangle(Planner& planner, const graph::Node& node);
Result<void> plan_eye(Planner& planner, const graph::Node& node);
Result<void> plan_reverse_sequence(Planner& planner, const graph::Node& node);
// resize.cpp
Result<void> plan_resize(Planner& planner, const graph::Node& node);

}  // namespace sightline::runtime
