// How people call a release: NAME, the one in force, or NAME:VERSION.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sightline::store {

struct ReleaseName {
  std::string name;
  std::int64_t version = 0;  // 0: the one in force
};

// Error usage: it is neither ("apparel:0", "apparel:x", a path).
Result<ReleaseName> parse_release_name(const std::string& text);

}  // namespace sightline::store
