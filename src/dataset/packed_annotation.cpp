#include "dataset/packed_annotation.h"

#include <algorithm>

namespace sightline::dataset {

std::vector<PackedObject> packed_objects(const Sample& sample, const PackOptions& options) {
  const image::Placement place = placement_in(sample.width, sample.height, options);
  const auto at = [](double value, double scale, double offset, int most) {
    return static_cast<float>(std::clamp<double>(value * scale + offset, 0, most));
  };
  std::vector<PackedObject> objects;
  for (const annotation::Object& object : sample.annotation.objects) {
    const PackedObject packed{.label = object.label,
                              .left = at(object.box.left, place.scale_x, place.offset_x, options.width),
                              .top = at(object.box.top, place.scale_y, place.offset_y, options.height),
                              .right = at(object.box.right, place.scale_x, place.offset_x, options.width),
                              .bottom = at(object.box.bottom, place.scale_y, place.offset_y, options.height),
                              .ignored = object.ignored() ? 1U : 0U};
    if (packed.left < packed.right && packed.top < packed.bottom) objects.push_back(packed);
  }
  return objects;
}

std::vector<PackedLandmark> packed_landmarks(const Sample& sample, const PackOptions& options, std::size_t classes) {
  const image::Placement place = placement_in(sample.width, sample.height, options);
  std::vector<PackedLandmark> points(classes);
  for (std::size_t k = 0; k < std::min(classes, sample.annotation.landmarks.size()); ++k) {
    const annotation::Landmark& point = sample.annotation.landmarks[k];
    const double x = point.x * place.scale_x + place.offset_x, y = point.y * place.scale_y + place.offset_y;
    if (point.said == annotation::Landmark::unknown || x < 0 || x > options.width || y < 0 || y > options.height) continue;
    points[k] = {static_cast<float>(x), static_cast<float>(y), static_cast<std::uint32_t>(point.said)};
  }
  return points;
}

}  // namespace sightline::dataset
