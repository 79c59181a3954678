#include "dataset/yolo_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/files.h"
#include "base/yaml.h"
#include "dataset/file_index.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

bool has_folder(std::string_view path, std::string_view wanted) {
  for (std::string_view folder = folder_of(path); !folder.empty(); folder = folder_of(folder))
    if (file_name_of(folder) == wanted) return true;
  return false;
}

// The path with its last folder `images` called labels.
std::string with_labels(const std::string& path) {
  const std::string slashed = "/" + path;
  const std::size_t at = slashed.rfind("/images/");
  if (at == std::string::npos) return "";
  return (slashed.substr(0, at) + "/labels/" + slashed.substr(at + std::string_view("/images/").size())).substr(1);
}

std::string with_extension(const std::string& path, std::string_view extension) {
  const std::string_view folder = folder_of(path);
  return (folder.empty() ? "" : std::string(folder) + "/") + std::string(stem_of(path)) + std::string(extension);
}

}  // namespace

bool is_yaml(const std::string& file) {
  const std::string name = lower_case(file);
  return name.ends_with(".yaml") || name.ends_with(".yml");
}

std::string find_yolo_names(const std::string& root, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    if (!is_yaml(file) || std::count(file.begin(), file.end(), '/') > 1) continue;
    const auto text = read_file(root + "/" + file);
    if (!text.ok()) continue;
    const auto document = parse_yaml(*text, file);
    if (document.ok() && document->kind == YamlNode::Kind::map && document->find("names") != nullptr) return file;
  }
  constexpr std::array<std::string_view, 5> lists{"classes.txt", "obj.names", "classes.names", "names.txt", "labels.txt"};
  for (const std::string_view list : lists)
    for (const std::string& file : files)
      if (file_name_of(file) == list) return file;
  return "";
}

YoloLabels::YoloLabels(const std::vector<std::string>& files) {
  constexpr std::array<std::string_view, 3> names{"classes.txt", "names.txt", "labels.txt"};
  std::set<std::string> below, beside, pictures;
  for (const std::string& file : files)
    if (has_image_extension(file)) {
      pictures.insert(with_extension(file, ""));
      ++pictures_[std::string(stem_of(file))];
    }
  for (const std::string& file : files) {
    if (!lower_case(file).ends_with(".txt") || std::find(names.begin(), names.end(), file_name_of(file)) != names.end()) continue;
    if (has_folder(file, "labels")) {
      below.insert(file);
    } else if (pictures.contains(with_extension(file, ""))) {
      beside.insert(file);
    }
  }
  labels_ = below.empty() ? std::move(beside) : std::move(below);
  for (const std::string& label : labels_) by_stem_[std::string(stem_of(label))].push_back(label);
}

std::string YoloLabels::of(const std::string& picture) const {
  for (const std::string& path : {with_labels(picture), picture}) {
    if (path.empty()) continue;
    std::string label = with_extension(path, ".txt");
    if (labels_.contains(label)) return label;
  }
  const std::string stem(stem_of(picture));
  const auto found = by_stem_.find(stem);
  const auto pictures = pictures_.find(stem);
  const bool certain = found != by_stem_.end() && found->second.size() == 1 && pictures != pictures_.end() && pictures->second == 1;
  return certain ? found->second.front() : "";
}

}  // namespace sightline::dataset
