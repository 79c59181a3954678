// Drawn sharp pictures for tests of restoration: overlapping squares and discs with clear edges, a little shaded. For tests only.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/random.h"
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

// A packed set as docs/formats/packed-set.md lays it down, byte by byte; the first `training` pictures are training's.
inline void write_sharp(const std::string& path, const PictureShape& shape, const std::vector<std::vector<std::uint8_t>>& pictures,
                        std::size_t training) {
  std::string content = "SLPACK01";
  std::string text = json_text({{"count", pictures.size()},
                                {"height", shape.height},
                                {"width", shape.width},
                                {"channels", shape.channels},
                                {"classes", {"picture"}}});
  const std::uint64_t header_length = (16 + text.size() + 63) / 64 * 64 - 16;
  text.resize(header_length, ' ');
  content.append(reinterpret_cast<const char*>(&header_length), sizeof(header_length)).append(text);
  content.append(pictures.size() * sizeof(std::int32_t), '\0');
  for (std::size_t i = 0; i < pictures.size(); ++i) content.push_back(i < training ? '\0' : '\1');
  content.resize((content.size() + 63) / 64 * 64, '\0');
  for (const auto& picture : pictures) content.append(reinterpret_cast<const char*>(picture.data()), picture.size());
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace sightline::training::toy
