// What is said of a picture, where image::resize puts it in a packed one. Internal to this folder.
#pragma once

#include <cmath>
#include <vector>

#include "dataset/packed_set.h"

namespace sightline::dataset {

inline image::Placement placement_in(int width, int height, const PackOptions& options) {
  return image::placement_of(width, height, options.width, options.height, options.fit);
}

// Clipped to the packed picture; what lies outside altogether is left out.
std::vector<PackedObject> packed_objects(const Sample& sample, const PackOptions& options);

// One for each class. What is said nothing of, or lies outside of the packed picture, is 0 in all.
std::vector<PackedLandmark> packed_landmarks(const Sample& sample, const PackOptions& options, std::size_t classes);

// What a map says at the centre of each packed pixel; `outside` beyond the picture.
template <class T, class From>
std::vector<T> packed_map(const Tensor& map, const PackOptions& options, T outside) {
  const auto rows = map.dim(0), columns = map.dim(1);
  const image::Placement place = placement_in(static_cast<int>(columns), static_cast<int>(rows), options);
  const auto source_of = [](int at, double scale, double offset) {
    return static_cast<std::int64_t>(std::floor((at + 0.5 - offset) / scale));
  };
  const auto values = map.values<From>();
  std::vector<T> packed(static_cast<std::size_t>(options.width) * static_cast<std::size_t>(options.height), outside);
  for (int y = 0; y < options.height; ++y) {
    const std::int64_t from_y = source_of(y, place.scale_y, place.offset_y);
    for (int x = 0; x < options.width; ++x) {
      const std::int64_t from_x = source_of(x, place.scale_x, place.offset_x);
      if (from_y < 0 || from_y >= rows || from_x < 0 || from_x >= columns) continue;
      packed[static_cast<std::size_t>(y) * static_cast<std::size_t>(options.width) + static_cast<std::size_t>(x)] =
          static_cast<T>(values[static_cast<std::size_t>(from_y * columns + from_x)]);
    }
  }
  return packed;
}

}  // namespace sightline::dataset
