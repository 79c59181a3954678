// What a workspace holds at a glance: every model that a demand, a run, a release or a fleet names, its target against what was measured.
#pragma once

#include "app/web/site.h"
#include "base/json.h"

namespace sightline::web {

// A demand, whether anything came of it yet or not.
struct ModelRow {
  std::string name, task;
  std::string fleet, group;  // "" when of none
  // "released"; else what became of the last run: "running", "refused", "failed", "interrupted"; "new" when there was none
  std::string state;
  std::string sentence;  // of the last run
  std::string metric;
  std::optional<double> target;
  std::optional<double> value, low, high;  // of the release in force, else of the last build; low and high: the 95% interval
  std::optional<double> p95_ms;
  std::optional<std::int64_t> size_bytes;
  std::int64_t version = 0;  // in force; 0: none
  std::vector<std::int64_t> versions;
  std::vector<double> values;  // of the metric, of each version that has it
  std::string when;            // of the last run, else of the last release
  static constexpr auto fields() {
    return std::tuple{field("name", &ModelRow::name),
                      field("task", &ModelRow::task),
                      field("fleet", &ModelRow::fleet),
                      field("group", &ModelRow::group),
                      field("state", &ModelRow::state),
                      field("sentence", &ModelRow::sentence),
                      field("metric", &ModelRow::metric),
                      field("target", &ModelRow::target),
                      field("value", &ModelRow::value),
                      field("low", &ModelRow::low),
                      field("high", &ModelRow::high),
                      field("p95_ms", &ModelRow::p95_ms),
                      field("size_bytes", &ModelRow::size_bytes),
                      field("version", &ModelRow::version),
                      field("versions", &ModelRow::versions),
                      field("values", &ModelRow::values),
                      field("when", &ModelRow::when)};
  }
};

// {"name", "program"}: the folder that the workspace lies in, and the version.
Json about(const Site& site);
// By name; of one name, where one is given.
Result<std::vector<ModelRow>> model_rows(Site& site, const std::string& name = "");
// {"name", "program", "models": [ModelRow…], "runs": the last ones, newest first, "fleets": [{"name","rows"}…]}
Result<Json> overview(Site& site);

}  // namespace sightline::web
