// gzip in memory, for records that are kept by the thousand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sightline::dataset {

bool is_gzip(std::string_view bytes);
// Without time and name: equal text gives equal bytes with one version of zlib.
std::string gzip(std::string_view text);
// Errors name `source`: invalid_data (cut off, damaged, something after its end), refused (more than `most` bytes).
Result<std::string> gunzip(std::string_view bytes, const std::string& source, std::uint64_t most);

}  // namespace sightline::dataset
