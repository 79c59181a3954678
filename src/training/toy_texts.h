// Drawn lines for tests of reading: figures in a row, each a symbol. For tests only.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "training/augment.h"
#include "training/toy_packed.h"

namespace sightline::training::toy {

struct TextLine {
  std::vector<std::uint8_t> pixels;  // H×W×C
  std::vector<std::int32_t> text;
};

// Two to four of the symbols A (a bar), B (two bars) and C (a block), left to right on noise; shape.width at least 64.
inline TextLine draw_line(const PictureShape& shape, std::uint64_t seed) {
  Random random(seed, 0x7e87ULL);
  TextLine line{.pixels = std::vector<std::uint8_t>(shape.bytes()), .text = {}};
  for (std::uint8_t& value : line.pixels) value = static_cast<std::uint8_t>(90 + random.below(40));
  const auto count = 2 + static_cast<int>(random.below(3));
  int left = 4 + static_cast<int>(random.below(4));
  for (int i = 0; i < count; ++i, left += 15) {
    const auto symbol = static_cast<std::int32_t>(random.below(3));
    line.text.push_back(symbol);
    for (int y = 4; y < shape.height - 4; ++y)
      for (int x = 0; x < 10; ++x) {
        const bool ink = symbol == 0 ? x >= 4 && x < 7 : symbol == 1 ? x < 3 || x >= 7 : true;
        for (int k = 0; ink && k < shape.channels; ++k)
          line.pixels[static_cast<std::size_t>((y * shape.width + left + x) * shape.channels + k)] = 240;
      }
  }
  return line;
}

// A packed set with texts; the first `training` lines are training's, the rest validation's.
inline void write_lines(const std::string& path, const PictureShape& shape, const std::vector<TextLine>& lines, std::size_t training) {
  std::vector<std::uint64_t> first{0};
  std::string pixels, symbols;
  for (const TextLine& line : lines) {
    first.push_back(first.back() + line.text.size());
    pixels.append(reinterpret_cast<const char*>(line.pixels.data()), line.pixels.size());
    symbols.append(reinterpret_cast<const char*>(line.text.data()), line.text.size() * sizeof(std::int32_t));
  }
  PackedBytes({{"height", shape.height},
               {"width", shape.width},
               {"channels", shape.channels},
               {"classes", {"A", "B", "C"}},
               {"symbols", first.back()}},
              lines.size(), training)
      .part()
      .append(pixels)
      .part()
      .append(first)
      .part()
      .append(symbols)
      .write(path);
}

}  // namespace sightline::training::toy
