// Pictures that still show what their label says. u8 H×W×C in and out; safe to call from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "modules/training_spec.h"
#include "training/warp.h"

namespace sightline::training {

// What was drawn for a picture. The affine map holds the mirror too.
struct Change {
  bool mirrored = false, moved = false;  // neither: the picture stays; mirrored alone: no pixel is mixed
  Affine affine;
  double contrast = 1, brightness = 0;
  std::optional<Part> blanked;
  int soft_x = 0, soft_y = 0;  // columns and rows that edges are softened over
  double noise = 0;            // grey levels
  std::uint64_t noise_seed = 0;
};

// Writes the picture that sample `sample` shows in epoch `epoch`:
//   none    as it is;
//   flip    mirrored left to right in every second epoch, beginning with a coin (alternating flip, Jordan 2024);
//   light   flip, then shifted by up to 4 % of the side and scaled by up to 5 %;
//   strong  flip, then turned by up to 15°, scaled by up to 15 %, shifted by up to 8 %; contrast and brightness by up to 20 %; a square of
//           a quarter to three eighths of the side blanked to the picture's mean in every second picture (cutout, DeVries and Taylor 2017);
//   light_unflipped, strong_unflipped   the same without flip, for pictures whose labels a mirror makes wrong;
//   text    turned by up to 3°, slanted by up to 0.15, both sides scaled by 0.85 to 1.03, each for itself, shifted by up to 3 %; contrast
//   and
//           brightness by up to 30 %; edges softened over one column or row, or both, in every third picture; noise of up to 10 grey levels
//           in every third;
//   mosaic  of one picture alone: light (augment_objects.h puts four together).
// Shifted pictures repeat their edge. The same (seed, epoch, sample) gives the same bytes on every machine and thread.
void augment(modules::Augmentation kind, const PictureShape& shape, std::span<const std::uint8_t> source, std::span<std::uint8_t> target,
             std::uint64_t seed, std::int64_t epoch, std::int64_t sample);

// The same in two steps, for what has to be moved along with the picture.
Change draw_change(modules::Augmentation kind, const PictureShape& shape, std::uint64_t seed, std::int64_t epoch, std::int64_t sample);
void apply(const Change& change, const PictureShape& shape, Outside outside, std::span<const std::uint8_t> source,
           std::span<std::uint8_t> target);

}  // namespace sightline::training
