// COCO in a folder: which of the JSON files are annotations of objects.
#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "dataset/file_index.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

bool is_json(std::string_view file) { return lower_case(file).ends_with(".json"); }

// By the keys, without parsing what may be hundreds of megabytes.
bool speaks_coco(const std::string& path) {
  const auto text = read_file(path);
  if (!text.ok()) return false;
  const auto has = [&](const char* key) { return text->find(key) != std::string::npos; };
  return has("\"images\"") && has("\"annotations\"") && has("\"categories\"");
}

// COCO's own files speak of the same pictures several times (instances, person_keypoints): then instances are meant.
std::vector<std::string> find_tables(const Source& source) {
  if (is_json(source.labels)) {
    std::string table = source.labels;
    if (table.starts_with(source.root + "/")) table.erase(0, source.root.size() + 1);
    return {table};
  }
  std::vector<std::string> tables, instances;
  for (const std::string& file : source.files) {
    if (!is_json(file) || !speaks_coco(source.root + "/" + file)) continue;
    tables.push_back(file);
    if (file_name_of(file).starts_with("instances")) instances.push_back(file);
  }
  return instances.empty() ? tables : instances;
}

}  // namespace

bool looks_like_coco(const Source& source) {
  if (!source.labels.empty()) return is_json(source.labels);
  return std::any_of(source.files.begin(), source.files.end(),
                     [&](const std::string& file) { return is_json(file) && speaks_coco(source.root + "/" + file); });
}

Result<Collection> collect_coco(const Source& source) {
  const std::vector<std::string> tables = find_tables(source);
  if (tables.empty())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no JSON file with \"images\", \"annotations\" and \"categories\"; name the file as "
                             "data.labels in the demand",
                             source.root)};
  return read_coco(source.root, source.files, tables);
}

}  // namespace sightline::dataset
