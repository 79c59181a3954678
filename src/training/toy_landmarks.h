// Drawn pictures with landmarks: a bar with two ends on noise. For tests only.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "dataset/packed_set.h"
#include "training/augment.h"
#include "training/toy_packed.h"

namespace sightline::training::toy {

struct Pointed {
  std::vector<std::uint8_t> pixels;                // H×W×C
  std::vector<dataset::PackedLandmark> landmarks;  // left_end, right_end, middle
};
inline const std::vector<std::string> point_names{"left_end", "right_end", "middle"};

// A bar between two ends, the left one a disc, the right one a ring.
inline Pointed draw_bar(const PictureShape& shape, std::uint64_t seed) {
  Random random(seed, 0xba2ULL);
  Pointed one{.pixels = std::vector<std::uint8_t>(shape.bytes()), .landmarks = {}};
  for (std::uint8_t& value : one.pixels) value = static_cast<std::uint8_t>(60 + random.below(40));
  const double left = random.uniform(8, 0.4 * shape.width), right = random.uniform(0.6 * shape.width, shape.width - 8.0);
  const double from = random.uniform(8, shape.height - 8.0), to = random.uniform(8, shape.height - 8.0);
  const double length = std::hypot(right - left, to - from);
  for (int y = 0; y < shape.height; ++y)
    for (int x = 0; x < shape.width; ++x) {
      const double px = x + 0.5, py = y + 0.5;
      const double along = std::clamp(((px - left) * (right - left) + (py - from) * (to - from)) / (length * length), 0.0, 1.0);
      const double off = std::hypot(px - left - along * (right - left), py - from - along * (to - from));
      const double disc = std::hypot(px - left, py - from), ring = std::hypot(px - right, py - to);
      if (off > 1.2 && disc > 4 && (ring > 5 || ring < 2.5)) continue;
      for (int k = 0; k < shape.channels; ++k)
        one.pixels[static_cast<std::size_t>((y * shape.width + x) * shape.channels + k)] = static_cast<std::uint8_t>(disc <= 4 ? 240 : 200);
    }
  const auto place = [](double x, double y) { return dataset::PackedLandmark{static_cast<float>(x), static_cast<float>(y), 2}; };
  one.landmarks = {place(left, from), place(right, to), place((left + right) / 2, (from + to) / 2)};
  return one;
}

// A packed set with landmarks. The first `training` are training's, the rest
// validation's.
inline void write_pointed(const std::string& path, const PictureShape& shape, const std::vector<Pointed>& all, std::size_t training) {
  PackedBytes set(
      {{"height", shape.height}, {"width", shape.width}, {"channels", shape.channels}, {"classes", point_names}, {"landmarks", 1}},
      all.size(), training);
  set.part();
  for (const Pointed& one : all) set.append(one.pixels);
  set.part();
  for (const Pointed& one : all) set.append(one.landmarks);
  set.write(path);
}

}  // namespace sightline::training::toy
