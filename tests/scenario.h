// What the scenarios share: small data sets that are drawn, and the programs run as a person runs them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/temporary_folder.h"

namespace sightline::scenario {

// Class folders (circle, cross, stripes, …; at most 5) of noisy grey PNG pictures, side×side, the same for the same seed. `per_class` in
// all.
void draw_shapes(const std::string& folder, int classes, int per_class, int side, std::uint64_t seed);

// A demand for them: a fraction of a second to a few seconds of training.
std::string shapes_demand(const std::string& name, const std::string& data, int epochs = 3, const std::string& more = "");

struct Outcome {
  int exit_code = -1;  // 128 + signal when killed
  std::string out, err;
  Json json() const;  // out, parsed; null when it is not JSON
};
struct RunOptions {
  std::string folder;      // working directory
  double kill_after = -1;  // seconds; SIGKILL to sightline and whatever it started
  int signal = 9;
  std::vector<std::string> environment;  // "NAME=value"
};
// Runs bin/sightline with these words.
Outcome sightline(const std::vector<std::string>& words, const RunOptions& options = {});

void write_text(const std::string& path, const std::string& text);
std::string read_text(const std::string& path);

}  // namespace sightline::scenario
