// Pictures with what is in them: every change of the picture moves its boxes along (augment.h says what the changes are).
//
// What lies beyond the picture is grey, as letterboxes are, so that no object goes on behind the edge of its box. A box is clipped to the
// part of the picture that shows it, and under a turn it is the hull of its turned corners. An object of which less than a quarter of the
// area is left, by cutting or by the blanked square, is ignored from then on: too little to be learned, too much for background. What is
// left with a side below two pixels is gone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataset/packed_set.h"
#include "modules/training_spec.h"
#include "training/augment.h"

namespace sightline::training {

struct Samples;

inline constexpr double least_visible = 0.25, least_side = 2;

// Share of the course during which mosaic is drawn; then light, so that the end of training sees pictures as they will be.
inline constexpr double mosaic_share = 0.85;

struct Draw {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0, sample = 0;
};

// Writes the picture and the objects that `draw.sample` shows in its epoch. All kinds of augment.h, and
//   mosaic  in every second picture four, each at 0.5 to 1 of its size, with a corner where they meet, a point of the middle of the
//   picture;
//           the three others are any that take part. Else the picture moved by up to a tenth and scaled by up to a third. Each part is
//           mirrored or not; contrast, brightness by up to 20 %.
// The same draw gives the same bytes on every machine and thread.
void augment_objects(modules::Augmentation kind, const Samples& samples, const Draw& draw, std::span<std::uint8_t> target,
                     std::vector<dataset::PackedObject>& objects);

// A place in the frame of boxes and landmarks: pixels have their centres at halves.
struct Place {
  double x = 0, y = 0;
};
// Where the map takes a place of its source.
Place target_of(const PictureShape& shape, const Affine& affine, Place from);

// Where a box of the source lies after this map, clipped to `part` and by `blanked`. False: it is gone.
bool move_object(const PictureShape& shape, const Affine& affine, const Part& part, const Part* blanked, dataset::PackedObject& object);

}  // namespace sightline::training
