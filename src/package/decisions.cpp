#include "package/decisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/json.h"
#include "base/text.h"

namespace sightline::package {
namespace {

constexpr const char* decisions_key = "sightline_decisions";
constexpr const char* openvino_key = "model_info confidence_threshold";

}  // namespace

void write_decisions(const Decisions& decisions, graph::Graph& graph) {
  graph.metadata[decisions_key] = json_text(to_json(decisions));
  if (decisions.precision) graph.metadata[openvino_key] = fmt::format("{:.6g}", *std::ranges::min_element(decisions.thresholds));
}

Result<std::optional<Decisions>> read_decisions(const graph::Graph& graph, std::size_t classes) {
  const auto found = graph.metadata.find(decisions_key);
  if (found == graph.metadata.end()) return std::optional<Decisions>();
  SIGHTLINE_TRY(const Json json, parse_json(found->second, decisions_key));
  SIGHTLINE_TRY(Decisions decisions, struct_from_json<Decisions>(json, decisions_key));
  const auto in_range = [](double value) { return value >= 0 && value <= 1; };
  const bool fits = (decisions.thresholds.empty() || decisions.thresholds.size() == classes) &&
                    (!decisions.sets || decisions.sets->least.size() == classes) &&
                    (!decisions.precision || !decisions.thresholds.empty()) &&
                    std::ranges::all_of(decisions.thresholds, [&](double value) { return value > 0 && in_range(value); }) &&
                    (!decisions.sets || std::ranges::all_of(decisions.sets->least, in_range));
  if (!fits)
    return Error{ErrorKind::invalid_data,
                 fmt::format("the metadata \"{}\" do not fit a model of {}; build it again", decisions_key, plural(classes, "class"))};
  return std::optional(std::move(decisions));
}

int decided_class(const Decisions& decisions, std::span<const float> probabilities) {
  if (decisions.thresholds.empty()) return static_cast<int>(std::ranges::max_element(probabilities) - probabilities.begin());
  int best = -1;
  double most = decisions.precision ? 1 : 0;
  for (std::size_t c = 0; c < probabilities.size(); ++c) {
    const double ratio = static_cast<double>(probabilities[c]) / decisions.thresholds[c];
    if (ratio < most || (best >= 0 && ratio == most)) continue;
    most = ratio;
    best = static_cast<int>(c);
  }
  return best;
}

std::vector<int> prediction_set(const Conformal& conformal, std::span<const float> probabilities) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(
      order, [&](int a, int b) { return probabilities[static_cast<std::size_t>(a)] > probabilities[static_cast<std::size_t>(b)]; });
  std::vector<int> set;
  for (const int c : order)
    if (set.empty() || probabilities[static_cast<std::size_t>(c)] >= conformal.least[static_cast<std::size_t>(c)]) set.push_back(c);
  return set;
}

}  // namespace sightline::package
