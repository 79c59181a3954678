// Whether tensors are what a model takes.
#pragma once

#include <span>

#include "graph/graph.h"

namespace sightline::runtime {

// The batch size, when the tensors fit the model's inputs: one for each, of its dtype and shape, all with the same N. 1 for a model without
// a free batch. Errors: usage says which does not fit.
Result<std::int64_t> batch_of(std::span<const graph::ValueInfo> inputs, std::span<const Tensor> given);

}  // namespace sightline::runtime
