#include "tasks/anomaly.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "tasks/anomaly_metrics.h"

namespace sightline::tasks {

namespace {

using annotation::Annotation;

constexpr const char* kScore = "anomaly_score";
constexpr const char* kMap = "anomaly_map";

using Signatures = std::map<std::string, std::pair<Dtype, Shape>>;

Result<void> check_shapes(const Signatures& outputs) {
  for (const auto& [name, rank] : {std::pair{kScore, 1}, std::pair{kMap, 3}}) {
    constexpr const char* wanted = "an anomaly detector answers with anomaly_score f32 N and anomaly_map f32 N×H×W";
    const auto found = outputs.find(name);
    if (found == outputs.end()) return Error{ErrorKind::unsupported, fmt::format("the network has no output \"{}\"; {}", name, wanted)};
    const auto& [dtype, shape] = found->second;
    if (dtype != Dtype::f32 || shape.size() != static_cast<std::size_t>(rank))
      return Error{ErrorKind::unsupported, fmt::format("output \"{}\" is {} {}; {}", name, name_of(dtype), to_string(shape), wanted)};
  }
  return {};
}

// The part of a map (rows × columns of the network's input) that shows the picture.
Tensor picture_part(std::span<const float> map, std::int64_t rows, std::int64_t columns, const image::Placement& placement) {
  const auto length = [](int side, double scale) { return std::max<std::int64_t>(1, std::lround(side * scale)); };
  const std::int64_t height = length(placement.height, placement.scale_y), width = length(placement.width, placement.scale_x);
  const std::int64_t top = std::lround(placement.offset_y), left = std::lround(placement.offset_x);
  Tensor part = Tensor::zeros(Dtype::f32, {height, width});
  const auto out = part.values<float>();
  for (std::int64_t y = std::max<std::int64_t>(0, -top); y < std::min(height, rows - top); ++y) {
    for (std::int64_t x = std::max<std::int64_t>(0, -left); x < std::min(width, columns - left); ++x)
      out[static_cast<std::size_t>(y * width + x)] = map[static_cast<std::size_t>((y + top) * columns + x + left)];
  }
  return part;
}

double letters_for(const image::Image& picture) { return std::clamp(std::min(picture.width, picture.height) / 1000.0, 0.35, 4.0); }

void draw_line(image::Image& picture, const std::string& text, image::Colour background, bool above) {
  const image::TextSize size = image::text_size(text, letters_for(picture));
  if (size.width > picture.width || size.height > picture.height / 4) return;
  image::draw_text(picture, 0, above ? 0 : picture.height - size.height, text, letters_for(picture), background);
}

int line_width(const image::Image& picture) {
  return std::clamp(static_cast<int>(std::lround(std::min(picture.width, picture.height) / 240.0)), 1, 12);
}

}  // namespace

Result<void> check_anomaly_outputs(const Signatures& outputs, std::size_t /*classes*/) { return check_shapes(outputs); }

Result<std::vector<Annotation>> decode_anomaly(const Outputs& outputs, std::span<const image::Placement> placements) {
  Signatures signatures;
  for (const auto& [name, tensor] : outputs) signatures[name] = {tensor.dtype(), tensor.shape()};
  SIGHTLINE_CHECK(check_shapes(signatures));
  const Tensor &scores = outputs.at(kScore), &maps = outputs.at(kMap);
  const auto pictures = static_cast<std::int64_t>(placements.size());
  if (scores.dim(0) != pictures || maps.dim(0) != pictures)
    return Error{ErrorKind::invalid_data, fmt::format("{} in the batch, but the network answered with {} scores and {} maps",
                                                      plural(placements.size(), "picture"), scores.dim(0), maps.dim(0))};
  std::vector<Annotation> answers;
  for (std::int64_t n = 0; n < pictures; ++n) {
    const auto place = static_cast<std::size_t>(n);
    const float score = scores.values<float>()[place];
    if (std::isnan(score)) return Error{ErrorKind::invalid_data, fmt::format("the score of picture {} of the batch is not a number", n)};
    Annotation& answer = answers.emplace_back();
    answer.score = std::clamp(static_cast<double>(score), 0.0, 1.0);
    answer.score_map = picture_part(maps.rows(n, n + 1).values<float>(), maps.dim(1), maps.dim(2), placements[place]);
  }
  return answers;
}

Told tell_anomaly(const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  const bool alarm = annotation.score > kAlarm;
  Told told{.json = {{"score", annotation.score}, {"alarm", alarm}, {"where", Json::array()}}};
  const auto box_of = [](const annotation::Box& box) {
    return fmt::format("{:.1f} {:.1f} {:.1f} {:.1f}", box.left, box.top, box.right, box.bottom);
  };
  told.rows.push_back({fmt::format("{:.3f}", annotation.score), alarm ? "alarm" : "", ""});
  for (const annotation::Object& region : annotation.objects) {
    told.json["where"].push_back(
        {{"score", region.score}, {"box", {region.box.left, region.box.top, region.box.right, region.box.bottom}}});
    if (&region == annotation.objects.data()) {
      told.rows.back()[2] = box_of(region.box);
    } else {
      told.rows.push_back({fmt::format("{:.3f}", region.score), "", box_of(region.box)});
    }
  }
  return told;
}

std::vector<annotation::Object> alarmed_regions(const Annotation& annotation, int width, int height, std::size_t most) {
  if (!annotation.score_map.defined() || annotation.score_map.count() == 0) return {};
  const std::int64_t rows = annotation.score_map.dim(0), columns = annotation.score_map.dim(1);
  const auto map = annotation.score_map.values<float>();
  std::vector<std::uint8_t> alarm(map.size());
  std::ranges::transform(map, alarm.begin(),
                         [](float value) { return static_cast<double>(value) > kAlarm ? std::uint8_t{1} : std::uint8_t{0}; });
  const auto [regions, count] = regions_of(alarm, rows, columns);
  constexpr double beyond = 1e9;
  std::vector<annotation::Object> found(static_cast<std::size_t>(count), {.label = -1, .box = {beyond, beyond, 0, 0}, .score = 0});
  const double across = static_cast<double>(width) / static_cast<double>(columns),
               down = static_cast<double>(height) / static_cast<double>(rows);
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x) {
      const auto place = static_cast<std::size_t>(y * columns + x);
      if (regions[place] == 0) continue;
      annotation::Object& object = found[static_cast<std::size_t>(regions[place] - 1)];
      object.score = std::max(object.score, static_cast<double>(map[place]));
      object.box.left = std::min(object.box.left, static_cast<double>(x) * across);
      object.box.top = std::min(object.box.top, static_cast<double>(y) * down);
      object.box.right = std::max(object.box.right, static_cast<double>(x + 1) * across);
      object.box.bottom = std::max(object.box.bottom, static_cast<double>(y + 1) * down);
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  found.resize(std::min(found.size(), most));
  return found;
}

void draw_anomaly(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  if (annotation.score_map.defined() && annotation.score_map.count() > 0) {
    const auto map = annotation.score_map.values<float>();
    const int columns = static_cast<int>(annotation.score_map.dim(1)), rows = static_cast<int>(annotation.score_map.dim(0));
    image::draw_heat_map(picture, map, columns, rows);
    const std::vector<float> large = image::resize_map(map, columns, rows, picture.width, picture.height);
    std::vector<std::uint8_t> alarm(large.size());
    std::ranges::transform(large, alarm.begin(),
                           [](float value) { return static_cast<double>(value) > kAlarm ? std::uint8_t{1} : std::uint8_t{0}; });
    image::draw_outline(picture, alarm, {.colour = {255, 255, 255}, .width = line_width(picture)});
  }
  draw_line(picture, fmt::format("{} {:.2f}", annotation.score > kAlarm ? "alarm" : "good", annotation.score),
            image::heat_colour(annotation.score), true);
}

void draw_anomaly_truth(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  const auto label = static_cast<std::size_t>(std::max(annotation.label, 0));
  if (annotation.mask.defined() && annotation.mask.shape() == Shape{picture.height, picture.width})
    image::draw_outline(picture, annotation.mask.values<std::uint8_t>(),
                        {.colour = image::class_colour(label), .width = line_width(picture)});
  const std::string kind = annotation.label >= 0 && label < classes.size() ? classes[label]
                           : annotation.score > kAlarm                     ? "not good"
                                                                           : "good";
  draw_line(picture, kind, {24, 24, 24}, false);
}

}  // namespace sightline::tasks
