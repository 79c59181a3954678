// YOLO in a folder.
#include <charconv>
#include <sstream>

#include "base/files.h"
#include "dataset/importers.h"
#include "dataset/numbers.h"
#include "dataset/yolo_files.h"

namespace sightline::dataset {
namespace {

constexpr int looked_at = 20;  // files of labels; those of pictures without objects are empty

// A whole number and four others at least: what no list of names looks like.
bool speaks_yolo(const std::string& text) {
  std::istringstream words(text.substr(0, text.find('\n', text.find_first_not_of(" \t\r\n"))));
  std::string word;
  std::size_t number = 0, count = 0;
  if (!(words >> word) || !read_number(word, number)) return false;
  double share = 0;
  for (; words >> word; ++count)
    if (!read_number(word, share)) return false;
  return count >= 4;
}

}  // namespace

bool looks_like_yolo(const Source& source) {
  if (!source.labels.empty()) return false;
  if (find_yolo_names(source.root, source.files).empty()) return false;
  const YoloLabels labels(source.files);
  int seen = 0;
  for (const std::string& file : labels.all()) {
    const auto text = read_file(source.root + "/" + file);
    if (text.ok() && speaks_yolo(*text)) return true;
    if (++seen == looked_at) break;
  }
  return false;
}

Result<Collection> collect_yolo(const Source& source) { return read_yolo(source.root, source.files); }

}  // namespace sightline::dataset
