// A step that runs in another program: it is given one specification (a JSON file) and answers with JSON lines on stdout. Ctrl-C and
// SIGTERM are passed on once, so that the worker can write its checkpoint; a worker that does not stop within the grace time is killed. The
// worker dies with its parent (PR_SET_PDEATHSIG).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"

namespace sightline::line {

struct WorkerOptions {
  double grace_seconds = 30;
};

// Writes spec to spec_path, runs `program spec_path`, calls on_event for every line that is a JSON object. stderr is kept, and its end is
// part of the error. Errors: interrupted; the kind and message of an {"event":"error","kind":…,"message":…} line; internal when the worker
// died (with the signal).
Result<void> run_worker(const std::string& program, const Json& spec, const std::string& spec_path,
                        const std::function<void(const Json&)>& on_event, const WorkerOptions& options = {});

// sightline-train beside this executable, or on PATH, or $SIGHTLINE_TRAIN. Error not_found says which package brings it.
Result<std::string> find_worker(const std::string& name);

}  // namespace sightline::line
