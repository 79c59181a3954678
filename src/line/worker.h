// A step that runs in another program: it is given one specification (a JSON file) and answers with JSON lines on stdout. Ctrl-C and
// SIGTERM are passed on once (as SIGINT), so that the worker can write its checkpoint; a worker that does not stop within the grace time is
// killed. It runs in a process group of its own, so that a terminal's Ctrl-C does not reach it a second time, and dies with the thread that
// started it (PR_SET_PDEATHSIG).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"

namespace sightline::line {

struct WorkerOptions {
  double grace_seconds = 30;
  double most_seconds = 0;  // it is asked to stop, as by Ctrl-C, when it has worked for so long; 0: for ever
};

// Writes spec to spec_path, runs `program spec_path`, calls on_event for every line that is a JSON object (at most 1 MiB long; what else it
// says goes to the log at debug level). stderr goes there too, and its end is part of the error. Errors: interrupted; refused when its
// time was up; the kind and message of an {"event":"error","kind":…,"message":…} line; internal when the worker died (with the signal).
Result<void> run_worker(const std::string& program, const Json& spec, const std::string& spec_path,
                        const std::function<void(const Json&)>& on_event, const WorkerOptions& options = {});

// $SIGHTLINE_TRAIN for "sightline-train", else the program of that name beside this executable or on PATH. Error not_found says which
// package brings it.
Result<std::string> find_worker(const std::string& name);

}  // namespace sightline::line
