// Pictures with a mask: every change of the picture moves the mask along (augment.h says what the changes are). Each pixel of a moved mask
// is that of the nearest place of the source; what lies beyond the source, and a blanked square, is not judged.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataset/packed_set.h"
#include "modules/training_spec.h"
#include "training/augment_objects.h"

namespace sightline::training {

// Writes picture, mask (u8 H×W) and, where the set has them, instances (H×W; else empty) that `draw.sample` shows in its epoch: all kinds
// of augment.h but mosaic. The same draw gives the same bytes on every machine and thread.
void augment_masks(modules::Augmentation kind, const Samples& samples, const Draw& draw, std::span<std::uint8_t> target,
                   std::span<std::uint8_t> mask, std::vector<std::int32_t>& instances);

}  // namespace sightline::training
