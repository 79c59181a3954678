// What a build says of itself while it goes on: WORKSPACE/builds/NAME.jsonl, one JSON object a line, begun anew by every build that has
// something to do. For a person who looks on from another process; nothing depends on it.
//
//   {"event":"begin","when":…,"process":…,"metric":…,"target":…,"steps":[{"step","says","decision","sentence","expected_seconds"}…]}
//   {"event":"step","step":…,"state":"running"|"done"|"reused"|"skipped","seconds":…,"sentence":…,"figures":{…}}
//   {"event":"progress"|"epoch"|"candidate",…}   (base/progress_events.h), with the step that they are of
//   {"event":"end","outcome":"released"|"refused"|"failed"|"interrupted","sentence":…}
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "demand/demand.h"
#include "line/line.h"

namespace sightline::factory {

std::string build_journal_path(const std::string& workspace_root, const std::string& name);

// Listens to the process's progress while it lives: one at a time.
class BuildJournal {
 public:
  BuildJournal(const std::string& workspace_root, const std::string& name);
  BuildJournal(const BuildJournal&) = delete;
  BuildJournal& operator=(const BuildJournal&) = delete;
  ~BuildJournal();

  Result<void> begin(const std::vector<line::Planned>& planned, const demand::Demand& demand);
  // As Line::run's on_step is called. What cannot be written (a full disk) is left out.
  void step(const line::Planned& planned, const line::StepRecord* finished);
  void end(const std::string& outcome, const std::string& sentence);

 private:
  void write(Json line);

  std::string path_;
  Descriptor file_;
  std::mutex mutex_;
  std::string step_;  // that runs
};

struct BuildState {
  std::string name, begun, outcome, sentence;  // outcome "running" until the end is written
  std::int64_t process = 0;
  std::string metric;
  double target = 0;
  Json steps = Json::array();       // of begin, each with "state" ("waiting", …), "seconds", "figures" as they come
  Json progress = nullptr;          // the last one of the step that runs
  Json epochs = Json::array();      // of the last training
  Json candidates = Json::array();  // in their order
  static constexpr auto fields() {
    return std::tuple{
        field("name", &BuildState::name),         field("begun", &BuildState::begun),          field("outcome", &BuildState::outcome),
        field("sentence", &BuildState::sentence), field("process", &BuildState::process),      field("metric", &BuildState::metric),
        field("target", &BuildState::target),     field("steps", &BuildState::steps),          field("progress", &BuildState::progress),
        field("epochs", &BuildState::epochs),     field("candidates", &BuildState::candidates)};
  }
};
// The journal folded into what there is to see; a torn last line is left out. A build whose process is gone without an end is
// "interrupted". Error not_found: nothing was built yet.
Result<BuildState> read_build_journal(const std::string& workspace_root, const std::string& name);

}  // namespace sightline::factory
