// What a network is timed on: batch sizes, sizes that its file leaves free, noise of the declared types.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::cli {

// "1,8". Error usage: not a list of numbers from 1 to 4096.
Result<std::vector<std::int64_t>> parse_batches(const std::string& text);

// Applies "NAME=1x3x224x224" to the input of that name (the name may be left out where there is one input): free sizes get the given
// ones, but the first, which stays free, because it is the batch. Gives the first size. Errors usage: unknown name (with the nearest),
// another rank, a size that contradicts the file.
Result<std::int64_t> apply_shape(graph::Graph& graph, const std::string& text);

// Error usage that names the option, when a size other than the first is still free.
Result<void> check_settled(const graph::Graph& graph);

// Those of `wanted` that the file's inputs permit: all when the batch is free, else the one that is fixed there.
std::vector<std::int64_t> possible_batches(const graph::Graph& graph, const std::vector<std::int64_t>& wanted);

// One tensor per input: standard normal reals, bytes in [0, 256), other integers and booleans 0 or 1. No kernel here is faster for one
// picture than for another.
std::vector<Tensor> noise_for(const graph::Graph& graph, std::int64_t batch, std::uint64_t seed);

// Largest difference relative to the largest magnitude of `wanted`, over all elements; infinite when dtype or shape differ, or where
// only one of the two is finite. Rows of `got` beyond those of `wanted` that are all -1 are room that was not used, and do not count.
double largest_difference(const Tensor& got, const Tensor& wanted);

}  // namespace sightline::cli
