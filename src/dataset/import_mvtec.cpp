#include "dataset/import_mvtec.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "dataset/masks.h"

namespace sightline::dataset {
namespace {

constexpr std::string_view masks_folder = "ground_truth/";

// PART/KIND/NAME, nothing between; NAME without its extension.
struct Place {
  std::string_view part, kind, stem;
};
std::optional<Place> place_of(std::string_view path) {
  const std::size_t first = path.find('/');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = path.find('/', first + 1);
  if (second == std::string_view::npos || path.find('/', second + 1) != std::string_view::npos) return std::nullopt;
  const std::string_view name = path.substr(second + 1);
  return Place{path.substr(0, first), path.substr(first + 1, second - first - 1), name.substr(0, name.rfind('.'))};
}

}  // namespace

std::string mvtec_mask_of(std::string_view picture) {
  const auto place = place_of(picture);
  if (!place || place->part != "test" || place->kind == mvtec_good) return {};
  return fmt::format("{}{}/{}_mask.png", masks_folder, place->kind, place->stem);
}

bool looks_like_mvtec(const Source& source) {
  if (!source.labels.empty()) return false;
  bool good = false, tested = false, masks = false, misplaced = false;
  for (const std::string& path : source.files) {
    if (!is_called_like_pictures(path)) continue;
    const auto place = place_of(path);
    if (!place) return false;
    if (place->part == "train") {
      (place->kind == mvtec_good ? good : misplaced) = true;
    } else if (place->part == "test") {
      tested = true;
    } else if (path.starts_with(masks_folder)) {
      masks = true;
    } else {
      return false;
    }
  }
  // Kinds in the training part are a mistake where there are masks, and two classes of a classifier where there are none.
  return good && tested && (masks || !misplaced);
}

Result<Listing> list_mvtec(const Source& source, const demand::SplitPlan& plan) {
  if (plan.group_by == demand::GroupBy::column)
    return Error{ErrorKind::invalid_data,
                 "split.group_by is column, but MVTec's layout has no columns; use folder, pattern or near_duplicates"};
  Listing listing;
  std::set<std::string> kinds, masks;  // masks that pictures have
  for (const std::string& path : source.files) {
    const auto place = place_of(path);
    if (!place || !is_called_like_pictures(path) || (place->part != "train" && place->part != "test")) continue;
    const bool training = place->part == "train";
    listing.entries.push_back(
        {.path = path, .class_name = std::string(place->kind), .split = training ? Split::train : Split::test, .folder = {}, .column = {}});
    if (place->kind != mvtec_good) kinds.emplace(place->kind);
    if (std::string mask = mvtec_mask_of(path); !mask.empty()) masks.insert(std::move(mask));
  }
  for (const std::string& path : source.files) {
    const auto place = place_of(path);
    if (place && is_called_like_pictures(path) && (place->part == "train" || place->part == "test")) continue;
    if (std::string reason = side_file_reason(path); !reason.empty()) {
      listing.refused.push_back({path, std::move(reason), Loss::none});
    } else if (path.starts_with(masks_folder)) {
      const bool known = masks.contains(path);
      listing.refused.push_back(
          {path, known ? "the mask of a picture" : "a mask whose picture is not there", known ? Loss::none : Loss::picture});
    } else {
      listing.refused.push_back({path, "not below train/good or test/KIND", is_called_like_pictures(path) ? Loss::picture : Loss::none});
    }
  }
  listing.class_order.emplace_back(mvtec_good);
  listing.class_order.insert(listing.class_order.end(), kinds.begin(), kinds.end());
  return listing;
}

}  // namespace sightline::dataset
