#include "tasks/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "annotation/maps.h"
#include "base/text.h"
#include "tasks/instance_maps.h"

namespace sightline::tasks {

namespace {

using annotation::Annotation;
using annotation::Object;

constexpr const char *kScores = "class_scores", *kMaps = "instance_maps";
constexpr std::int64_t kMapCount = 2;

using Signatures = std::map<std::string, std::pair<Dtype, Shape>>;

Error wrong(const std::string& what) {
  return {ErrorKind::unsupported,
          fmt::format("{}; a segmenter answers with class_scores f32 N×(K+1)×H×W, and where it tells objects apart with instance_maps f32 "
                      "N×2×H×W",
                      what)};
}

bool differ(std::int64_t a, std::int64_t b) { return a >= 0 && b >= 0 && a != b; }

Result<void> check_shapes(const Signatures& outputs) {
  const auto scores = outputs.find(kScores);
  if (scores == outputs.end()) return wrong(fmt::format("the network has no output \"{}\"", kScores));
  for (const char* name : {kScores, kMaps}) {
    const auto found = outputs.find(name);
    if (found == outputs.end()) continue;
    const auto& [dtype, shape] = found->second;
    if (dtype != Dtype::f32 || shape.size() != 4)
      return wrong(fmt::format("output \"{}\" is {} {}", name, name_of(dtype), to_string(shape)));
  }
  const auto maps = outputs.find(kMaps);
  if (maps == outputs.end()) return {};
  const Shape &a = scores->second.second, &b = maps->second.second;
  if (differ(b[1], kMapCount) || differ(a[0], b[0]) || differ(a[2], b[2]) || differ(a[3], b[3]))
    return wrong(fmt::format("output \"{}\" is {} beside scores {}", kMaps, to_string(b), to_string(a)));
  return {};
}

// Where a line of the picture reads a line of the network's input: two places and the second one's share.
struct Tap {
  std::int64_t first = 0, second = 0;
  float share = 0;
};
std::vector<Tap> taps_of(int length, double scale, double offset, std::int64_t size) {
  std::vector<Tap> taps;
  // Only what shows the picture: what pads it says nothing of its edge.
  const double low = std::clamp(std::floor(offset + 0.5), 0.0, static_cast<double>(size - 1)),
               high = std::clamp(std::floor(offset + length * scale + 0.5) - 1, low, static_cast<double>(size - 1));
  for (int i = 0; i < length; ++i) {
    const double at = std::clamp((i + 0.5) * scale + offset - 0.5, low, high), first = std::floor(at);
    taps.push_back(
        {static_cast<std::int64_t>(first), static_cast<std::int64_t>(std::min(first + 1, high)), static_cast<float>(at - first)});
  }
  return taps;
}

// One map of the network (rows × columns) at the picture's size.
void bring_to_picture(const float* map, std::int64_t columns, const std::vector<Tap>& across, const std::vector<Tap>& down, float* out) {
  for (const Tap& row : down) {
    const float *upper = map + row.first * columns, *lower = map + row.second * columns;
    for (const Tap& column : across) {
      const float above = upper[column.first] + (upper[column.second] - upper[column.first]) * column.share;
      const float below = lower[column.first] + (lower[column.second] - lower[column.first]) * column.share;
      *out++ = above + (below - above) * row.share;
    }
  }
}

// Objects of the instances: class, box, score. scores: of the most probable class of each pixel.
void add_objects(Annotation& answer, std::size_t classes, std::span<const float> scores) {
  const auto instances = std::as_const(answer.instances).values<std::int32_t>();
  const auto mask = std::as_const(answer.mask).values<std::uint8_t>();
  const std::int32_t count = instances.empty() ? 0 : std::ranges::max(instances);
  struct Sum {
    std::vector<double> scores;  // of each class, over its pixels
    std::vector<std::int64_t> pixels;
    std::int64_t left = 1 << 30, top = 1 << 30, right = 0, bottom = 0;
  };
  std::vector<Sum> sums(static_cast<std::size_t>(count), {std::vector<double>(classes + 1), std::vector<std::int64_t>(classes + 1)});
  const std::int64_t width = answer.instances.dim(1);
  for (std::size_t i = 0; i < instances.size(); ++i) {
    if (instances[i] == 0) continue;
    Sum& sum = sums[static_cast<std::size_t>(instances[i] - 1)];
    sum.scores[mask[i]] += scores[i];
    ++sum.pixels[mask[i]];
    const auto x = static_cast<std::int64_t>(i) % width, y = static_cast<std::int64_t>(i) / width;
    sum.left = std::min(sum.left, x);
    sum.right = std::max(sum.right, x + 1);
    sum.top = std::min(sum.top, y);
    sum.bottom = std::max(sum.bottom, y + 1);
  }
  for (const Sum& sum : sums) {
    const auto most = std::ranges::max_element(sum.pixels);
    const auto label = static_cast<std::size_t>(most - sum.pixels.begin());
    answer.objects.push_back({.label = static_cast<std::int32_t>(label) - 1,
                              .box = {static_cast<double>(sum.left), static_cast<double>(sum.top), static_cast<double>(sum.right),
                                      static_cast<double>(sum.bottom)},
                              .score = std::clamp(sum.scores[label] / static_cast<double>(*most), 0.0, 1.0)});
  }
}

struct Maps {
  const float *scores = nullptr, *instances = nullptr;  // of one picture
  std::int64_t channels = 0, rows = 0, columns = 0;
};

Result<Annotation> answer_of(const Maps& maps, const image::Placement& placement) {
  const std::vector<Tap> across = taps_of(placement.width, placement.scale_x, placement.offset_x, maps.columns),
                         down = taps_of(placement.height, placement.scale_y, placement.offset_y, maps.rows);
  const std::size_t area = across.size() * down.size();
  const std::int64_t plane = maps.rows * maps.columns;
  Annotation answer;
  answer.mask = Tensor::zeros(Dtype::u8, {placement.height, placement.width});
  const auto mask = answer.mask.values<std::uint8_t>();
  std::vector<float> best(area, -1), here(area);
  for (std::int64_t k = 0; k < maps.channels; ++k) {
    bring_to_picture(maps.scores + k * plane, maps.columns, across, down, here.data());
    for (std::size_t i = 0; i < area; ++i) {
      if (std::isnan(here[i])) return Error{ErrorKind::invalid_data, "a score of the network is not a number"};
      if (here[i] <= best[i]) continue;
      best[i] = here[i];
      mask[i] = static_cast<std::uint8_t>(k);
    }
  }
  if (maps.instances == nullptr) return answer;
  std::vector<float> border(area), depth(area);
  bring_to_picture(maps.instances, maps.columns, across, down, border.data());
  bring_to_picture(maps.instances + plane, maps.columns, across, down, depth.data());
  answer.instances = Tensor::of<std::int32_t>({placement.height, placement.width},
                                              instances_of_maps({mask, border, depth, placement.height, placement.width}));
  // What is too small for an object is not there at all.
  const auto instances = std::as_const(answer.instances).values<std::int32_t>();
  for (std::size_t i = 0; i < area; ++i)
    if (instances[i] == 0) mask[i] = 0;
  add_objects(answer, static_cast<std::size_t>(maps.channels - 1), best);
  return answer;
}

Json rle_of(std::span<const std::uint8_t> pixels, std::int64_t height, std::int64_t width) {
  return {{"size", {height, width}}, {"counts", annotation::coco_counts(annotation::column_runs(pixels, height, width))}};
}

Json polygons_of(std::span<const std::uint8_t> pixels, std::int64_t height, std::int64_t width) {
  Json polygons = Json::array();
  for (const auto& outline : annotation::outlines(pixels, height, width)) {
    Json polygon = Json::array();
    for (const auto& [x, y] : outline) {
      polygon.push_back(x);
      polygon.push_back(y);
    }
    polygons.push_back(std::move(polygon));
  }
  return polygons;
}

// The part of the picture that a box covers, as rows and columns.
struct Window {
  std::int64_t left = 0, top = 0, right = 0, bottom = 0;
};

// 1 where the instance is, over its box alone: polygons of it are moved by the box's corner.
std::vector<std::uint8_t> pixels_within(const Tensor& instances, std::int32_t number, const Window& window) {
  const auto values = instances.values<std::int32_t>();
  std::vector<std::uint8_t> pixels;
  for (std::int64_t y = window.top; y < window.bottom; ++y)
    for (std::int64_t x = window.left; x < window.right; ++x)
      pixels.push_back(values[static_cast<std::size_t>(y * instances.dim(1) + x)] == number ? 1 : 0);
  return pixels;
}

Json object_json(const Annotation& annotation, std::size_t i, const std::vector<std::string>& classes) {
  const Object& object = annotation.objects[i];
  const std::int64_t height = annotation.instances.dim(0), width = annotation.instances.dim(1);
  const auto number = static_cast<std::int32_t>(i + 1);
  const Window window{static_cast<std::int64_t>(object.box.left), static_cast<std::int64_t>(object.box.top),
                      static_cast<std::int64_t>(object.box.right), static_cast<std::int64_t>(object.box.bottom)};
  const std::vector<std::uint8_t> own = pixels_within(annotation.instances, number, window);
  Json polygons = polygons_of(own, window.bottom - window.top, window.right - window.left);
  for (Json& polygon : polygons)
    for (std::size_t k = 0; k < polygon.size(); ++k) polygon[k] = polygon[k].get<std::int64_t>() + (k % 2 == 0 ? window.left : window.top);
  return {{"label", object.label},
          {"name", annotation::name_of_class(classes, object.label)},
          {"score", object.score},
          {"box", {object.box.left, object.box.top, object.box.right, object.box.bottom}},
          {"pixels", std::ranges::count(own, std::uint8_t{1})},
          {"rle", rle_of(pixels_within(annotation.instances, number, {0, 0, width, height}), height, width)},
          {"polygons", std::move(polygons)}};
}

int line_width(const image::Image& picture) {
  return std::clamp(static_cast<int>(std::lround(std::min(picture.width, picture.height) / 400.0)), 1, 8);
}

// Regions and their colours: of objects where they are told apart, neighbours in different ones; else of classes.
std::pair<std::vector<std::int32_t>, std::vector<image::Colour>> regions_of(const Annotation& annotation, std::size_t classes) {
  std::vector<std::int32_t> regions;
  std::vector<image::Colour> colours;
  if (annotation.instances.defined()) {
    const auto values = annotation.instances.values<std::int32_t>();
    regions.assign(values.begin(), values.end());
    for (std::size_t i = 0; i < annotation.objects.size(); ++i)
      colours.push_back(image::class_colour(classes == 1 ? i % 14 : static_cast<std::size_t>(std::max(annotation.objects[i].label, 0))));
  } else {
    for (const std::uint8_t value : annotation.mask.values<std::uint8_t>())
      regions.push_back(value == annotation::unjudged_pixel ? 0 : value);
    for (std::size_t k = 0; k < classes; ++k) colours.push_back(image::class_colour(k));
  }
  return {std::move(regions), std::move(colours)};
}

void draw(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes, double share) {
  if (!annotation.mask.defined() || annotation.mask.shape() != Shape{picture.height, picture.width}) return;
  const auto [regions, colours] = regions_of(annotation, classes.size());
  image::draw_regions(picture, regions, colours, {.share = share, .line = line_width(picture)});
}

std::vector<std::int64_t> pixels_of_classes(const Annotation& annotation, std::size_t classes) {
  std::vector<std::int64_t> pixels(256, 0);
  if (annotation.mask.defined())
    for (const std::uint8_t value : annotation.mask.values<std::uint8_t>()) ++pixels[value];
  pixels.resize(classes + 1);
  return pixels;
}

std::int64_t objects_of(const Annotation& annotation, std::size_t label) {
  return std::ranges::count(annotation.objects, static_cast<std::int32_t>(label), &Object::label);
}

double share_of(const Annotation& annotation, std::int64_t pixels) {
  return static_cast<double>(pixels) / static_cast<double>(std::max<std::int64_t>(annotation.mask.count(), 1));
}

}  // namespace

Result<void> check_segment_outputs(const Signatures& outputs, std::size_t classes) {
  SIGHTLINE_CHECK(check_shapes(outputs));
  const Shape& scores = outputs.at(kScores).second;
  if (differ(scores[1], static_cast<std::int64_t>(classes) + 1))
    return wrong(fmt::format("output \"{}\" is {}, but there are {} classes and background", kScores, to_string(scores), classes));
  return {};
}

Result<std::vector<Annotation>> decode_segment(const Outputs& outputs, std::span<const image::Placement> placements) {
  Signatures signatures;
  for (const auto& [name, tensor] : outputs) signatures[name] = {tensor.dtype(), tensor.shape()};
  SIGHTLINE_CHECK(check_shapes(signatures));
  const Tensor& scores = outputs.at(kScores);
  const auto pictures = static_cast<std::int64_t>(placements.size());
  if (scores.dim(0) != pictures)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} in the batch, but the network answered for {}", plural(placements.size(), "picture"), scores.dim(0))};
  if (scores.dim(1) < 1 || scores.dim(1) > annotation::unjudged_pixel || scores.dim(2) < 1 || scores.dim(3) < 1)
    return wrong(fmt::format("output \"{}\" is {}", kScores, to_string(scores.shape())));
  const auto maps = outputs.find(kMaps);
  std::vector<Annotation> answers;
  for (std::int64_t n = 0; n < pictures; ++n) {
    const std::int64_t plane = scores.dim(2) * scores.dim(3);
    const Maps own{.scores = scores.values<float>().data() + n * scores.dim(1) * plane,
                   .instances = maps == outputs.end() ? nullptr : maps->second.values<float>().data() + n * kMapCount * plane,
                   .channels = scores.dim(1),
                   .rows = scores.dim(2),
                   .columns = scores.dim(3)};
    SIGHTLINE_TRY(Annotation answer, answer_of(own, placements[static_cast<std::size_t>(n)]));
    answers.push_back(std::move(answer));
  }
  return answers;
}

