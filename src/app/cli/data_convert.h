// data convert: boxes from one format into another.
#pragma once

#include <string>

#include "app/cli/console.h"
#include "base/result.h"
#include "demand/demand.h"

namespace sightline::cli {

struct DataConversion {
  std::string out;  // a folder that is not there, or empty
  std::string to;
  bool strict = false, without_pictures = false;
};

// Gives the exit code. Errors: usage, conflict (the folder holds something), refused (strict, and something would be lost), those of
// reading.
Result<int> convert_data(Console& console, const demand::Data& data, const DataConversion& conversion);

}  // namespace sightline::cli
