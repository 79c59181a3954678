#include "evaluation/thresholds.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "evaluation/cross_validation.h"

namespace sightline::evaluation {
namespace {

constexpr double never = 2;  // no probability is that large

struct Ranked {
  float probability;
  bool own;
};

ClassThreshold best_of(std::vector<Ranked> ranked, const ThresholdOptions& options) {
  ClassThreshold best{.threshold = never};
  best.samples = std::ranges::count_if(ranked, [](const Ranked& each) { return each.own; });
  if (best.samples == 0) return best;
  std::ranges::sort(ranked, [](const Ranked& a, const Ranked& b) { return a.probability > b.probability; });
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    hits += ranked[i].own ? 1 : 0;
    // Equal probabilities are said together.
    if (i + 1 < ranked.size() && ranked[i + 1].probability == ranked[i].probability) continue;
    const auto said = static_cast<double>(i + 1), right = static_cast<double>(hits), all = static_cast<double>(best.samples);
    const double precision = right / said, recall = right / all, f1 = 2 * right / (said + all);
    bool better = f1 > best.f1;
    if (options.precision > 0) {
      // One-sided: the lower end of an interval that leaves as much again above.
      const double sure = options.confidence > 0 ? clopper_pearson(right, said, 2 * options.confidence - 1).low : precision;
      better =
          sure >= options.precision && (!best.reached || recall > best.recall || (recall == best.recall && precision > best.precision));
    }
    if (!better || hits == 0) continue;
    const double next = i + 1 < ranked.size() ? ranked[i + 1].probability : 0;
    best = {.threshold = 0.5 * (static_cast<double>(ranked[i].probability) + next),
            .precision = precision,
            .recall = recall,
            .f1 = f1,
            .said = static_cast<std::int64_t>(i + 1),
            .samples = best.samples,
            .reached = true};
  }
  return best;
}

}  // namespace

Result<std::vector<ClassThreshold>> choose_thresholds(const Tensor& probabilities, std::span<const std::int32_t> labels,
                                                      const ThresholdOptions& options) {
  if (probabilities.rank() != 2 || probabilities.dtype() != Dtype::f32 || probabilities.dim(0) != static_cast<std::int64_t>(labels.size()))
    return Error{ErrorKind::usage, fmt::format("thresholds want probabilities f32 N×K of {} samples, not {} {}", labels.size(),
                                               name_of(probabilities.dtype()), to_string(probabilities.shape()))};
  if (!(options.precision >= 0 && options.precision <= 1) ||
      !(options.confidence == 0 || (options.confidence > 0.5 && options.confidence < 1)))
    return Error{ErrorKind::usage,
                 fmt::format("a precision of {} with a confidence of {} cannot be demanded; a precision lies in [0, 1], a "
                             "confidence between 0.5 and 1 (or is 0)",
                             options.precision, options.confidence)};
  const auto k = static_cast<std::size_t>(probabilities.dim(1));
  std::vector<ClassThreshold> thresholds;
  for (std::size_t c = 0; c < k; ++c) {
    std::vector<Ranked> ranked;
    for (std::size_t i = 0; i < labels.size(); ++i)
      ranked.push_back({probabilities.values<float>()[i * k + c], labels[i] == static_cast<std::int32_t>(c)});
    thresholds.push_back(best_of(std::move(ranked), options));
  }
  return thresholds;
}

}  // namespace sightline::evaluation
