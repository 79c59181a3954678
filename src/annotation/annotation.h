// What people say of a picture, and what models answer: plain types, each with its coordinate frame.
//
// Frame of everything here: pixels of the picture as seen (after EXIF), origin at the corner of the top left pixel, x right, y down; the
// centre of the top left pixel is (0.5, 0.5). Numbers are real: nothing is rounded to pixels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "annotation/maps.h"
#include "base/fields.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::annotation {

// Edges of a rectangle; a box without area has right <= left or bottom <= top.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  double width() const { return right - left; }
  double height() const { return bottom - top; }
  double area() const { return std::max(width(), 0.0) * std::max(height(), 0.0); }
  bool operator==(const Box&) const = default;
  static constexpr auto fields() {
    return std::tuple{field("left", &Box::left), field("top", &Box::top), field("right", &Box::right), field("bottom", &Box::bottom)};
  }
};

// Area that both cover, over area that either covers; 0 when neither has any.
inline double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left),
               height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const double both = width * height;
  return both / (a.area() + b.area() - both);
}

// One thing in a picture.
struct Object {
  std::int32_t label = 0;  // index into the classes
  Box box;
  bool crowd = false;      // a group that nobody counted: what is found in it is neither right nor wrong (COCO's iscrowd)
  bool difficult = false;  // need not be found (VOC)
  double score = 1;        // of what a model found, 0 to 1; 1 where a person says it

  bool ignored() const { return crowd || difficult; }
  bool operator==(const Object&) const = default;
  static constexpr auto fields() {
    return std::tuple{field("label", &Object::label), field("score", &Object::score), field("box", &Object::box),
                      field("crowd", &Object::crowd), field("difficult", &Object::difficult)};
  }
};

// In a mask of classes: a pixel of which nothing is said.
inline constexpr std::uint8_t unjudged_pixel = 255;

// Whether one label of a vocabulary is true of the picture as a whole (attributes.h).
struct Attribute {
  enum Said : std::int8_t { unknown = -1, no = 0, yes = 1 };
  std::int8_t said = unknown;
  double score = 0;  // the probability of yes, of a model; where a person says it 0 or 1

  bool operator==(const Attribute&) const = default;
  static constexpr auto fields() { return std::tuple{field("said", &Attribute::said), field("score", &Attribute::score)}; }
};

// Two pictures of a set, by their places in it, that are to be compared: whether they show the same thing is what their labels say.
struct Pair {
  std::int64_t first = 0, second = 0;
  std::int32_t fold = 0;  // of a protocol with folds, from 1 on
  bool operator==(const Pair&) const = default;
};

// One way in which a model reads what is written in a picture.
struct Reading {
  std::string text;                // UTF-8
  double probability = 0;          // that this is the whole text, 0 to 1
  std::vector<double> characters;  // of each of its characters, given the others; may be empty where it is not the best reading

  bool operator==(const Reading&) const = default;
  static constexpr auto fields() {
    return std::tuple{field("text", &Reading::text), field("probability", &Reading::probability),
                      field("characters", &Reading::characters)};
  }
};

// Where one point of a thing lies ("left eye"): one a class, in their order.
struct Landmark {
  enum Said : std::int8_t { unknown = 0, hidden = 1, visible = 2 };  // COCO's numbers: nothing is said; there, but covered; there
  std::int8_t said = unknown;
  double x = 0, y = 0;
  double score = 1;  // how sure a model is of the place, 0 to 1; 1 where a person says it

  bool operator==(const Landmark&) const = default;
  static constexpr auto fields() {
    return std::tuple{field("said", &Landmark::said), field("x", &Landmark::x), field("y", &Landmark::y), field("score", &Landmark::score)};
  }
};

// All that is said of one picture. What a task does not speak of stays as it is here.
struct Annotation {
  std::vector<Object> objects;
  std::int32_t label = -1;  // of the picture as a whole: index into the classes; -1: nothing is said
  double score = 0;         // how far from good the picture as a whole is, 0 to 1; people say 0 or 1
  // u8 H×W of the picture. Segmentation: 0 background, k + 1 class k, unjudged_pixel where nothing is said. Anomaly: not 0 where it is not
  // good.
  Tensor mask;
  Tensor instances;                   // i32 H×W of the picture: 0, or i + 1 where objects[i] is
  Tensor score_map;                   // f32 h×w over the whole picture, coarser or not: how far from good it is there, 0 to 1
  std::vector<float> embedding;       // of unit length: pictures of one thing lie close together
  std::vector<Attribute> attributes;  // one a class; empty: nothing is said of any
  std::string text;                   // what is written in the picture, UTF-8; a model's best reading
  std::vector<Reading> readings;      // of a model, most probable first; the first one is the text
  std::vector<Landmark> landmarks;    // one a class; empty: nothing is said of any
  // The picture as it should look, u8 h×w×C RGB or grey, and how far off each of its values may be: f32 h×w, the deviation that is expected
  // in levels of 0 to 255. Both over the whole picture, by a factor larger than it where a model makes pictures larger.
  Tensor restored, deviation;

  bool operator==(const Annotation& other) const {
    const auto same = [](const Tensor& a, const Tensor& b) { return a.defined() == b.defined() && (!a.defined() || a.same_as(b)); };
    return objects == other.objects && label == other.label && score == other.score && embedding == other.embedding &&
           attributes == other.attributes && same(mask, other.mask) && same(instances, other.instances) &&
           same(score_map, other.score_map) && text == other.text && readings == other.readings && landmarks == other.landmarks &&
           same(restored, other.restored) && same(deviation, other.deviation);
  }
  // In JSON: all but the map of scores and the restored picture, which are pictures, and whoever writes them says where.
  static constexpr auto fields() {
    return std::tuple{
        field("label", &Annotation::label),         field("score", &Annotation::score),           field("objects", &Annotation::objects),
        field("embedding", &Annotation::embedding), field("attributes", &Annotation::attributes), field("text", &Annotation::text),
        field("readings", &Annotation::readings),   field("landmarks", &Annotation::landmarks),   field("mask", &Annotation::mask),
        field("instances", &Annotation::instances)};
  }
};

// What scores less is too unsure to be told, drawn or held to, unless somebody asks for it.
inline constexpr double sure_score = 0.3;
// Without the objects that score less, and without their pixels among the instances.
Annotation at_least(Annotation annotation, double score);

// Of a class by its label; the number itself where there is no such class.
std::string name_of_class(const std::vector<std::string>& classes, std::int64_t label);

// What of two answers to one picture differs by more than `tolerance` (of scores, the picture's too, and of boxes as 1 - overlap), in
// words, and of embeddings as half their distance; "" when nothing does. Landmarks may move by as much of the width of all of them. Texts
// must be the same unless the two readings are as probable as that. Of masks, a share of the pixels may differ (the tolerance, and 0.2% on
// top: at a border, the last bit of a score decides); scores of objects that are sets of pixels may differ by 2%. Maps of scores are not
// compared. An object whose score is below sure_score is not held to it, nor is what may fall on either side of that.
std::string difference(const Annotation& expected, const Annotation& got, double tolerance);

// A score_map as text, for where JSON must hold one: "ROWS COLUMNS " and two hexadecimal digits (score · 255, rounded) a cell, row after
// row. At most `most` cells a side; each is the mean of what it covers. "" of a map that is not there.
std::string text_of_map(const Tensor& map, std::int64_t most);
// f32 h×w; error invalid_data: not such a text. An undefined tensor from "".
Result<Tensor> map_of_text(const std::string& text);

}  // namespace sightline::annotation
