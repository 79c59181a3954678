// What COCO, YOLO and VOC have in common once they are read: an entry a picture, and every other file accounted for.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dataset/file_index.h"
#include "dataset/importers.h"

namespace sightline::dataset {

Result<Listing> list_collection(Collection collection, const Source& source, const demand::SplitPlan& plan) {
  if (plan.group_by == demand::GroupBy::column)
    return Error{ErrorKind::invalid_data,
                 fmt::format("split.group_by is column, but {} annotations have no columns; use folder, pattern or near_duplicates",
                             enum_name(collection.format))};
  Listing listing;
  std::set<std::string_view> accounted;
  for (const Refusal& refusal : collection.refused) accounted.insert(refusal.path);
  for (const CollectedFile& file : collection.files) accounted.insert(file.path);
  for (const TextFile& list : collection.lists) accounted.insert(list.path);
  for (std::size_t i = 0; i < collection.pictures.size(); ++i) {
    const CollectedPicture& picture = collection.pictures[i];
    accounted.insert(picture.path);
    accounted.insert(picture.label_file);
    if (!picture.listed) {
      listing.refused.push_back({picture.path, "in none of the splits that the data name", Loss::none});
      continue;
    }
    listing.entries.push_back({.path = picture.path,
                               .class_name = {},
                               .split = picture.split.value_or(Split::train),
                               .folder = std::string(folder_of(picture.path)),
                               .column = {},
                               .picture = i});
  }
  for (const std::string& file : source.files) {
    if (accounted.contains(file)) continue;
    const std::string side = side_file_reason(file);
    listing.refused.push_back({file,
                               !side.empty()               ? side
                               : has_image_extension(file) ? "no annotations speak of it"
                                                           : "no picture",
                               Loss::none});
  }
  listing.refused.insert(listing.refused.end(), collection.refused.begin(), collection.refused.end());
  std::sort(listing.entries.begin(), listing.entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  listing.collection = std::move(collection);
  return listing;
}

}  // namespace sightline::dataset
