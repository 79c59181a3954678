#include "dataset/import_keypoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "dataset/convert.h"
#include "dataset/numbers.h"

namespace sightline::dataset {
namespace {

using annotation::Landmark;

constexpr const char *points_key = "keypoints", *count_key = "num_keypoints";
constexpr const char* table_file = "annotations/person_keypoints.json";

std::vector<std::string> tables_of(const Source& source) {
  const auto has_points = [&](const std::string& file) {
    if (!lower_case(file).ends_with(".json")) return false;
    const auto text = read_file(file.starts_with('/') ? file : source.root + "/" + file);
    return text.ok() && text->find("\"keypoints\"") != std::string::npos && text->find("\"annotations\"") != std::string::npos;
  };
  std::vector<std::string> tables;
  if (!source.labels.empty()) {
    if (has_points(source.labels))
      tables.push_back(source.labels.starts_with(source.root + "/") ? source.labels.substr(source.root.size() + 1) : source.labels);
    return tables;
  }
  for (const std::string& file : source.files)
    if (has_points(file)) tables.push_back(file);
  return tables;
}

const std::string* extra_of(const std::vector<Extra>& extras, const char* key) {
  const auto found = std::ranges::find(extras, key, &Extra::key);
  return found == extras.end() ? nullptr : &found->text;
}

// "" or why the list is none of `count` points.
std::string read_points(const Json& list, std::size_t count, std::vector<Landmark>& points) {
  if (!list.is_array() || list.size() != 3 * count)
    return fmt::format("keypoints are {}, not three numbers for each of {} points",
                       list.is_array() ? plural(list.size(), "value") : "no list", count);
  for (std::size_t k = 0; k < count; ++k) {
    const Json &x = list[3 * k], &y = list[3 * k + 1], &seen = list[3 * k + 2];
    if (!x.is_number() || !y.is_number()) return fmt::format("point {} has no two numbers", k);
    if (!seen.is_number_integer() || seen.get<std::int64_t>() < 0 || seen.get<std::int64_t>() > 2)
      return fmt::format("the v of point {} is none of 0 (not said), 1 (covered) and 2 (visible)", k);
    Landmark& point = points.emplace_back();
    point.said = static_cast<std::int8_t>(seen.get<std::int64_t>());
    if (point.said != Landmark::unknown) {
      point.x = x.get<double>();
      point.y = y.get<double>();
    }
  }
  return "";
}

// The whole pixels that the box and the points take, within the picture.
std::array<int, 4> part_around(const CollectedObject& object, const std::vector<Landmark>& points, int width, int height) {
  annotation::Box box{object.box[0], object.box[1], object.box[0] + object.box[2], object.box[1] + object.box[3]};
  for (const Landmark& point : points) {
    if (point.said == Landmark::unknown) continue;
    box = {std::min(box.left, point.x), std::min(box.top, point.y), std::max(box.right, point.x), std::max(box.bottom, point.y)};
  }
  const int left = static_cast<int>(std::clamp(std::floor(box.left), 0.0, width - 1.0)),
            top = static_cast<int>(std::clamp(std::floor(box.top), 0.0, height - 1.0)),
            right = static_cast<int>(std::clamp(std::ceil(box.right), left + 1.0, static_cast<double>(width))),
            bottom = static_cast<int>(std::clamp(std::ceil(box.bottom), top + 1.0, static_cast<double>(height)));
  return {left, top, right - left, bottom - top};
}

}  // namespace

bool looks_like_keypoints(const Source& source) { return !tables_of(source).empty(); }

Result<Listing> list_keypoints(const Source& source, const demand::SplitPlan& /*plan*/) {
  const std::vector<std::string> tables = tables_of(source);
  if (tables.empty()) return Error{ErrorKind::invalid_data, source.root + ": no JSON file with keypoints; name the file as data.labels"};
  SIGHTLINE_TRY(Collection collection, read_coco(source.root, source.files, tables));
  settle_sizes(collection, source.root);
  Listing listing;
  std::vector<bool> has_points;
  for (const CollectedCategory& category : collection.categories) {
    const std::string* names = extra_of(category.extra, points_key);
    has_points.push_back(names != nullptr);
    if (names == nullptr) continue;
    std::vector<std::string> own;
    if (auto status = from_json(Json::parse(*names), own, fmt::format("{}: keypoints of \"{}\"", tables[0], category.name)); !status.ok())
      return status.error();
    if (!listing.class_order.empty() && own != listing.class_order)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: the category \"{}\" has other keypoints than the one before it; a model learns the "
                               "points of one thing: keep one of them in the file",
                               tables[0], category.name)};
    listing.class_order = std::move(own);
  }
  if (listing.class_order.empty()) return Error{ErrorKind::invalid_data, fmt::format("{}: no category names its \"keypoints\"", tables[0])};
  listing.refused = std::move(collection.refused);
  for (const CollectedPicture& picture : collection.pictures) {
    for (const CollectedObject& object : picture.objects) {
      const std::string* text = extra_of(object.extra, points_key);
      const auto pass_over = [&](const std::string& why, Loss loss) {
        listing.refused.push_back({picture.label_file, fmt::format("{} ({})", why, object.place), loss});
      };
      if (!has_points[object.category] || text == nullptr) {
        pass_over("it has no keypoints", Loss::none);
        continue;
      }
      if (object.crowd.value_or(false)) {
        pass_over("a crowd", Loss::none);
        continue;
      }
      std::vector<Landmark> points;
      if (const std::string why = read_points(Json::parse(*text), listing.class_order.size(), points); !why.empty()) {
        pass_over(why, Loss::object);
        continue;
      }
      if (std::ranges::all_of(points, [](const Landmark& point) { return point.said == Landmark::unknown; })) {
        pass_over("nothing is said of its points", Loss::none);
        continue;
      }
      const std::array<int, 4> part = part_around(object, points, *picture.width, *picture.height);
      for (Landmark& point : points) {
        if (point.said == Landmark::unknown) continue;
        point.x -= part[0];
        point.y -= part[1];
      }
      Entry entry{.path = fmt::format("{}#{},{},{},{}", picture.path, part[0], part[1], part[2], part[3]),
                  .class_name = {},
                  .text = {},
                  .split = picture.split.value_or(Split::train),
                  .folder = {},
                  .column = picture.path,
                  .mask = {}};
      entry.landmarks = std::move(points);
      listing.entries.push_back(std::move(entry));
    }
  }
  return listing;
}

