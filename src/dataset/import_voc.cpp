// Pascal VOC in a folder.
#include <fmt/format.h>

#include "base/files.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

constexpr int looked_at = 5;  // files, before a folder of other XML is given up

bool is_xml(std::string_view file) { return lower_case(file).ends_with(".xml"); }

}  // namespace

bool looks_like_voc(const Source& source) {
  if (!source.labels.empty()) return false;
  int seen = 0;
  for (const std::string& file : source.files) {
    if (!is_xml(file)) continue;
    const auto text = read_file(source.root + "/" + file);
    if (text.ok() && text->find("<annotation") != std::string::npos) return true;
    if (++seen == looked_at) break;
  }
  return false;
}

Result<Collection> collect_voc(const Source& source) {
  SIGHTLINE_TRY(Collection collection, read_voc(source.root, source.files));
  if (collection.pictures.empty() && collection.refused.empty())
    return Error{ErrorKind::invalid_data, fmt::format("{}: no XML file with <annotation>", source.root)};
  return collection;
}

}  // namespace sightline::dataset
