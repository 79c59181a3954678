// Which models there are to serve, and where: the releases of a workspace, or a folder of packages.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace sightline::serving {

struct Listed {
  std::string name;
  std::int64_t version = 1;
  bool in_force = true;
  std::string stamp;  // changes when what lies there changes
  // The package folder, or the .onnx file; made where it is not there yet.
  std::function<Result<std::string>()> path;
};

// Asked about once a second by one thread; `path`s by several.
using Catalogue = std::function<Result<std::vector<Listed>>()>;

// All releases of a workspace. Error not_found: there is none.
Result<Catalogue> workspace_catalogue(const std::string& root);
// Below a folder, as Triton's model repositories: NAME/ (a package), NAME/VERSION/ (a package for each version; the largest is in force),
// NAME.onnx. Error not_found: no such folder.
Result<Catalogue> folder_catalogue(const std::string& folder);

}  // namespace sightline::serving
