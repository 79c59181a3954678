// Which workspace a verb works in.
#pragma once

#include <string>

#include "app/cli/console.h"
#include "store/workspace.h"

namespace sightline::cli {

// --workspace, or .sightline beside `demand_path`, or ./.sightline when that is "".
std::string workspace_root(const Console& console, const std::string& demand_path = "");
// An existing workspace; error not_found says how one comes to be.
Result<store::Workspace> existing_workspace(const Console& console, const std::string& demand_path = "");

}  // namespace sightline::cli
