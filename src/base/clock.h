// Moments as text.
#pragma once

#include <string>

namespace sightline {

std::string utc_now();  // "2026-11-23T09:12:05Z"
// The same moment for a person, in local time: "2026-11-23 09:12". Text that is no such moment comes back as it is.
std::string local_minute(const std::string& utc);

}  // namespace sightline
