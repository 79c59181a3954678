// Drawn sharp pictures for tests of restoration: overlapping squares and discs with clear edges, a little shaded. For tests only.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "training/toy_packed.h"
#include "training/warp.h"

namespace sightline::training::toy {

inline std::vector<std::uint8_t> draw_sharp(const PictureShape& shape, std::uint64_t seed) {
  Random random(seed, 0x54a4bULL);
  std::vector<double> levels(static_cast<std::size_t>(shape.height * shape.width), random.uniform(60, 200));
  for (int i = 0; i < 14; ++i) {
    const double x = random.uniform(0, shape.width), y = random.uniform(0, shape.height), half = random.uniform(4, shape.width / 4.0);
    const double level = random.uniform(10, 245), slope = random.uniform(-1, 1);
    const bool disc = random.below(2) == 1;
    for (int row = 0; row < shape.height; ++row)
      for (int column = 0; column < shape.width; ++column) {
        const double dx = column - x, dy = row - y;
        if (disc ? dx * dx + dy * dy < half * half : std::abs(dx) < half && std::abs(dy) < half)
          levels[static_cast<std::size_t>(row * shape.width + column)] = level + slope * dx;
      }
  }
  std::vector<std::uint8_t> pixels;
  for (const double level : levels)
    pixels.insert(pixels.end(), static_cast<std::size_t>(shape.channels), static_cast<std::uint8_t>(std::min(255.0, std::max(0.0, level))));
  return pixels;
}

// A packed set; the first `training` pictures are training's.
inline void write_sharp(const std::string& path, const PictureShape& shape, const std::vector<std::vector<std::uint8_t>>& pictures,
                        std::size_t training) {
  PackedBytes set({{"height", shape.height}, {"width", shape.width}, {"channels", shape.channels}, {"classes", {"picture"}}},
                  pictures.size(), training);
  set.part();
  for (const auto& picture : pictures) set.append(picture);
  set.write(path);
}

}  // namespace sightline::training::toy
