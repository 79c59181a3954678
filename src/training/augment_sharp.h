// Crops of sharp pictures and what a bad camera would have made of them: what a restorer learns from. u8 H×W×C; safe from any thread.
#pragma once

#include <cstdint>
#include <span>

#include "modules/training_spec.h"
#include "tasks/degradation.h"
#include "training/warp.h"

namespace sightline::training {

struct SharpTiles {
  PictureShape shape;              // of the sharp pictures
  tasks::Degradation degradation;  // settled
};

// The crop of `source` that sample `sample` shows in epoch `epoch`, mirrored and turned by quarters as it happens, and the same degraded
// anew. crop: of the degraded one, which `degraded` takes; `sharp` takes the sharp one, larger by the scale. What lies around the crop in
// `source` is degraded along, so that its edges look like any other place.
//   flip  everything is drawn for (seed, epoch, sample)
//   none  the middle, as it lies; the degradation is drawn for the sample alone
void augment_sharp(modules::Augmentation kind, const SharpTiles& tiles, const PictureShape& crop, std::span<const std::uint8_t> source,
                   std::span<std::uint8_t> degraded, std::span<std::uint8_t> sharp, std::uint64_t seed, std::int64_t epoch,
                   std::int64_t sample);

}  // namespace sightline::training
