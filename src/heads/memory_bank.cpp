#include "heads/memory_bank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "heads/appending.h"
#include "heads/blas.h"
#include "heads/places.h"

namespace sightline::heads {

namespace {

struct Farthest {
  float squared = -1;
  std::size_t row = 0;
};

// Brings rows [begin, end) up to date with one more member, and names the one that is now farthest from all members (the first of equals).
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3", "associative-math", "no-signed-zeros", "no-trapping-math")))
Farthest
visit(const float* __restrict rows, const float* __restrict member, float* __restrict nearest, std::size_t begin, std::size_t end,
      std::size_t dimensions) {
  Farthest farthest;
  for (std::size_t i = begin; i < end; ++i) {
    const float* row = rows + i * dimensions;
    float sum = 0;
    for (std::size_t d = 0; d < dimensions; ++d) sum += (row[d] - member[d]) * (row[d] - member[d]);
    if (sum < nearest[i]) nearest[i] = sum;
    if (nearest[i] > farthest.squared) farthest = {nearest[i], i};
  }
  return farthest;
}

Result<void> check_places(const Tensor& places) {
  if (places.rank() != 4 || places.dtype() != Dtype::f32 || places.count() == 0)
    return Error{ErrorKind::invalid_data,
                 fmt::format("places f32 N×D×h×w are needed, not {} {}", name_of(places.dtype()), to_string(places.shape()))};
  for (const float value : places.values<float>()) {
    if (!std::isfinite(value)) return Error{ErrorKind::invalid_data, "a description of a place has values that are not finite"};
  }
  return {};
}

// Rows of a random choice of `count`, in their order.
Tensor some_rows(const Tensor& rows, std::int64_t count, std::uint64_t seed) {
  if (rows.dim(0) <= count) return rows;
  std::vector<std::int64_t> places(static_cast<std::size_t>(rows.dim(0)));
  std::iota(places.begin(), places.end(), std::int64_t{0});
  Random(seed, 0x636f7265ULL).shuffle(places);
  places.resize(static_cast<std::size_t>(count));
  std::sort(places.begin(), places.end());
  Tensor chosen(Dtype::f32, {count, rows.dim(1)});
  for (std::int64_t i = 0; i < count; ++i)
    std::ranges::copy(rows.rows(places[static_cast<std::size_t>(i)], places[static_cast<std::size_t>(i)] + 1).values<float>(),
                      chosen.rows(i, i + 1).values<float>().begin());
  return chosen;
}

Tensor subtract_mean(Tensor& rows) {
  const auto n = static_cast<std::size_t>(rows.dim(0)), d = static_cast<std::size_t>(rows.dim(1));
  std::vector<double> sums(d);
  const auto values = rows.values<float>();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < d; ++j) sums[j] += static_cast<double>(values[i * d + j]);
  }
  Tensor mean(Dtype::f32, {rows.dim(1)});
  for (std::size_t j = 0; j < d; ++j) mean.values<float>()[j] = static_cast<float>(sums[j] / static_cast<double>(n));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < d; ++j) values[i * d + j] -= mean.values<float>()[j];
  }
  return mean;
}

constexpr double least_variance = 1e-3;  // of a place, as a share of its channel's over all: what never changes is not blown up

// Mean and 1 / deviation of each place and channel over the pictures.
void measure_places(const Tensor& places, MemoryBank& bank) {
  const std::int64_t pictures = places.dim(0), channels = places.dim(1), count = places.dim(2) * places.dim(3);
  const auto values = places.values<float>();
  bank.place_mean = Tensor(Dtype::f32, {1, channels, places.dim(2), places.dim(3)});
  bank.place_scale = Tensor(Dtype::f32, bank.place_mean.shape());
  for (std::int64_t c = 0; c < channels; ++c) {
    std::vector<double> mean(static_cast<std::size_t>(count)), variance(mean.size());
    for (std::int64_t n = 0; n < pictures; ++n) {
      const float* row = values.data() + (n * channels + c) * count;
      for (std::size_t p = 0; p < mean.size(); ++p) mean[p] += static_cast<double>(row[p]) / static_cast<double>(pictures);
    }
    for (std::int64_t n = 0; n < pictures; ++n) {
      const float* row = values.data() + (n * channels + c) * count;
      for (std::size_t p = 0; p < mean.size(); ++p) {
        const double apart = static_cast<double>(row[p]) - mean[p];
        variance[p] += apart * apart / static_cast<double>(pictures);
      }
    }
    const double usual = std::accumulate(variance.begin(), variance.end(), 0.0) / static_cast<double>(count);
    for (std::size_t p = 0; p < mean.size(); ++p) {
      const std::size_t at = static_cast<std::size_t>(c * count) + p;
      bank.place_mean.values<float>()[at] = static_cast<float>(mean[p]);
      bank.place_scale.values<float>()[at] = static_cast<float>(1 / std::sqrt(std::max({variance[p], least_variance * usual, 1e-12})));
    }
  }
}

Tensor measured_against(const MemoryBank& bank, const Tensor& places) {
  if (!bank.place_mean.defined()) return places;
  Tensor result = places.copy();
  const std::span<const float> mean = bank.place_mean.values<float>(), scale = bank.place_scale.values<float>();
  const std::span<float> values = result.values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = (values[i] - mean[i % mean.size()]) * scale[i % mean.size()];
  return result;
}

