// What drawn pictures are made of: colours that go together, and fields of numbers that look like surfaces. Internal to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace sightline::dataset {

using Colour = std::array<float, 3>;  // R, G, B, 0..255

inline Colour mix(const Colour& a, const Colour& b, float share) {
  return {a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share};
}

// Two to five colours of related or opposed hues, and all shades between them.
class Palette {
 public:
  explicit Palette(Random& random);
  Colour at(float place) const;  // in [0, 1]; beyond, the last one
  Colour any(Random& random) const { return at(static_cast<float>(random.uniform())); }

 private:
  std::vector<Colour> colours_;
};

// side×side numbers, about 0 to 1.
struct Field {
  int side = 0;
  std::vector<float> values;
  float& at(int x, int y) { return values[static_cast<std::size_t>(y) * static_cast<std::size_t>(side) + static_cast<std::size_t>(x)]; }
  float at(int x, int y) const {
    return values[static_cast<std::size_t>(y) * static_cast<std::size_t>(side) + static_cast<std::size_t>(x)];
  }
};

// Sums of smooth noise, each octave twice as fine and `persistence` as strong as the one before (Perlin 1985, as value noise).
Field noise_field(Random& random, int side, int coarsest, int octaves, float persistence);
// One of: noise, ridges, waves, rings, checks, bricks, weave, cells, walls between cells (Worley 1996), a slope, specks, scratches.
Field surface_field(Random& random, int side);

// side×side pixels of a surface in a palette's colours.
std::vector<Colour> draw_surface(Random& random, int side);

}  // namespace sightline::dataset