Result<Collection> collect_landmarks(const Source& source) {
  SIGHTLINE_TRY(const Listing listing, list_landmarks(source, {}));
  Collection collection{.format = BoxFormat::coco};
  collection.refused = listing.refused;
  collection.categories.push_back(
      {.name = "thing", .id = 1, .extra = {{points_key, json_text(to_json(listing.class_order))}, {"skeleton", "[]"}}});
  collection.files.push_back({.path = table_file, .extra = {}, .categories = {0}});
  std::map<std::string, std::size_t> place;
  for (const Entry& entry : listing.entries) {
    const std::string file = entry.path.substr(0, entry.path.find('#'));
    const auto [at, fresh] = place.emplace(file, collection.pictures.size());
    if (!fresh) continue;
    CollectedPicture& picture = collection.pictures.emplace_back();
    picture.path = picture.name = file;
    picture.label_file = table_file;
    picture.id = static_cast<std::int64_t>(collection.pictures.size());
  }
  settle_sizes(collection, source.root);
  place.clear();
  for (std::size_t i = 0; i < collection.pictures.size(); ++i) place[collection.pictures[i].path] = i;
  std::int64_t id = 0;
  for (const Entry& entry : listing.entries) {
    const std::size_t hash = entry.path.find('#');
    const auto found = place.find(entry.path.substr(0, hash));
    if (found == place.end()) continue;  // its picture is among the refused
    CollectedPicture& picture = collection.pictures[found->second];
    std::array<double, 4> box{0, 0, static_cast<double>(*picture.width), static_cast<double>(*picture.height)};
    if (hash != std::string::npos) {
      const std::vector<std::string> numbers = split(entry.path.substr(hash + 1), ',');
      for (std::size_t i = 0; i < box.size(); ++i) read_number(numbers[i], box[i]);
    }
    Json points = Json::array();
    std::int64_t said = 0;
    for (const Landmark& point : entry.landmarks) {
      const bool known = point.said != Landmark::unknown;
      said += known ? 1 : 0;
      for (const double number : {known ? point.x + (hash == std::string::npos ? 0 : box[0]) : 0.0,
                                  known ? point.y + (hash == std::string::npos ? 0 : box[1]) : 0.0})
        points.push_back(number == std::floor(number) ? Json(static_cast<std::int64_t>(number)) : Json(number));
      points.push_back(static_cast<int>(point.said));
    }
    CollectedObject object{.category = 0, .box = box, .outline = {}, .id = ++id, .crowd = false};
    object.extra = {{points_key, json_text(points)}, {count_key, std::to_string(said)}, {"area", number_text(box[2] * box[3])}};
    picture.objects.push_back(std::move(object));
  }
  return collection;
}

}  // namespace sightline::dataset
