#include "factory/release_point.h"

#include <fmt/format.h>

#include "line/step_log.h"

namespace sightline::factory {

Result<SearchPoints> points_of_search(const std::string& name, const store::Workspace& workspace) {
  SIGHTLINE_TRY(const line::StepLog log, line::StepLog::open(workspace.step_log_path()));
  const line::StepRecord* record = log.last(name, "search");
  if (record == nullptr || !record->outputs.contains("search"))
    return Error{
        ErrorKind::not_found,
        fmt::format("there was no search for \"{}\" in {}; build it with search: {{minutes: 5}} in its demand", name, workspace.root())};
  SIGHTLINE_TRY(const std::string text, workspace.blobs().get(record->outputs.at("search")));
  SIGHTLINE_TRY(const Json document, parse_json(text, "the search of " + name));
  SearchPoints found;
  Json stated = document.at("demand");
  if (stated.contains("backbone") && stated["backbone"].contains("weights"))  // defaults that may not be stated beside them
    for (const char* key : {"cut", "freeze"}) stated["backbone"].erase(key);
  SIGHTLINE_TRY(found.demand, demand::parse_demand(json_text(stated, 1), "the demand of the search of " + name));
  SIGHTLINE_TRY(const auto report, struct_from_json<evaluation::SearchReport>(document.at("report"), "search"));
  found.metric = report.metric;
  found.points = report.points;
  found.sentences = report.sentences;
  return found;
}

Result<BuildOutcome> release_point(const std::string& name, int point, store::Workspace& workspace, BuildOptions options,
                                   const line::Line::OnStep& on_step) {
  SIGHTLINE_TRY(const SearchPoints found, points_of_search(name, workspace));
  if (point < 1 || point > static_cast<int>(found.points.size()))
    return Error{ErrorKind::not_found,
                 fmt::format("the search for \"{}\" kept points 1 to {}, none of number {}", name, found.points.size(), point)};
  options.point = point;
  {
    SIGHTLINE_TRY(std::vector<line::Step> steps, build_steps(found.demand, workspace, options));
    line::Line line(workspace, name, std::move(steps), options.log);
    SIGHTLINE_TRY(const std::vector<line::Planned> planned, line.plan());
    for (const line::Planned& each : planned)
      if (each.step == "search" && each.decision != line::Decision::reuse)
        return Error{ErrorKind::conflict,
                     fmt::format("the points are not of what there is now (the search {}); build \"{}\" again", each.sentence, name)};
  }
  return build(found.demand, workspace, options, on_step);
}

}  // namespace sightline::factory
