// Faults are injected, not hoped for: where a crash would hurt most, the code names the place, and a test makes the process die there with
// SIGHTLINE_FAULT=NAME in the environment. Without the variable a call costs one comparison.
#pragma once

#include <string_view>

namespace sightline {

// Ends the process with SIGKILL when SIGHTLINE_FAULT is this name.
void fault_point(std::string_view name);

}  // namespace sightline
