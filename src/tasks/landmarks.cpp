#include "tasks/landmarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using annotation::Landmark;

constexpr const char* kHeatMaps = "heat_maps";

Result<void> check_shape(Dtype dtype, const Shape& shape, std::size_t classes) {
  const bool fits = dtype == Dtype::f32 && shape.size() == 4 && (shape[1] < 0 || shape[1] == static_cast<std::int64_t>(classes));
  if (fits) return {};
  return Error{ErrorKind::unsupported, fmt::format("output \"{}\" is {} {}; a landmarker of {} answers with f32 N×{}×h×w", kHeatMaps,
                                                   name_of(dtype), to_string(shape), plural(classes, "point"), classes)};
}

// How far from the middle of the largest cell the top of the Gaussian through three sums lies, in cells. before, after: negative where the
// map ends.
double between_cells(double before, double at, double after) {
  constexpr double taught_curvature = -1;  // of the logarithm, per cell: 1 / deviation², training/landmark_loss.h
  constexpr double least = 1e-12;
  if (at < least) return 0;
  const double here = std::log(at);
  double slope = 0, curvature = taught_curvature;
  if (before < 0 && after < 0) return 0;
  if (before < 0) {
    slope = std::log(std::max(after, least)) - here - curvature / 2;
  } else if (after < 0) {
    slope = here - std::log(std::max(before, least)) + curvature / 2;
  } else {
    const double left = std::log(std::max(before, least)), right = std::log(std::max(after, least));
    slope = (right - left) / 2;
    curvature = left - 2 * here + right;
  }
  return curvature < 0 ? std::clamp(-slope / curvature, -1.0, 1.0) : 0;
}

Result<std::vector<Landmark>> read_maps(std::span<const float> maps, const Shape& shape, const image::Placement& place) {
  const std::int64_t rows = shape[2], columns = shape[3];
  const auto area = static_cast<std::size_t>(rows * columns);
  std::vector<Landmark> points;
  for (std::int64_t k = 0; k < shape[1]; ++k) {
    const std::span<const float> map = maps.subspan(static_cast<std::size_t>(k) * area, area);
    if (const auto bad = std::ranges::find_if(map, [](float each) { return !(each >= 0 && each <= 1.0001F); }); bad != map.end())
      return Error{ErrorKind::invalid_data, fmt::format("the map of point {} holds {}, which is no probability", k, *bad)};
    const Peak peak = peak_of(map, rows, columns);
    points.push_back({.said = Landmark::visible,
                      .x = std::clamp((peak.x * landmark_cell - place.offset_x) / place.scale_x, 0.0, static_cast<double>(place.width)),
                      .y = std::clamp((peak.y * landmark_cell - place.offset_y) / place.scale_y, 0.0, static_cast<double>(place.height)),
                      .score = std::min(peak.share, 1.0)});
  }
  return points;
}

}  // namespace

Result<void> check_landmarks_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes) {
  const auto found = outputs.find(kHeatMaps);
  if (found == outputs.end())
    return Error{ErrorKind::unsupported,
                 fmt::format("the network has no output \"{}\"; a landmarker answers with it, f32 N×{}×h×w", kHeatMaps, classes)};
  return check_shape(found->second.first, found->second.second, classes);
}

Peak peak_of(std::span<const float> map, std::int64_t rows, std::int64_t columns) {
  const auto largest = std::ranges::max_element(map) - map.begin();
  const std::int64_t row = largest / columns, column = largest % columns;
  const std::int64_t top = std::max<std::int64_t>(0, row - peak_reach), bottom = std::min(rows - 1, row + peak_reach),
                     left = std::max<std::int64_t>(0, column - peak_reach), right = std::min(columns - 1, column + peak_reach);
  std::array<double, 2 * peak_reach + 1> across{}, down{};  // sums along the columns and rows around the largest cell
  Peak peak;
  for (std::int64_t y = top; y <= bottom; ++y) {
    for (std::int64_t x = left; x <= right; ++x) {
      const auto value = static_cast<double>(map[static_cast<std::size_t>(y * columns + x)]);
      across[static_cast<std::size_t>(x - column + peak_reach)] += value;
      down[static_cast<std::size_t>(y - row + peak_reach)] += value;
      peak.share += value;
    }
  }
  const auto place = [](const auto& sums, std::int64_t at, std::int64_t length) {
    const double before = at > 0 ? sums[peak_reach - 1] : -1, after = at + 1 < length ? sums[peak_reach + 1] : -1;
    return static_cast<double>(at) + 0.5 + between_cells(before, sums[peak_reach], after);
  };
  peak.x = place(across, column, columns);
  peak.y = place(down, row, rows);
  return peak;
}

