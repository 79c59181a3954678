// Another point of a search, released later: packaged, evaluated on the test pictures and judged at the gate like any model.
#pragma once

#include <string>
#include <vector>

#include "evaluation/report_search.h"
#include "factory/build.h"

namespace sightline::factory {

struct SearchPoints {
  demand::Demand demand;
  std::string metric;
  std::vector<evaluation::SearchPoint> points;
  std::vector<std::string> sentences;
};
// What the last search of this name kept. Error not_found.
Result<SearchPoints> points_of_search(const std::string& name, const store::Workspace& workspace);

// Of the last search of this name; nothing is searched again. Unlike a build it does not compete with the release in force: whoever asks
// for a faster or smaller point has chosen. Errors: not_found (no search of this name, no such point); conflict when the pictures, the
// backbones or the program have changed since, so that the search would have to run again; as build.
Result<BuildOutcome> release_point(const std::string& name, int point, store::Workspace& workspace, BuildOptions options,
                                   const line::Line::OnStep& on_step);

}  // namespace sightline::factory
