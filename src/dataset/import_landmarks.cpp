// Pictures with points: a CSV file with a column of paths and two columns for each point. Where x, y, w and h say so in pixels, the sample
// is that part of the picture; the points are in pixels of the whole one all the same.
#include "dataset/import_landmarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "dataset/import_keypoints.h"
#include "dataset/numbers.h"
#include "dataset/object_checks.h"
#include "dataset/picture_table.h"

namespace sightline::dataset {
namespace {

using annotation::Landmark;

struct PointColumns {
  std::string name;
  std::size_t x = 0, y = 0;
  std::optional<std::size_t> visibility;
};

// "left_eye" of "left_eye_x" with the letter x; "" of what does not end so.
std::string stem_of(const std::string& column, char letter) {
  if (column.size() < 2 || lower_case(column).back() != letter) return "";
  const std::size_t end = column.find_last_not_of("_-. ", column.size() - 2);
  return end == std::string::npos ? "" : column.substr(0, end + 1);
}

std::vector<PointColumns> point_columns(const std::vector<std::string>& header) {
  const auto column_of = [&](const std::string& stem, char letter) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < header.size(); ++i)
      if (stem_of(header[i], letter) == stem) return i;
    return std::nullopt;
  };
  std::vector<PointColumns> points;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const std::string stem = stem_of(header[i], 'x');
    const bool known = std::ranges::any_of(points, [&](const PointColumns& point) { return point.name == stem; });
    const auto y = column_of(stem, 'y');
    if (!stem.empty() && !known && y) points.push_back({stem, i, *y, column_of(stem, 'v')});
  }
  return points;
}

// "" when the cells say something that can be, or nothing at all.
std::string read_point(const std::vector<std::string>& row, const PointColumns& columns, Landmark& point) {
  const std::string x = trim(row[columns.x]), y = trim(row[columns.y]), seen = columns.visibility ? trim(row[*columns.visibility]) : "";
  if (!seen.empty() && seen != "0" && seen != "1" && seen != "2")
    return fmt::format("{}: \"{}\" is none of 0 (not said), 1 (covered) and 2 (visible)", columns.name, seen);
  if (seen == "0" || (x.empty() && y.empty())) return "";
  if (!read_number(x, point.x) || !read_number(y, point.y))
    return fmt::format("{}: \"{}\", \"{}\" are not two numbers; leave both empty where nothing is known", columns.name, x, y);
  point.said = seen == "1" ? Landmark::hidden : Landmark::visible;
  return "";
}

// Left and top of the part that a sample is, in its picture.
std::array<double, 2> origin_of(const std::string& part) {
  const std::vector<std::string> numbers = split(part.substr(1), ',');
  std::array<double, 2> origin{};
  read_number(numbers[0], origin[0]);
  read_number(numbers[1], origin[1]);
  return origin;
}

bool names_points(const std::vector<std::string>& header) { return point_columns(header).size() > 1; }

}  // namespace

bool looks_like_landmarks(const Source& source) {
  if (!source.attributes.empty()) return false;
  if (lower_case(source.labels).ends_with(".json")) return looks_like_keypoints(source);
  // Figures of a picture with a class are no points of it.
  const auto fits = [](const std::vector<std::string>& header) { return names_points(header) && !find_column(header, label_columns); };
  return !find_table(source, fits, false).empty();
}

Result<Listing> list_landmarks(const Source& source, const demand::SplitPlan& plan) {
  if (lower_case(source.labels).ends_with(".json")) return list_keypoints(source, plan);
  const std::string file = source.labels.empty() ? find_table(source, names_points, false) : source.labels;
  if (file.empty() && looks_like_keypoints(source)) return list_keypoints(source, plan);
  if (file.empty())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no CSV file with the columns path, NAME_x and NAME_y for each point, and no COCO "
                             "keypoints; name the file as data.labels in the demand",
                             source.root)};
  SIGHTLINE_TRY(const PictureTable table, open_table(source, file, plan));
  const std::vector<PointColumns> points = point_columns(table.header);
  if (points.empty()) return table.no_column("NAME_x");
  const PartColumns part_at = part_columns(table.header);
  const auto read = [&](const std::vector<std::string>& row, Entry& entry) -> std::string {
    std::array<double, 2> origin{};
    if (part_at.complete()) {
      const std::string part = part_of(row, part_at);
      if (part.empty()) return "x, y, w and h are no part of a picture";
      entry.path += part;
      origin = origin_of(part);
    }
    for (const PointColumns& columns : points) {
      Landmark& point = entry.landmarks.emplace_back();
      if (std::string fault = read_point(row, columns, point); !fault.empty()) return fault;
      if (point.said == Landmark::unknown) continue;
      point.x -= origin[0];
      point.y -= origin[1];
    }
    const bool any = std::ranges::any_of(entry.landmarks, [](const Landmark& point) { return point.said != Landmark::unknown; });
    return any ? "" : "no point";
  };
  const auto said = [](const Entry& entry) {
    std::string text;
    for (const Landmark& point : entry.landmarks) text += fmt::format("({:g}, {:g}) ", point.x, point.y);
    return trim(text);
  };
  SIGHTLINE_TRY(Listing listing, list_table(table, source, {"the table of points", read, said}));
  for (const PointColumns& columns : points) listing.class_order.push_back(columns.name);
  return listing;
}

void fill_landmarks(Listing& listing, demand::BadBoxes bad, std::vector<Sample>& samples, std::vector<std::string>& reasons) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!reasons[i].empty()) continue;
    const Entry& entry = listing.entries[i];
    Sample& sample = samples[i];
    sample.annotation.landmarks = entry.landmarks;
    bool any = false;
    for (std::size_t k = 0; k < entry.landmarks.size(); ++k) {
      Landmark& point = sample.annotation.landmarks[k];
      if (point.said == Landmark::unknown) continue;
      const double x = std::clamp<double>(point.x, 0, sample.width), y = std::clamp<double>(point.y, 0, sample.height);
      const bool outside = std::max(std::abs(x - point.x), std::abs(y - point.y)) > rounding_beyond_edge;
      if (outside) {
        const bool kept = bad == demand::BadBoxes::clip;
        listing.refused.push_back(
            {entry.path,
             fmt::format("{} at ({:g}, {:g}) lies outside of the picture, which is {}×{} (line {} of the table){}", listing.class_order[k],
                         point.x, point.y, sample.width, sample.height, entry.line, kept ? "; moved to its edge" : ""),
             kept ? Loss::none : Loss::object});
        if (!kept) {
          point = {};
          continue;
        }
      }
      point.x = x;
      point.y = y;
      any = true;
    }
    if (!any) reasons[i] = "none of its points lies within it";
  }
}

}  // namespace sightline::dataset
