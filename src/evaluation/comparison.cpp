#include "evaluation/comparison.h"

#include <fmt/format.h>

#include <set>

namespace sightline::evaluation {
namespace {

std::optional<Interval> interval_of(const Evaluation& measured, const std::string& metric) {
  const auto found = measured.intervals.find(metric);
  return found == measured.intervals.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Result<std::vector<ComparedFigure>> compare_figures(const Evaluation& a, const Evaluation& b, const std::string& name_a,
                                                    const std::string& name_b) {
  if (a.task != b.task)
    return Error{ErrorKind::usage,
                 fmt::format("{} is a model for {}, {} one for {}: they have no figure in common", name_a, a.task, name_b, b.task)};
  std::vector<ComparedFigure> figures;
  const tasks::Figures theirs = measured_of(b);
  for (const auto& [metric, value] : told_values(a)) {
    const auto other = theirs.values.find(metric);
    if (other == theirs.values.end()) continue;
    figures.push_back(
        {.name = metric, .a = value, .b = other->second, .a_interval = interval_of(a, metric), .b_interval = interval_of(b, metric)});
  }
  figures.push_back({.name = "p50_ms", .a = a.latency.p50, .b = b.latency.p50, .digits = 3});
  figures.push_back({.name = "p95_ms", .a = a.latency.p95, .b = b.latency.p95, .digits = 3});
  figures.push_back(
      {.name = "size_kb", .a = static_cast<double>(a.size_bytes) / 1e3, .b = static_cast<double>(b.size_bytes) / 1e3, .digits = 1});
  return figures;
}

std::vector<LineageDifference> compare_lineages(const Json& a, const Json& b) {
  const Json flat_a = a.flatten(), flat_b = b.flatten();
  std::set<std::string> keys;
  for (const Json* each : {&flat_a, &flat_b})
    for (const auto& [key, value] : each->items()) keys.insert(key);
  std::vector<LineageDifference> differs;
  for (const std::string& key : keys) {
    const Json before = flat_a.value(key, Json(nullptr)), after = flat_b.value(key, Json(nullptr));
    if (before != after) differs.push_back({key, before, after});
  }
  return differs;
}

}  // namespace sightline::evaluation
