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

// All that is said of one picture.
struct Annotation {
  std::vector<Object> objects;
  bool operator==(const Annotation&) const = default;
  static constexpr auto fields() { return std::tuple{field("objects", &Annotation::objects)}; }
};

// What of two answers to one picture differs by more than `tolerance` (of scores, and of boxes as 1 - overlap), in words; "" when nothing
// does. What has a score below 0.3 is too unsure to be held to it, as is what may fall on either side of that.
std::string difference(const Annotation& expected, const Annotation& got, double tolerance);

}  // namespace sightline::annotation
