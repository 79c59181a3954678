// Many demands as one job: what they have in common is done once (pictures decoded, features computed, one copy of the backbone), then the
// demands are built side by side. One that fails harms no other. Stopped or killed, the same call goes on where it was: every demand is a
// pipeline of steps in the workspace, as if it had been built alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "demand/fleet.h"
#include "evaluation/evaluation.h"
#include "store/workspace.h"

namespace sightline::factory {

struct FleetRow {
  std::string name, group;
  std::string outcome;   // "released", "refused" (by the gate), "failed"
  std::string sentence;  // the gate's words, or why it failed
  bool ran = false;      // something had to be done
  std::int64_t version = 0;
  std::int64_t classes = 0, train = 0, test = 0;
  double top1 = 0, balanced_accuracy = 0;
  evaluation::Interval interval;  // 95 %, of balanced_accuracy
  double chance = 0;              // balanced accuracy of guessing
  bool excludes_chance = false;
  double p50_ms = 0;
  std::string package;  // digest
  static constexpr auto fields() {
    return std::tuple{field("name", &FleetRow::name),
                      field("group", &FleetRow::group),
                      field("outcome", &FleetRow::outcome),
                      field("sentence", &FleetRow::sentence),
                      field("ran", &FleetRow::ran),
                      field("version", &FleetRow::version),
                      field("classes", &FleetRow::classes),
                      field("train", &FleetRow::train),
                      field("test", &FleetRow::test),
                      field("top1", &FleetRow::top1),
                      field("balanced_accuracy", &FleetRow::balanced_accuracy),
                      field("interval", &FleetRow::interval),
                      field("chance", &FleetRow::chance),
                      field("excludes_chance", &FleetRow::excludes_chance),
                      field("p50_ms", &FleetRow::p50_ms),
                      field("package", &FleetRow::package)};
  }
};

struct FleetOptions {
  int jobs = 0;                   // demands side by side; 0: usable_cores()
  std::vector<std::string> only;  // names; empty: all
};

struct FleetOutcome {
  std::vector<FleetRow> rows;                            // in the fleet's order
  std::uint64_t pictures = 0, computed = 0, reused = 0;  // distinct files; features
  double seconds = 0;
};

// Errors: not_found (a name in `only`), interrupted (what is done stays done), and what no demand can do without (a workspace that cannot
// be written). Everything else is a row that failed.
Result<FleetOutcome> build_fleet(const demand::Fleet& fleet, store::Workspace& workspace, const FleetOptions& options);

// One page that stands alone: counts, a filter, a row for each demand.
std::string fleet_page(const demand::Fleet& fleet, const FleetOutcome& outcome, const std::string& created);

}  // namespace sightline::factory
