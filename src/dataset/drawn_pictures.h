// Pictures that a program draws: surfaces, single things on a ground with light and shadow, heaps of shapes, signs with strokes on them,
// worn or damaged surfaces. They are no pictures of anything; a network is asked what it sees in them, and another learns to answer alike.
#pragma once

#include "base/random.h"
#include "image/image.h"

namespace sightline::dataset {

// Raised when the same numbers draw another picture than before.
inline constexpr int drawn_version = 1;

// RGB, side×side. The same state of random gives the same picture.
image::Image draw_picture(Random& random, int side);

// A thing that lies on `ground` (RGB, square): drawn into it.
void draw_thing(Random& random, image::Image& ground);

}  // namespace sightline::dataset
