#include "runtime/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/interrupt.h"

namespace sightline::runtime {
namespace {

constexpr std::size_t most_bytes_at_a_time = 128'000'000;

// Divergence of the distribution of the first `used` bins, with all that lies beyond counted in the last, from what is left of it when the
// bins are merged into `levels` of equal width and spread again over those that were not empty.
double divergence(std::span<const double> counts, std::size_t used, std::size_t levels) {
  std::vector<double> wanted(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(used));
  const std::vector<double> inside = wanted;
  wanted.back() += std::accumulate(counts.begin() + static_cast<std::ptrdiff_t>(used), counts.end(), 0.0);
  std::vector<double> got(used, 0);
  for (std::size_t level = 0; level < levels; ++level) {
    const std::size_t begin = level * used / levels, end = (level + 1) * used / levels;
    double sum = 0, filled = 0;
    for (std::size_t i = begin; i < end; ++i) {
      sum += inside[i];
      filled += wanted[i] > 0 ? 1 : 0;
    }
    for (std::size_t i = begin; i < end; ++i)
      if (wanted[i] > 0) got[i] = sum / filled;
  }
  const double all_wanted = std::accumulate(wanted.begin(), wanted.end(), 0.0), all_got = std::accumulate(got.begin(), got.end(), 0.0);
  if (all_wanted <= 0 || all_got <= 0) return std::numeric_limits<double>::infinity();
  constexpr double least = 1e-9;  // of a bin that integers leave empty
  double sum = 0;
  for (std::size_t i = 0; i < used; ++i) {
    if (wanted[i] <= 0) continue;
    const double p = wanted[i] / all_wanted, q = std::max(got[i] / all_got, least);
    sum += p * std::log(p / q);
  }
  return sum;
}

std::size_t bytes_of(const graph::ValueInfo& info, std::int64_t batch) {
  std::size_t bytes = size_of(info.dtype);
  for (const std::int64_t d : info.shape) bytes *= static_cast<std::size_t>(d < 0 ? batch : d);
  return bytes;
}

}  // namespace

bool Histogram::add(std::span<const float> values) {
  float most = 0;
  for (const float v : values) {
    if (!std::isfinite(v)) return false;
    most = std::max(most, std::abs(v));
  }
  greatest_ = std::max(greatest_, most);
  constexpr float least = 1e-30F;  // what is smaller counts as zero: its bins could not be told apart
  if (most > least && width_ == 0) {
    // Everything until now lies in the first bin. Some room, so that the next batch seldom makes the bins grow.
    width_ = static_cast<double>(most) * 1.25 / bins;
  }
  while (width_ > 0 && static_cast<double>(most) >= width_ * bins) {
    for (std::size_t i = 0; i < bins; ++i) counts_[i] = 2 * i + 1 < bins ? counts_[2 * i] + counts_[2 * i + 1] : 0;
    width_ *= 2;
  }
  count_ += static_cast<std::int64_t>(values.size());
  if (width_ == 0) {
    counts_[0] += static_cast<std::int64_t>(values.size());
    return true;
  }
  const auto per_unit = static_cast<float>(1 / width_);
  for (const float v : values) ++counts_[std::min(static_cast<std::size_t>(std::abs(v) * per_unit), bins - 1)];
  return true;
}

float Histogram::percentile(double share) const {
  const double wanted = share * static_cast<double>(count_);
  double sum = 0;
  for (std::size_t i = 0; i < bins; ++i) {
    sum += static_cast<double>(counts_[i]);
    if (sum >= wanted && sum > 0) return std::min(static_cast<float>(width_ * static_cast<double>(i + 1)), greatest_);
  }
  return greatest_;
}

float Histogram::entropy_range(int levels) const {
  if (width_ == 0) return greatest_;
  std::vector<double> counts(counts_.begin(), counts_.end());
  // Zeros are exact in any range; there are many behind a Relu, and they would decide alone.
  counts[0] = counts[1];
  std::size_t last = bins;
  while (last > 1 && counts_[last - 1] == 0) --last;
  const auto least = static_cast<std::size_t>(levels);
  if (last <= least) return greatest_;
  std::size_t best = last;
  double smallest = divergence(counts, last, least);
  constexpr std::size_t stride = 8;
  for (std::size_t used = least; used < last; used += stride) {
    const double each = divergence(counts, used, least);
    if (each < smallest) {
      smallest = each;
      best = used;
    }
  }
  // Backgrounds leave spikes (one value, many times) behind every layer. Spreading a spike over the bins of its level looks like a great
  // loss and is none, so that alone it would cut real values off.
  constexpr double least_share = 0.999;
  return std::min(std::max(static_cast<float>(width_ * static_cast<double>(best)), percentile(least_share)), greatest_);
}

Result<std::map<std::string, Histogram>> observe(const graph::Graph& graph, const std::vector<std::string>& values,
                                                 std::span<const Batch> batches, int threads) {
  std::map<std::string, Histogram> histograms;
  if (batches.empty()) return Error{ErrorKind::usage, "calibration needs at least one input"};
  SIGHTLINE_TRY(const auto infos, graph::infer_shapes(graph));
  std::int64_t batch = 1;
  for (std::size_t i = 0; i < graph.inputs.size() && i < batches[0].size(); ++i)
    if (!graph.inputs[i].shape.empty() && graph.inputs[i].shape[0] < 0 && batches[0][i].rank() > 0) batch = batches[0][i].dim(0);

  std::vector<std::string> computed;
  for (const std::string& value : values) {
    const auto info = infos.find(value);
    if (info == infos.end() || info->second.dtype != Dtype::f32)
      return Error{ErrorKind::invalid_data, fmt::format("\"{}\" is no f32 value of the graph", value)};
    const auto input = std::ranges::find(graph.inputs, value, &graph::ValueInfo::name);
    if (input == graph.inputs.end()) {
      computed.push_back(value);
      continue;
    }
    for (const Batch& each : batches)
      if (!histograms[value].add(each[static_cast<std::size_t>(input - graph.inputs.begin())].values<float>()))
        return Error{ErrorKind::invalid_data, fmt::format("the input \"{}\" is not finite everywhere", value)};
  }
  for (std::size_t begin = 0; begin < computed.size();) {
    graph::Graph part = graph;
    part.outputs.clear();
    part.training_outputs.clear();
    std::size_t bytes = 0, end = begin;
    while (end < computed.size() && (end == begin || bytes + bytes_of(infos.at(computed[end]), batch) <= most_bytes_at_a_time)) {
      bytes += bytes_of(infos.at(computed[end]), batch);
      part.outputs.push_back(infos.at(computed[end++]));
    }
    SIGHTLINE_TRY(Session session, Session::create(part, {.threads = threads}));
    for (const Batch& each : batches) {
      SIGHTLINE_CHECK(check_interrupt());
      SIGHTLINE_TRY(const std::vector<Tensor> got, session.run(each));
      for (std::size_t i = begin; i < end; ++i)
        if (!histograms[computed[i]].add(got[i - begin].values<float>()))
          return Error{ErrorKind::invalid_data, fmt::format("\"{}\" is not finite everywhere on the calibration inputs", computed[i])};
    }
    begin = end;
  }
  return histograms;
}

}  // namespace sightline::runtime
