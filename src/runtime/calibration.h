// How large the values of a graph become on real inputs: histograms of magnitudes, and the range that integers should span. Ranges are
// symmetric around zero, so magnitudes say everything.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace sightline::runtime {

// percentile: the magnitude that all but a few elements stay below. entropy: the range whose integers lose the least information about the
// distribution (smallest Kullback-Leibler divergence; Migacz, "8-bit inference with TensorRT", 2017).
enum class RangeMethod { percentile, entropy };

// Counts |x| in 2048 equal bins from 0; the bins grow with the values.
class Histogram {
 public:
  static constexpr std::size_t bins = 2048;

  // False, and nothing is counted, when an element is infinite or not a number.
  bool add(std::span<const float> values);
  std::int64_t count() const { return count_; }
  float greatest() const { return greatest_; }

  // The least bin edge that at least this share of all elements does not exceed, at most the greatest magnitude.
  float percentile(double share) const;
  // levels: 128 for signed integers, 256 for unsigned ones (zero is one of them). At least 99.9% of the elements lie inside.
  float entropy_range(int levels) const;

 private:
  std::array<std::int64_t, bins> counts_{};
  double width_ = 0;  // of a bin; 0: nothing but zeros yet
  std::int64_t count_ = 0;
  float greatest_ = 0;
};

// One tensor for each input of the graph, all with the same batch.
using Batch = std::vector<Tensor>;

// Runs the graph on the batches and counts the named f32 values. They are asked for in groups, so that what is held at a time stays within
// some hundred megabytes. threads as Options. Errors: as Session; invalid_data names a value that is not finite, or not f32; interrupted.
Result<std::map<std::string, Histogram>> observe(const graph::Graph& graph, const std::vector<std::string>& values,
                                                 std::span<const Batch> batches, int threads);

}  // namespace sightline::runtime

template <>
struct sightline::EnumNames<sightline::runtime::RangeMethod> {
  static constexpr std::array<const char*, 2> names{"percentile", "entropy"};
};