std::vector<float> squared_lengths(const Tensor& rows) {
  std::vector<float> lengths;
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    float sum = 0;
    for (const float value : rows.rows(i, i + 1).values<float>()) sum += value * value;
    lengths.push_back(sum);
  }
  return lengths;
}

}  // namespace

Result<MemoryBank> fit_memory_bank(const Tensor& places, const MemoryBankOptions& options) {
  SIGHTLINE_CHECK(check_places(places));
  if (!(options.share > 0 && options.share <= 1) || options.least < 1 || options.most < options.least || options.candidates < 1)
    return Error{ErrorKind::usage, fmt::format("a memory bank of a share of {}, {} to {} descriptions, from {} candidates makes no sense",
                                               options.share, options.least, options.most, options.candidates)};
  MemoryBank bank;
  if (options.by_place) measure_places(places, bank);
  Tensor rows = descriptions_of(measured_against(bank, places));
  const auto asked = static_cast<std::int64_t>(std::ceil(options.share * static_cast<double>(rows.dim(0))));
  rows = some_rows(rows, options.candidates, options.seed);
  const std::int64_t wanted = std::min(std::clamp(asked, options.least, options.most), rows.dim(0));
  bank.mean = subtract_mean(rows);

  const auto count = static_cast<std::size_t>(rows.dim(0)), dimensions = static_cast<std::size_t>(rows.dim(1));
  std::vector<float> nearest(count, std::numeric_limits<float>::max());
  constexpr std::size_t block = 8192;
  std::vector<Farthest> farthest((count + block - 1) / block);
  std::vector<float> members;
  std::size_t next = Random(options.seed, 0x6669727374ULL).below(count);
  const float* all = rows.values<float>().data();
  while (true) {
    const float* member = all + next * dimensions;
    members.insert(members.end(), member, member + dimensions);
    SIGHTLINE_CHECK(parallel_for(farthest.size(), [&](std::size_t b) -> Result<void> {
      farthest[b] = visit(all, member, nearest.data(), b * block, std::min(count, (b + 1) * block), dimensions);
      return {};
    }));
    const Farthest worst =
        *std::max_element(farthest.begin(), farthest.end(), [](const Farthest& a, const Farthest& b) { return a.squared < b.squared; });
    bank.coverage = std::sqrt(static_cast<double>(worst.squared));
    if (static_cast<std::int64_t>(members.size() / dimensions) == wanted || worst.squared <= 0) break;
    next = worst.row;
  }
  bank.members = Tensor::of({static_cast<std::int64_t>(members.size() / dimensions), rows.dim(1)}, members);
  return bank;
}

Result<graph::Graph> append_memory_bank(const graph::Graph& graph, const MemoryBank& bank) {
  SIGHTLINE_TRY(const Shape shape, shape_of_map(graph, places_value));
  const std::int64_t count = bank.members.dim(0), dimensions = bank.members.dim(1);
  if (shape[1] != dimensions)
    return Error{ErrorKind::invalid_data,
                 fmt::format("a memory bank of {} dimensions does not fit places {}", dimensions, to_string(shape))};
  graph::Graph result = graph;
  Appender append(result, "bank");
  Tensor weight = bank.members.copy().reshaped({count, dimensions, 1, 1});
  for (float& value : weight.values<float>()) value *= -2;
  std::string places = places_value;
  if (bank.place_mean.defined()) {
    if (bank.place_mean.dim(2) != shape[2] || bank.place_mean.dim(3) != shape[3])
      return Error{ErrorKind::invalid_data,
                   fmt::format("a memory bank of places {} does not fit {}", to_string(bank.place_mean.shape()), to_string(shape))};
    places = append.node("Mul", {append.node("Sub", {places, append.constant("place_mean", bank.place_mean)}),
                                 append.constant("place_scale", bank.place_scale)});
  }
  const std::string centred = append.node("Sub", {places, append.constant("mean", bank.mean.reshaped({1, dimensions, 1, 1}))});
  const std::string products = append.node("Conv", {centred, append.constant("members", weight),
                                                    append.constant("lengths", Tensor::of({count}, squared_lengths(bank.members)))});
  const std::map<std::string, graph::Attribute> over_channels{{"axes", std::vector<std::int64_t>{1}}};
  const std::string least = append.node("ReduceMin", {products}, over_channels);
  const std::string own = append.node("ReduceSumSquare", {centred}, over_channels);
  append.node("Sqrt", {append.node("Relu", {append.node("Add", {least, own})})}, {}, distances_value);
  return ending_at(std::move(result), distances_value);
}

Tensor distances_to(const MemoryBank& bank, const Tensor& places) {
  const Tensor rows = descriptions_of(measured_against(bank, places));
  const std::int64_t dimensions = rows.dim(1);
  Tensor distances(Dtype::f32, {places.dim(0), 1, places.dim(2), places.dim(3)});
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    const auto row = rows.rows(i, i + 1).values<float>();
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t m = 0; m < bank.members.dim(0); ++m) {
      const auto member = bank.members.rows(m, m + 1).values<float>();
      double sum = 0;
      for (std::size_t d = 0; d < static_cast<std::size_t>(dimensions); ++d) {
        const double difference =
            static_cast<double>(row[d]) - static_cast<double>(bank.mean.values<float>()[d]) - static_cast<double>(member[d]);
        sum += difference * difference;
      }
      least = std::min(least, sum);
    }
    distances.values<float>()[static_cast<std::size_t>(i)] = static_cast<float>(std::sqrt(least));
  }
  return distances;
}

}  // namespace sightline::heads
