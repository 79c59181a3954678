#include "app/web/overview.h"

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/log.h"
#include "base/version.h"
#include "factory/fleet.h"
#include "tasks/tasks.h"

namespace sightline::web {
namespace {

constexpr std::size_t kRuns = 40;

struct Fleets {
  std::map<std::string, std::pair<std::string, factory::FleetRow>> rows;  // by the demand's name: the fleet's and the row
  Json list = Json::array();
};

// What `sightline fleet` left in fleets/. A file that does not read is left out and said so in the log: the page is of the rest.
Fleets read_fleets(const std::string& root) {
  Fleets fleets;
  const auto nothing = [](const std::string&, const std::string&) {};
  const Result<std::vector<std::string>> files = list_files(root + "/fleets", nothing);
  if (!files.ok()) return fleets;
  for (const std::string& file : *files) {
    if (!file.ends_with(".json") || file.ends_with("-only.json")) continue;
    const Result<Json> json = read_json_file(root + "/fleets/" + file);
    std::vector<factory::FleetRow> rows;
    if (!json.ok() || !json->is_object() || !from_json(json->value("rows", Json::array()), rows, file).ok()) {
      log_warning("{}/fleets/{} does not read as a fleet's rows", root, file);
      continue;
    }
    const std::string name = std::filesystem::path(file).stem().string();
    fleets.list.push_back({{"name", name}, {"rows", rows.size()}});
    for (const factory::FleetRow& row : rows) fleets.rows[row.name] = {name, row};
  }
  return fleets;
}

std::optional<double> number_in(const Json& figures, const std::string& name) {
  const auto found = figures.find(name);
  return found != figures.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

// The metric that a demand says nothing of is its task's first one.
std::string lead_metric(const Json& figures) {
  for (const tasks::Task& task : tasks::all_tasks())
    for (const tasks::Metric& metric : task.metrics)
      if (figures.contains(metric.name)) return metric.name;
  return "";
}

void add_interval(const Reached& reached, ModelRow& row) {
  row.task = reached.task;
  if (const auto interval = reached.intervals.find(row.metric); interval != reached.intervals.end()) {
    row.low = interval->second.low;
    row.high = interval->second.high;
  }
}

// The target, and what the last build reached: what stands beside it when nothing is in force.
void add_last_build(Site& site, ModelRow& row) {
  const std::optional<line::StepRecord> record = site.last_step(row.name, "release");
  if (!record) return;
  const Json target = record->parameters.value("target", Json::object());
  row.metric = target.value("metric", "");
  if (const std::optional<double> least = number_in(target, "at_least"); least && *least > 0) row.target = least;
  if (const std::optional<line::StepRecord> evaluated = site.last_step(row.name, "evaluate")) {
    row.value = number_in(evaluated->figures, row.metric);
    row.p95_ms = number_in(evaluated->figures, "p95_ms");
  }
  const auto evaluation = record->inputs.find("evaluation");
  if (evaluation == record->inputs.end()) return;
  if (const Result<Reached> reached = site.reached(evaluation->second); reached.ok()) add_interval(*reached, row);
}

void add_releases(Site& site, const std::vector<store::Release>& releases, ModelRow& row) {
  for (const store::Release& release : releases) {
    if (row.metric.empty()) row.metric = lead_metric(release.figures);
    row.versions.push_back(release.version);
    const std::optional<double> value = number_in(release.figures, row.metric);
    if (value) row.values.push_back(*value);
    if (row.when.empty()) row.when = release.created;
    if (!release.in_force) continue;
    row.version = release.version;
    row.value = value;
    row.p95_ms = number_in(release.figures, "p95_ms");
    if (const auto bytes = release.figures.find("size_bytes"); bytes != release.figures.end() && bytes->is_number_integer())
      row.size_bytes = bytes->get<std::int64_t>();
    if (const Result<Reached> reached = site.reached(release.evaluation); reached.ok()) add_interval(*reached, row);
  }
}

void add_fleet(const Fleets& fleets, ModelRow& row) {
  const auto found = fleets.rows.find(row.name);
  if (found == fleets.rows.end()) return;
  row.fleet = found->second.first;
  row.group = found->second.second.group;
  if (row.state != "new") return;
  row.state = found->second.second.outcome;
  row.sentence = found->second.second.sentence;
}

void add_last_run(const store::Run* run, ModelRow& row) {
  if (run != nullptr) {
    row.sentence = run->sentence;
    row.when = run->finished.empty() ? run->started : run->finished;
  }
  if (run != nullptr && run->outcome != "released" && run->outcome != "unchanged") {
    row.state = run->outcome;
  } else {
    row.state = row.version > 0 ? "released" : "new";
  }
}

}  // namespace

Json about(const Site& site) { return {{"name", std::filesystem::path(site.folder()).filename().string()}, {"program", version}}; }

Result<std::vector<ModelRow>> model_rows(Site& site, const std::string& only) {
  SIGHTLINE_TRY(const std::vector<store::Release> releases, site.releases(only));
  SIGHTLINE_TRY(const std::vector<store::Run> runs, site.runs(only));
  const Fleets fleets = read_fleets(site.root());
  std::map<std::string, std::vector<store::Release>> by_name;
  for (const store::Release& release : releases) by_name[release.name].push_back(release);
  std::map<std::string, const store::Run*> last_runs;
  for (const store::Run& run : runs) {
    last_runs[run.demand] = &run;
    by_name.try_emplace(run.demand);
  }
  for (const auto& [name, row] : fleets.rows)
    if (only.empty() || name == only) by_name.try_emplace(name);

  std::vector<ModelRow> rows;
  rows.reserve(by_name.size());
  for (const auto& [name, its] : by_name) {
    ModelRow row{.name = name};
    add_last_build(site, row);
    add_releases(site, its, row);
    const auto last = last_runs.find(name);
    add_last_run(last == last_runs.end() ? nullptr : last->second, row);
    add_fleet(fleets, row);
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<Json> overview(Site& site) {
  SIGHTLINE_TRY(const std::vector<ModelRow> rows, model_rows(site));
  SIGHTLINE_TRY(std::vector<store::Run> runs, site.runs());
  std::reverse(runs.begin(), runs.end());
  if (runs.size() > kRuns) runs.resize(kRuns);
  Json json = about(site);
  json.update({{"models", to_json(rows)}, {"runs", to_json(runs)}, {"fleets", read_fleets(site.root()).list}});
  return json;
}

}  // namespace sightline::web
