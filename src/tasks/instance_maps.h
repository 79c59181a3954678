// Objects that may touch, as maps that a network can learn, and back.
//
// Two maps stand beside the classes of the pixels: `border`, 1 for the pixels of an object that have another object or the background among
// their eight neighbours, else 0; `depth`, how far within its object a pixel lies, as a share of the farthest that one of its pixels lies:
// Euclidean, from pixel centre to the nearest pixel centre that is not the object's. Beyond the picture nothing is known, so that its edge
// is no border.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sightline::tasks {

struct InstanceMaps {
  std::vector<float> border, depth;  // H×W, 0 to 1; 0 on the background
};

// instances: H×W, 0 background, else the object's number.
InstanceMaps maps_of_instances(std::span<const std::int32_t> instances, std::int64_t height, std::int64_t width);

// What is needed to come back, as networks say it: H×W each.
struct PredictedMaps {
  std::span<const std::uint8_t> classes;  // 0 background
  std::span<const float> border, depth;
  std::int64_t height = 0, width = 0;
};

inline constexpr float seed_depth = 0.5F;  // an object begins where its pixels lie deeper
inline constexpr int least_pixels = 8;     // of an object: less is noise

// A watershed. Pixels that are deeper than seed_depth and less likely border than not hang together, over edges, as seeds; from them the
// objects grow over the foreground, the deepest pixels first (depth less border, in 1024 steps; equals in the order in which they were
// reached), so that two meet along the border between them. A piece of the foreground that no seed reaches is an object of its own. Objects
// of fewer than least_pixels are background. Gives H×W, objects numbered from 1 by their first pixel, row by row: the same bits for the
// same maps on every machine.
std::vector<std::int32_t> instances_of_maps(const PredictedMaps& maps);

}  // namespace sightline::tasks
