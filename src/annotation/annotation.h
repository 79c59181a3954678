// What people say of a picture, and what models answer: plain types, each with its coordinate frame.
//
// Frame of everything here: pixels of the picture as seen (after EXIF), origin at the corner of the top left pixel, x right, y down; the
// centre of the top left pixel is (0.5, 0.5). Numbers are real: nothing is rounded to pixels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
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

// All that is said of one picture. What a task does not speak of stays as it is here.
struct Annotation {
  std::vector<Object> objects;
  std::int32_t label = -1;  // of the picture as a whole: index into the classes; -1: nothing is said
  double score = 0;         // how far from good the picture as a whole is, 0 to 1; people say 0 or 1
  Tensor mask;              // u8 H×W of the picture: not 0 where it is not good
  Tensor score_map;         // f32 h×w over the whole picture, coarser or not: how far from good it is there, 0 to 1

  bool operator==(const Annotation& other) const {
    const auto same = [](const Tensor& a, const Tensor& b) { return a.defined() == b.defined() && (!a.defined() || a.same_as(b)); };
    return objects == other.objects && label == other.label && score == other.score && same(mask, other.mask) &&
           same(score_map, other.score_map);
  }
  // In JSON: all but mask and map, which are pictures, and whoever writes them says where.
  static constexpr auto fields() {
    return std::tuple{field("label", &Annotation::label), field("score", &Annotation::score), field("objects", &Annotation::objects)};
  }
};

// What scores less is too unsure to be told, drawn or held to, unless somebody asks for it.
inline constexpr double sure_score = 0.3;
// Without the objects that score less.
Annotation at_least(Annotation annotation, double score);

// Of a class by its label; the number itself where there is no such class.
std::string name_of_class(const std::vector<std::string>& classes, std::int64_t label);

// What of two answers to one picture differs by more than `tolerance` (of scores, the picture's too, and of boxes as 1 - overlap), in
// words; "" when nothing does. Masks and maps are not compared. An object whose score is below sure_score is not held to it, nor is what
// may fall on either side of that.
std::string difference(const Annotation& expected, const Annotation& got, double tolerance);

}  // namespace sightline::annotation
