// What happens to a flat thing on its way into a picture file: seen at an angle, in uneven light, out of focus and moving, by few noisy
// pixels, compressed.
#pragma once

#include <array>

#include "base/random.h"
#include "image/image.h"

namespace sightline::dataset {

// Top left, top right, bottom right, bottom left; x and y in pixels of the result (annotation/annotation.h's frame).
using Corners = std::array<std::array<double, 2>, 4>;

// Lays `thing` (RGB) over `ground` (RGB) so that its corners lie there, each point where a plane in perspective has it (Heckbert 1989);
// four samples a pixel. The corners must span a convex quadrangle; the ground comes back as it is where they do not.
image::Image lay_over(const image::Image& thing, const image::Image& ground, const Corners& corners);

struct Degradation {
  // Light: value · gain (which changes by `slope` from one end to the other, along `slope_angle`) · tint, raised to gamma, plus haze.
  double gain = 1, slope = 0, slope_angle = 0, gamma = 1, haze = 0;
  std::array<double, 3> tint{1, 1, 1};
  double shadow = 1, shadow_angle = 0, shadow_place = 0.5;  // what is beyond a soft edge is so much darker; 1: none
  double defocus = 0;                                       // standard deviation, pixels
  double motion = 0, motion_angle = 0;                      // length in pixels, radians
  double noise = 0;                                         // standard deviation, grey levels
  int jpeg = 0;                                             // quality; 0: not compressed
};
// As pictures of things outdoors usually are, from good to hardly legible. sharpness: about how many pixels a stroke has.
Degradation draw_degradation(Random& random, double sharpness);

// The same picture, degraded, of the same size (RGB).
image::Image degrade(const image::Image& picture, const Degradation& how, Random& random);

}  // namespace sightline::dataset
