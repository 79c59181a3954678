#include "tasks/detect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/text.h"

namespace sightline::tasks {

namespace {

using annotation::Annotation;
using annotation::Box;
using annotation::Object;

constexpr std::size_t kMostObjects = 100;  // a picture; COCO's largest number, and what the figures look at

// "P" stands for the number of points, which two outputs share.
struct Output {
  const char* name;
  Dtype dtype;
  std::size_t rank;
};
constexpr std::array kOutputs{Output{"boxes", Dtype::f32, 3}, Output{"scores", Dtype::f32, 3}, Output{"selected", Dtype::i64, 2}};

Error wrong(const std::string& what) {
  return {ErrorKind::unsupported, fmt::format("{}; a detector answers with boxes f32 N×P×4, scores f32 N×K×P and selected i64 S×3", what)};
}

bool differ(std::int64_t a, std::int64_t b) { return a >= 0 && b >= 0 && a != b; }

using Signatures = std::map<std::string, std::pair<Dtype, Shape>>;

Result<void> check_shapes(const Signatures& outputs) {
  for (const Output& wanted : kOutputs) {
    const auto found = outputs.find(wanted.name);
    if (found == outputs.end()) return wrong(fmt::format("the network has no output \"{}\"", wanted.name));
    const auto& [dtype, shape] = found->second;
    if (dtype != wanted.dtype || shape.size() != wanted.rank)
      return wrong(fmt::format("output \"{}\" is {} {}", wanted.name, name_of(dtype), to_string(shape)));
  }
  const Shape &boxes = outputs.at("boxes").second, &scores = outputs.at("scores").second, &selected = outputs.at("selected").second;
  if (differ(boxes[2], 4)) return wrong(fmt::format("output \"boxes\" is {}", to_string(boxes)));
  if (differ(selected[1], 3)) return wrong(fmt::format("output \"selected\" is {}", to_string(selected)));
  if (differ(boxes[0], scores[0]) || differ(boxes[1], scores[2]))
    return wrong(fmt::format("outputs \"boxes\" {} and \"scores\" {} do not fit together", to_string(boxes), to_string(scores)));
  return {};
}

std::optional<Object> object_of(std::span<const float> edges, float score, std::int64_t label, const image::Placement& placement) {
  const auto back = [](float edge, double offset, double scale, int length) {
    return std::clamp((static_cast<double>(edge) - offset) / scale, 0.0, static_cast<double>(length));
  };
  Object object{.label = static_cast<std::int32_t>(label), .score = static_cast<double>(score)};
  object.box = {.left = back(edges[0], placement.offset_x, placement.scale_x, placement.width),
                .top = back(edges[1], placement.offset_y, placement.scale_y, placement.height),
                .right = back(edges[2], placement.offset_x, placement.scale_x, placement.width),
                .bottom = back(edges[3], placement.offset_y, placement.scale_y, placement.height)};
  if (std::isnan(score) || !(object.box.area() > 0)) return std::nullopt;  // so written, an area that is not a number is none
  return object;
}

// Sizes of lines and letters for a picture of this size: 2 pixels and 11 for one of 640×480.
struct Pen {
  int width;
  double letters;
  explicit Pen(const image::Image& picture) {
    const int side = std::min(picture.width, picture.height);
    width = std::clamp(static_cast<int>(std::lround(side / 240.0)), 1, 12);
    letters = std::clamp(side / 1000.0, 0.35, 4.0);
  }
};

// above: over the top edge, else under the bottom edge; inside of the box where the picture ends. Nothing where it would cover too much.
void draw_label(image::Image& picture, const Box& box, const std::string& text, double letters, image::Colour background, bool above) {
  const image::TextSize size = image::text_size(text, letters);
  if (size.width > picture.width * 3 / 4 || size.height > picture.height / 4) return;
  if (size.width > picture.width / 6 && size.width > 1.5 * box.width()) return;  // would hide its neighbours
  const int x = std::clamp(static_cast<int>(std::floor(box.left)), 0, picture.width - size.width);
  int y = static_cast<int>(above ? std::floor(box.top) - size.height : std::ceil(box.bottom));
  if (above && y < 0) y = static_cast<int>(std::floor(box.top));
  if (!above && y + size.height > picture.height) y = static_cast<int>(std::ceil(box.bottom)) - size.height;
  image::draw_text(picture, x, std::clamp(y, 0, picture.height - size.height), text, letters, background);
}

}  // namespace

Result<void> check_detect_outputs(const Signatures& outputs, std::size_t classes) {
  SIGHTLINE_CHECK(check_shapes(outputs));
  const Shape& scores = outputs.at("scores").second;
  if (differ(scores[1], static_cast<std::int64_t>(classes)))
    return wrong(fmt::format("output \"scores\" is {}, but there are {} classes", to_string(scores), classes));
  return {};
}

Result<std::vector<Annotation>> decode_detect(const Outputs& outputs, std::span<const image::Placement> placements) {
  Signatures signatures;
  for (const auto& [name, tensor] : outputs) signatures[name] = {tensor.dtype(), tensor.shape()};
  SIGHTLINE_CHECK(check_shapes(signatures));
  const Tensor &boxes = outputs.at("boxes"), &scores = outputs.at("scores"), &selected = outputs.at("selected");
  const std::int64_t pictures = boxes.dim(0), points = boxes.dim(1), classes = scores.dim(1);
  if (pictures != static_cast<std::int64_t>(placements.size()))
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} in the batch, but the network answered for {}", plural(placements.size(), "picture"), pictures)};
  std::vector<Annotation> answers(placements.size());
  const std::span<const std::int64_t> rows = selected.values<std::int64_t>();
  for (std::size_t row = 0; row + 2 < rows.size(); row += 3) {
    const std::int64_t picture = rows[row], label = rows[row + 1], point = rows[row + 2];
    if (picture == -1 && label == -1 && point == -1) continue;
    if (picture < 0 || picture >= pictures || label < 0 || label >= classes || point < 0 || point >= points)
      return Error{ErrorKind::invalid_data,
                   fmt::format("row {} of output \"selected\" is {}, {}, {}: there are {} pictures, {} classes, {} points", row / 3,
                               picture, label, point, pictures, classes, points)};
    const auto edges = boxes.values<float>().subspan(static_cast<std::size_t>((picture * points + point) * 4), 4);
    const float score = scores.values<float>()[static_cast<std::size_t>((picture * classes + label) * points + point)];
    const auto place = static_cast<std::size_t>(picture);
    if (const auto object = object_of(edges, score, label, placements[place])) answers[place].objects.push_back(*object);
  }
  for (Annotation& answer : answers) {
    std::stable_sort(answer.objects.begin(), answer.objects.end(), [](const Object& a, const Object& b) { return a.score > b.score; });
    if (answer.objects.size() > kMostObjects) answer.objects.resize(kMostObjects);
  }
  return answers;
}

