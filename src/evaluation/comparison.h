// Two releases side by side: the figures that both have, and what differs in what they were made from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "evaluation/evaluation.h"

namespace sightline::evaluation {

struct ComparedFigure {
  std::string name;  // a metric, or p50_ms, p95_ms, size_kb
  double a = 0, b = 0;
  int digits = 4;  // behind the point, for people
  std::optional<Interval> a_interval, b_interval;
};
// name_a and name_b: for the error. Error usage: models for different tasks have no figure in common.
Result<std::vector<ComparedFigure>> compare_figures(const Evaluation& a, const Evaluation& b, const std::string& name_a,
                                                    const std::string& name_b);

struct LineageDifference {
  std::string key;  // a JSON pointer: "/data/digest"
  Json a, b;        // null: not there
};
// By key.
std::vector<LineageDifference> compare_lineages(const Json& a, const Json& b);

}  // namespace sightline::evaluation
