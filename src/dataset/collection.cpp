#include "dataset/collection.h"

#include <charconv>

namespace sightline::dataset {

annotation::Box edges_of(BoxFormat format, const std::array<double, 4>& box, int width, int height) {
  switch (format) {
    case BoxFormat::coco: return {box[0], box[1], box[0] + box[2], box[1] + box[3]};
    case BoxFormat::voc: return {box[0], box[1], box[2], box[3]};
    case BoxFormat::yolo: break;
  }
  return {(box[0] - box[2] / 2) * width, (box[1] - box[3] / 2) * height, (box[0] + box[2] / 2) * width, (box[1] + box[3] / 2) * height};
}

std::array<double, 4> box_of(BoxFormat format, const annotation::Box& edges, int width, int height) {
  switch (format) {
    case BoxFormat::coco: return {edges.left, edges.top, edges.width(), edges.height()};
    case BoxFormat::voc: return {edges.left, edges.top, edges.right, edges.bottom};
    case BoxFormat::yolo: break;
  }
  return {(edges.left + edges.right) / 2 / width, (edges.top + edges.bottom) / 2 / height, edges.width() / width, edges.height() / height};
}

std::string number_text(double value) {
  if (value == 0) return "0";  // never -0
  char buffer[40];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

}  // namespace sightline::dataset