Told tell_segment(const Annotation& annotation, const std::vector<std::string>& classes) {
  Told told{.json = {{"classes", Json::array()}}, .rows = {}};
  if (!annotation.mask.defined()) return told;
  const bool apart = annotation.instances.defined();
  const std::int64_t height = annotation.mask.dim(0), width = annotation.mask.dim(1);
  const std::vector<std::int64_t> pixels = pixels_of_classes(annotation, classes.size());
  const auto mask = annotation.mask.values<std::uint8_t>();
  for (std::size_t k = 0; k < classes.size(); ++k) {
    if (pixels[k + 1] == 0) continue;
    std::vector<std::uint8_t> own(mask.size());
    std::ranges::transform(mask, own.begin(), [&](std::uint8_t value) { return value == k + 1 ? std::uint8_t{1} : std::uint8_t{0}; });
    Json json = {{"label", k},
                 {"name", classes[k]},
                 {"pixels", pixels[k + 1]},
                 {"share", share_of(annotation, pixels[k + 1])},
                 {"rle", rle_of(own, height, width)}};
    if (!apart) json["polygons"] = polygons_of(own, height, width);
    told.json["classes"].push_back(std::move(json));
    told.rows.push_back({classes[k], fmt::format("{:.2f}%", 100 * share_of(annotation, pixels[k + 1])),
                         apart ? std::to_string(objects_of(annotation, k)) : ""});
  }
  if (told.rows.empty()) told.rows.push_back({"(background)", "", apart ? "0" : ""});
  if (!apart) return told;
  told.json["objects"] = Json::array();
  for (std::size_t i = 0; i < annotation.objects.size(); ++i) told.json["objects"].push_back(object_json(annotation, i, classes));
  return told;
}

void draw_segment(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  constexpr double filled = 0.4;
  draw(picture, annotation, classes, filled);
  const std::vector<std::int64_t> pixels = pixels_of_classes(annotation, classes.size());
  const double letters = std::clamp(std::min(picture.width, picture.height) / 1000.0, 0.35, 4.0);
  int y = 0;
  for (std::size_t k = 0; k < classes.size() && y < picture.height / 3; ++k) {
    if (pixels[k + 1] == 0) continue;
    const std::string much = annotation.instances.defined() ? std::to_string(objects_of(annotation, k))
                                                            : fmt::format("{:.1f}%", 100 * share_of(annotation, pixels[k + 1]));
    const std::string text = fmt::format("{} {}", classes[k], much);
    const image::TextSize size = image::text_size(text, letters);
    if (size.width > picture.width || size.height > picture.height / 4) continue;
    image::draw_text(picture, 0, y, text, letters, annotation.instances.defined() ? image::Colour{24, 24, 24} : image::class_colour(k));
    y += size.height;
  }
}

void draw_segment_truth(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  draw(picture, annotation, classes, 0);
}

}  // namespace sightline::tasks
