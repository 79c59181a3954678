#include "dataset/file_index.h"

#include <algorithm>

#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// split_from, and the union of train and validation that VOC knows.
bool split_of_word(std::string_view word, Split& split) {
  if (lower_case(word) != "trainval") return split_from(word, split);
  split = Split::train;
  return true;
}

std::size_t shared_folders(std::string_view a, std::string_view b) {
  std::size_t shared = 0;
  for (std::size_t i = 0;; ++i) {
    const bool end_a = i == a.size(), end_b = i == b.size();
    if ((end_a || a[i] == '/') && (end_b || b[i] == '/') && i > 0) ++shared;
    if (end_a || end_b || a[i] != b[i]) return shared;
  }
}

}  // namespace

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view file_name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view stem_of(std::string_view path) {
  const std::string_view name = file_name_of(path);
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot);
}

bool split_of_folders(std::string_view path, Split& split) {
  for (std::string_view folder = folder_of(path); !folder.empty(); folder = folder_of(folder))
    if (split_of_word(file_name_of(folder), split)) return true;
  return false;
}

bool split_of_words(std::string_view path, Split& split) {
  const std::string_view name = stem_of(path);
  for (std::size_t begin = 0; begin < name.size();) {
    std::size_t end = begin;
    while (end < name.size() && is_letter(name[end])) ++end;
    if (end > begin && split_of_word(name.substr(begin, end - begin), split)) return true;
    begin = end + 1;
  }
  return false;
}

FileIndex::FileIndex(const std::vector<std::string>& files, By by, bool pictures) {
  for (const std::string& file : files)
    if (has_image_extension(file) == pictures) files_[by == By::stem ? stem_of(file) : file_name_of(file)].push_back(file);
}

std::vector<std::string_view> FileIndex::find(std::string_view key, std::string_view folder) const {
  const auto found = files_.find(key);
  if (found == files_.end()) return {};
  if (found->second.size() == 1) return found->second;
  std::vector<std::string_view> nearest;
  std::size_t most = 0;
  for (const std::string_view path : found->second) {
    const std::string_view own = folder_of(path);
    const std::size_t shared = own == folder ? static_cast<std::size_t>(-1) : shared_folders(own, folder);
    if (shared > most || nearest.empty()) nearest.clear();
    if (shared >= most) nearest.push_back(path);
    most = std::max(most, shared);
  }
  return nearest;
}

}  // namespace sightline::dataset
