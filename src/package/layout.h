// Where things lie in a package folder, and reading them without trusting them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sightline::package {

inline constexpr const char* config_file = "config.pbtxt";
inline constexpr const char* labels_file = "labels.txt";
inline constexpr const char* version_folder = "1";
inline constexpr const char* model_file = "1/model.onnx";
inline constexpr const char* shared_name = "backbone.data";  // of the model's external weights
inline constexpr const char* shared_file = "1/backbone.data";
inline constexpr const char* lineage_file = "1/lineage.json";
inline constexpr const char* card_file = "1/card.md";
inline constexpr const char* golden_folder = "1/golden";
inline constexpr const char* golden_file = "1/golden/golden.json";

// The path of a file inside the package. Errors: invalid_data (missing, a link that leads out of the folder, not a regular file, larger
// than `most` bytes).
Result<std::string> inside(const std::string& folder, const std::string& name, std::uint64_t most);
// The same, read.
Result<std::string> read_inside(const std::string& folder, const std::string& name, std::uint64_t most);

}  // namespace sightline::package
