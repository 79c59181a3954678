// What people call a model on the command line: a released name, a package folder, or a bare .onnx file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/cli/console.h"
#include "package/package.h"

namespace sightline::cli {

inline constexpr const char* model_help = "released name (NAME or NAME:VERSION), package folder, or .onnx file";

// --workspace, or .sightline in the current folder.
std::string workspace_root(const Console& console);

struct FoundModel {
  enum class Kind { release, package, onnx };
  Kind kind = Kind::package;
  std::string path;          // of the package folder or the file
  std::string name;          // for messages: "apparel:3", or the path
  std::int64_t version = 0;  // of a release
};

// A release is preferred to a folder of the same name ("./NAME" means the folder). Error not_found says where it was looked for, and the
// nearest released name.
Result<FoundModel> find_model(const Console& console, const std::string& text);

// Finds and opens; what had to be assumed about a bare .onnx file is a warning.
struct OpenModel {
  FoundModel source;
  package::Model model;
};
// task: of a bare .onnx file that does not say it itself; "": classify.
Result<OpenModel> open_model(const Console& console, const std::string& text, int threads, const std::string& task = "");
// The names that --task takes.
std::vector<std::string> task_names();

// {"name": …, "kind": "release", "path": …} for --json.
Json json_of(const FoundModel& model);

}  // namespace sightline::cli
