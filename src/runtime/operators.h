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
};

// Null when the runtime does not have the operator.
const Operator* find_operator(const graph::Node& node);

// arithmetic.cpp: broadcasting functions of two tensors
Result<std::size_t> plan_arithmetic(Planner& planner, Nodes chain);
// elementwise.cpp: functions of one tensor
Result<void> plan_elementwise(Planner& planner, const graph::Node& node);
Result<void> plan_prelu(Planner& planner, const graph::Node& node);
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
// softmax.cpp
Result<void> plan_softmax(Planner& planner, const graph::Node& node);
// cast.cpp
Result<std::size_t> plan_cast(Planner& planner, Nodes chain);
// layout.cpp: the same elements in another shape or order
Result<void> plan_reshape(Planner& planner, const graph::Node& node);
Result<void> plan_transpose(Planner& planner, const graph::Node& node);
Result<void> plan_identity(Planner& planner, const graph::Node& node);
// arrange.cpp: pieces put together or taken out
Result<void> plan_concat(Planner& planner, const graph::Node& node);
Result<void> plan_pad(Planner& planner, const graph::Node& node);
Result<void> plan_gather(Planner& planner, const graph::Node& node);
// resize.cpp
Result<void> plan_resize(Planner& planner, const graph::Node& node);

}  // namespace sightline::runtime
