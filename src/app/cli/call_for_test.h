// The command line in this process, as tests call it.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "app/cli/run.h"
#include "base/json.h"

namespace sightline::cli {

struct Outcome {
  int code = 0;
  std::string out, err;
  Json json() const { return Json::parse(out); }
};

inline Outcome call(const std::vector<std::string>& words, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out, err;
  const int code = run(words, in, out, err);
  return {code, out.str(), err.str()};
}

}  // namespace sightline::cli
