// Drawn pictures with masks for tests of segmentation: bright discs that may touch, on noise. For tests only.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "training/augment.h"
#include "training/toy_packed.h"

namespace sightline::training::toy {

struct MaskedScene {
  std::vector<std::uint8_t> pixels;      // H×W×C
  std::vector<std::uint8_t> mask;        // H×W
  std::vector<std::uint16_t> instances;  // H×W
};

// A packed set with masks, of one class. The first `training` scenes are
// training's, the rest validation's.
inline void write_masked(const std::string& path, const PictureShape& shape, const std::vector<MaskedScene>& scenes, std::size_t training,
                         bool instances = true) {
  PackedBytes set(
      {{"height", shape.height}, {"width", shape.width}, {"channels", shape.channels}, {"classes", {"disc"}}, {"masks", instances ? 2 : 1}},
      scenes.size(), training);
  set.part();
  for (const MaskedScene& scene : scenes) set.append(scene.pixels);
  set.part();
  for (const MaskedScene& scene : scenes) set.append(scene.mask);
  if (instances) set.part();
  for (const MaskedScene& scene : scenes)
    if (instances) set.append(scene.instances);
  set.write(path);
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
