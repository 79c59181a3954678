// Drawn pictures with masks for tests of segmentation: bright discs that may touch, on noise. For tests only.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/random.h"
#include "training/augment.h"
#include "training/toy_set.h"

namespace sightline::training::toy {

struct MaskedScene {
  std::vector<std::uint8_t> pixels;      // H×W×C
  std::vector<std::uint8_t> mask;        // H×W
  std::vector<std::uint16_t> instances;  // H×W
};

// A packed set with masks as docs/formats/packed-set.md lays it down, byte by byte, of one class. The first `training` scenes are
// training's, the rest validation's.
inline void write_masked(const std::string& path, const PictureShape& shape, const std::vector<MaskedScene>& scenes, std::size_t training,
                         bool instances = true) {
  std::string content = "SLPACK01";
  std::string text = json_text({{"count", scenes.size()},
                                {"height", shape.height},
                                {"width", shape.width},
                                {"channels", shape.channels},
                                {"classes", {"disc"}},
                                {"masks", instances ? 2 : 1}});
  const auto pad = [&] { content.resize((content.size() + 63) / 64 * 64, '\0'); };
  const auto append = [&](const auto& values) {
    content.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
  };
  const std::uint64_t header_length = (16 + text.size() + 63) / 64 * 64 - 16;
  text.resize(header_length, ' ');
  content.append(reinterpret_cast<const char*>(&header_length), sizeof(header_length)).append(text);
  content.append(scenes.size() * sizeof(std::int32_t), '\0');
  for (std::size_t i = 0; i < scenes.size(); ++i) content.push_back(i < training ? '\0' : '\1');
  pad();
  for (const MaskedScene& scene : scenes) append(scene.pixels);
  pad();
  for (const MaskedScene& scene : scenes) append(scene.mask);
  if (instances) {
    pad();
    for (const MaskedScene& scene : scenes) append(scene.instances);
  }
  std::ofstream(path, std::ios::binary) << content;
}

// Three to six discs of 5 to 9 pixels' radius; where two overlap, the first is in front.
inline MaskedScene draw_discs(const PictureShape& shape, std::uint64_t seed) {
  Random random(seed, 0xd15cULL);
  const auto area = static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
  MaskedScene scene{std::vector<std::uint8_t>(shape.bytes()), std::vector<std::uint8_t>(area), std::vector<std::uint16_t>(area)};
  for (std::uint8_t& value : scene.pixels) value = static_cast<std::uint8_t>(60 + random.below(40));
  const auto count = static_cast<std::uint16_t>(3 + random.below(4));
  for (std::uint16_t number = 1; number <= count; ++number) {
    const double x = random.uniform(6, shape.width - 6), y = random.uniform(6, shape.height - 6), radius = random.uniform(5, 9);
    const auto level = static_cast<int>(150 + random.below(60));
    for (int row = 0; row < shape.height; ++row)
      for (int column = 0; column < shape.width; ++column) {
        const auto at = static_cast<std::size_t>(row * shape.width + column);
        const double dx = column + 0.5 - x, dy = row + 0.5 - y, away = (dx * dx + dy * dy) / (radius * radius);
        if (away >= 1 || scene.mask[at] != 0) continue;
        scene.mask[at] = 1;
        scene.instances[at] = number;
        for (int k = 0; k < shape.channels; ++k)
          scene.pixels[at * static_cast<std::size_t>(shape.channels) + static_cast<std::size_t>(k)] =
              static_cast<std::uint8_t>(level - static_cast<int>(60 * away));
      }
  }
  return scene;
}

}  // namespace sightline::training::toy
