// Drawn pictures for tests of detection: squares, discs and crosses in their colours on noise. For tests only.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "dataset/packed_set.h"
#include "training/augment.h"
#include "training/toy_packed.h"

namespace sightline::training::toy {

struct Scene {
  std::vector<std::uint8_t> pixels;  // H×W×C
  std::vector<dataset::PackedObject> objects;
};

// A packed set with objects. The first `training` scenes are training's, the rest
// validation's.
inline void write_scenes(const std::string& path, const PictureShape& shape, const std::vector<std::string>& names,
                         const std::vector<Scene>& scenes, std::size_t training) {
  std::vector<std::uint64_t> first{0};
  std::string pixels, objects;
  for (const Scene& scene : scenes) {
    first.push_back(first.back() + scene.objects.size());
    pixels.append(reinterpret_cast<const char*>(scene.pixels.data()), scene.pixels.size());
    objects.append(reinterpret_cast<const char*>(scene.objects.data()), scene.objects.size() * sizeof(dataset::PackedObject));
  }
  PackedBytes(
      {{"height", shape.height}, {"width", shape.width}, {"channels", shape.channels}, {"classes", names}, {"objects", first.back()}},
      scenes.size(), training)
      .part()
      .append(pixels)
      .part()
      .append(first)
      .part()
      .append(objects)
      .write(path);
}

inline const std::vector<std::string> figure_classes{"square", "disc", "cross"};

// One to three figures, 14 to 34 pixels wide, that do not touch.
inline Scene draw_scene(const PictureShape& shape, std::uint64_t seed) {
  Random random(seed, 0xf19ULL);
  Scene scene{.pixels = std::vector<std::uint8_t>(shape.bytes()), .objects = {}};
  for (std::uint8_t& value : scene.pixels) value = static_cast<std::uint8_t>(90 + random.below(60));
  const auto count = 1 + random.below(3);
  for (int attempt = 0; attempt < 50 && scene.objects.size() < count; ++attempt) {
    const int size = 14 + static_cast<int>(random.below(21));
    const auto left = static_cast<int>(random.below(static_cast<std::uint64_t>(shape.width - size))),
               top = static_cast<int>(random.below(static_cast<std::uint64_t>(shape.height - size)));
    const auto label = static_cast<std::int32_t>(random.below(3));
    const dataset::PackedObject object{
        label, static_cast<float>(left), static_cast<float>(top), static_cast<float>(left + size), static_cast<float>(top + size), 0};
    bool touches = false;
    for (const auto& other : scene.objects)
      touches = touches || (object.left < other.right + 4 && other.left < object.right + 4 && object.top < other.bottom + 4 &&
                            other.top < object.bottom + 4);
    if (touches) continue;
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x) {
        const double across = x + 0.5 - size / 2.0, down = y + 0.5 - size / 2.0;
        const bool inside = label == 0   ? true
                            : label == 1 ? std::hypot(across, down) <= size / 2.0
                                         : std::min(std::abs(across), std::abs(down)) <= size / 6.0;
        for (int k = 0; inside && k < shape.channels; ++k)
          scene.pixels[static_cast<std::size_t>(((top + y) * shape.width + left + x) * shape.channels + k)] =
              static_cast<std::uint8_t>(k == label ? 230 : 30);
      }
    scene.objects.push_back(object);
  }
  return scene;
}

}  // namespace sightline::training::toy
