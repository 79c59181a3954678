// Pictures that still show what their label says. u8 H×W×C in and out; safe to call from any thread.
#pragma once

#include <cstdint>
#include <span>

#include "modules/training_spec.h"

namespace sightline::training {

struct PictureShape {
  int height = 0, width = 0, channels = 0;
  std::size_t bytes() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  }
};

// Writes the picture that sample `sample` shows in epoch `epoch`:
//   none    as it is;
//   flip    mirrored left to right in every second epoch, beginning with a coin (alternating flip, Jordan 2024);
//   light   flip, then shifted by up to 4 % of the side and scaled by up to 5 %;
//   strong  flip, then turned by up to 15°, scaled by up to 15 %, shifted by up to 8 %; contrast and brightness by up to 20 %; a square of
//           a quarter to three eighths of the side blanked to the picture's mean in every second picture (cutout, DeVries and Taylor 2017);
//   light_unflipped, strong_unflipped   the same without flip, for pictures whose labels a mirror makes wrong.
// Shifted pictures repeat their edge. The same (seed, epoch, sample) gives the same bytes on every machine and thread.
void augment(modules::Augmentation kind, const PictureShape& shape, std::span<const std::uint8_t> source, std::span<std::uint8_t> target,
             std::uint64_t seed, std::int64_t epoch, std::int64_t sample);

}  // namespace sightline::training
