// Pictures of a manifest through a graph that takes them as they are (u8 N×H×W×C), in batches of one size, since what the runtime answers
// may depend on it in the last bits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "dataset/manifest.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::factory {

// How a picture is shown: as it is, or a part of it of at least 85 % of each side, mirrored by a coin where that does no harm. The same
// (seed, number, sample) shows the same.
struct View {
  int number = 0;  // 0: as it is
  bool mirror = false;
  std::uint64_t seed = 0;
};

// sink(first, rows, count): what `output` of the graph says of the samples first … first + count - 1, f32, one more dimension in front;
// rows beyond count are fill. Errors name the sample; interrupted; those of sink.
using Sink = std::function<Result<void>(std::size_t first, const Tensor& rows, std::size_t count)>;
Result<void> pictures_through(const graph::Graph& graph, const std::string& output, const dataset::Manifest& manifest,
                              const std::vector<std::int64_t>& samples, const View& view, int threads, Progress* progress,
                              const Sink& sink);

// All of it, for outputs f32 N×D.
Result<Tensor> answers_to_pictures(const graph::Graph& graph, const std::string& output, const dataset::Manifest& manifest,
                                   const std::vector<std::int64_t>& samples, int threads, Progress* progress);

}  // namespace sightline::factory
