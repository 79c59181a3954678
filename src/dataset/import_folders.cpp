// Class folders: root/class/…/picture, or root/train/class/…/picture beside root/test/… (torchvision's ImageFolder). Classes are the
// names of the first level below the root or the split.
#include <fmt/format.h>

#include <map>
#include <set>

#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Whether the first level is train, validation, test: all folders of it are, at least one of them holds class folders, and either there
// are two of them or the only one holds two classes. "train/x.jpg" alone is a class called train.
bool has_split_level(const Source& source) {
  std::map<std::string_view, std::set<std::string_view>> below;  // split folder → class folders
  bool others = false;
  for (const std::string& path : source.files) {
    if (!side_file_reason(path).empty()) continue;
    const auto parts = components(path);
    Split split{};
    if (parts.size() < 2) continue;
    if (!split_from(parts[0], split)) {
      others = true;
      continue;
    }
    auto& classes = below[parts[0]];
    if (parts.size() > 2) classes.insert(parts[1]);
  }
  bool train = false;
  std::size_t with_classes = 0, most = 0;
  for (const auto& [name, classes] : below) {
    Split split{};
    train = train || (split_from(name, split) && split == Split::train && !classes.empty());
    with_classes += classes.empty() ? 0 : 1;
    most = std::max(most, classes.size());
  }
  return train && (with_classes >= 2 || (!others && most >= 2));
}

Loss loss_of(const std::string& path) { return is_called_like_pictures(path) ? Loss::picture : Loss::none; }

}  // namespace

bool looks_like_folders(const Source& source) {
  const bool split_level = has_split_level(source);
  for (const std::string& path : source.files) {
    if (!is_called_like_pictures(path)) continue;
    const auto parts = components(path);
    Split split{};
    if (split_level ? parts.size() > 2 : parts.size() > 1 && !(parts.size() == 2 && split_from(parts[0], split))) return true;
  }
  return false;
}

Result<Listing> list_folders(const Source& source, const demand::SplitPlan& plan) {
  if (plan.group_by == demand::GroupBy::column)
    return Error{ErrorKind::invalid_data,
                 "split.group_by is column, but class folders have no columns; use folder, pattern or near_duplicates"};
  const bool split_level = has_split_level(source);
  const std::size_t class_at = split_level ? 1 : 0;
  Listing listing;
  for (const std::string& path : source.files) {
    if (std::string reason = side_file_reason(path); !reason.empty()) {
      listing.refused.push_back({path, std::move(reason), Loss::none});
      continue;
    }
    const auto parts = components(path);
    Split split = Split::train;
    if (split_level && parts.size() > 1 && !split_from(parts[0], split)) {
      listing.refused.push_back({path, "not below the train, validation or test folder", loss_of(path)});
    } else if (parts.size() < class_at + 2) {
      listing.refused.push_back({path, "not in a class folder", loss_of(path)});
    } else {
      Entry entry{.path = path, .class_name = std::string(parts[class_at]), .split = split, .folder = {}, .column = {}};
      const std::size_t begin = static_cast<std::size_t>(parts[class_at].data() - path.data()) + parts[class_at].size() + 1;
      const std::size_t end = path.rfind('/');
      if (end > begin) entry.folder = path.substr(begin, end - begin);
      listing.entries.push_back(std::move(entry));
    }
  }
  return listing;
}

bool looks_like_pictures(const Source& source) {
  bool any = false;
  for (const std::string& path : source.files) {
    if (!is_called_like_pictures(path)) continue;
    if (path.find('/') != std::string::npos) return false;
    any = true;
  }
  return any;
}

Result<Listing> list_good_pictures(const Source& source, const demand::SplitPlan& plan) {
  if (plan.group_by == demand::GroupBy::column)
    return Error{ErrorKind::invalid_data,
                 "split.group_by is column, but a folder of pictures has no columns; use folder, pattern or near_duplicates"};
  Listing listing;
  for (const std::string& path : source.files) {
    if (std::string reason = side_file_reason(path); !reason.empty()) {
      listing.refused.push_back({path, std::move(reason), Loss::none});
    } else if (path.find('/') != std::string::npos) {
      listing.refused.push_back({path, "not directly in the folder", loss_of(path)});
    } else {
      listing.entries.push_back({.path = path, .class_name = "good", .split = Split::train, .folder = {}, .column = {}});
    }
  }
  return listing;
}

}  // namespace sightline::dataset
