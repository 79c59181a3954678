// Finds files of a listing by their names, for annotations that name a picture loosely. Internal to this folder.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataset/manifest.h"

namespace sightline::dataset {

std::string_view folder_of(std::string_view path);  // "" for a file in the root
std::string_view file_name_of(std::string_view path);
std::string_view stem_of(std::string_view path);  // of the file's name: "a/b.c.jpg" is "b.c"
// The split that a folder of the path names (train, trainval, val, test, …), the innermost first; false for none.
bool split_of_folders(std::string_view path, Split& split);
// The split that a word of the file's name names: instances_val2017.json.
bool split_of_words(std::string_view path, Split& split);

class FileIndex {
 public:
  enum class By { stem, name };
  // Pictures only (by their extension) or other files only.
  FileIndex(const std::vector<std::string>& files, By by, bool pictures);

  // Files of that stem or name; among several those in `folder`, else those that share most of its path. Several are as good as each other.
  std::vector<std::string_view> find(std::string_view key, std::string_view folder) const;

 private:
  std::unordered_map<std::string_view, std::vector<std::string_view>> files_;  // views of the listing
};

}  // namespace sightline::dataset
