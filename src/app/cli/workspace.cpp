#include "app/cli/workspace.h"

#include <filesystem>

namespace sightline::cli {

std::string workspace_root(const Console& console, const std::string& demand_path) {
  if (!console.workspace.empty()) return console.workspace;
  return (std::filesystem::path(demand_path).parent_path() / ".sightline").string();
}

Result<store::Workspace> existing_workspace(const Console& console, const std::string& demand_path) {
  const std::string root = workspace_root(console, demand_path);
  if (!is_directory(root)) {
    return Error{
        ErrorKind::not_found,
        fmt::format("there is no workspace {}; `sightline build DEMAND.yaml` makes one beside the demand, or name one with --workspace",
                    root)};
  }
  return store::Workspace::open(root, false);
}

}  // namespace sightline::cli