Result<std::vector<Annotation>> decode_landmarks(const Outputs& outputs, std::span<const image::Placement> placements, const Terms& terms) {
  const auto found = outputs.find(kHeatMaps);
  if (found == outputs.end()) return check_landmarks_outputs({}, terms.classes.size()).error();
  const Tensor& maps = found->second;
  SIGHTLINE_CHECK(check_shape(maps.dtype(), maps.shape(), terms.classes.size()));
  if (maps.dim(0) != std::ssize(placements))
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} in the batch, but the network answered for {}", plural(placements.size(), "picture"), maps.dim(0))};
  const std::size_t row = maps.values<float>().size() / std::max<std::size_t>(placements.size(), 1);
  std::vector<Annotation> answers(placements.size());
  for (std::size_t n = 0; n < answers.size(); ++n) {
    SIGHTLINE_TRY(answers[n].landmarks, read_maps(maps.values<float>().subspan(n * row, row), maps.shape(), placements[n]));
  }
  return answers;
}

Told tell_landmarks(const Annotation& annotation, const std::vector<std::string>& classes) {
  Told told{.json = {{"landmarks", Json::array()}}, .rows = {}};
  for (std::size_t k = 0; k < annotation.landmarks.size(); ++k) {
    const Landmark& point = annotation.landmarks[k];
    const std::string name = annotation::name_of_class(classes, static_cast<std::int64_t>(k));
    told.json["landmarks"].push_back({{"label", k}, {"name", name}, {"x", point.x}, {"y", point.y}, {"score", point.score}});
    told.rows.push_back({name, fmt::format("{:.1f}", point.x), fmt::format("{:.1f}", point.y), fmt::format("{:.3f}", point.score)});
  }
  return told;
}

namespace {

double size_of_marks(const image::Image& picture) { return std::clamp(std::min(picture.width, picture.height) / 60.0, 1.5, 12.0); }

}  // namespace

void draw_landmarks(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  const double radius = size_of_marks(picture);
  constexpr std::size_t most_named = 24;
  constexpr int least_named = 240;  // pixels of the shorter side
  const bool named = annotation.landmarks.size() <= most_named && std::min(picture.width, picture.height) >= least_named;
  for (std::size_t k = 0; k < annotation.landmarks.size(); ++k) {
    const Landmark& point = annotation.landmarks[k];
    if (point.said == Landmark::unknown) continue;
    const image::Colour colour = image::class_colour(k);
    image::draw_dot(picture, point.x, point.y, {.colour = colour, .radius = radius, .filled = point.score >= annotation::sure_score});
    if (named)
      image::draw_text(picture, static_cast<int>(point.x + radius + 2), static_cast<int>(point.y - radius),
                       annotation::name_of_class(classes, static_cast<std::int64_t>(k)), 0.35, colour);
  }
}

void draw_landmarks_truth(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  const double arm = size_of_marks(picture) * 1.5;
  for (std::size_t k = 0; k < annotation.landmarks.size(); ++k) {
    const Landmark& point = annotation.landmarks[k];
    if (point.said == Landmark::unknown) continue;
    const image::Stroke stroke{.colour = image::class_colour(k)};
    image::draw_rectangle(picture, point.x - arm, point.y - 0.5, point.x + arm, point.y + 0.5, stroke);
    image::draw_rectangle(picture, point.x - 0.5, point.y - arm, point.x + 0.5, point.y + arm, stroke);
  }
}

}  // namespace sightline::tasks