Told tell_detect(const Annotation& annotation, const std::vector<std::string>& classes) {
  Told told{.json = {{"objects", Json::array()}}, .rows = {}};
  for (const Object& object : annotation.objects) {
    const Box& box = object.box;
    told.json["objects"].push_back({{"label", object.label},
                                    {"name", annotation::name_of_class(classes, object.label)},
                                    {"score", object.score},
                                    {"box", {box.left, box.top, box.right, box.bottom}}});
    told.rows.push_back({annotation::name_of_class(classes, object.label), fmt::format("{:.3f}", object.score),
                         fmt::format("{:.1f} {:.1f} {:.1f} {:.1f}", box.left, box.top, box.right, box.bottom)});
  }
  if (told.rows.empty()) told.rows.push_back({"(nothing found)", "", ""});
  return told;
}

void draw_detect(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  const Pen pen(picture);
  std::vector<Object> objects = annotation.objects;
  std::stable_sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) { return a.score < b.score; });  // the best on top
  for (const Object& object : objects) {
    const image::Colour colour = image::class_colour(static_cast<std::size_t>(object.label));
    image::draw_rectangle(picture, object.box.left, object.box.top, object.box.right, object.box.bottom,
                          {.colour = colour, .width = pen.width});
  }
  for (const Object& object : objects) {
    const image::Colour colour = image::class_colour(static_cast<std::size_t>(object.label));
    draw_label(picture, object.box, fmt::format("{} {:.2f}", annotation::name_of_class(classes, object.label), object.score), pen.letters,
               colour, true);
  }
}

void draw_detect_truth(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  const Pen pen(picture);
  for (const Object& object : annotation.objects) {
    const image::Colour colour = image::class_colour(static_cast<std::size_t>(object.label));
    image::draw_rectangle(picture, object.box.left, object.box.top, object.box.right, object.box.bottom,
                          {.colour = colour, .width = pen.width, .dash = 5 * pen.width});
  }
  for (const Object& object : annotation.objects) {
    const char* remark = object.crowd ? " (crowd)" : object.difficult ? " (difficult)" : "";
    draw_label(picture, object.box, annotation::name_of_class(classes, object.label) + remark, pen.letters, {24, 24, 24}, false);
  }
}

}  // namespace sightline::tasks
