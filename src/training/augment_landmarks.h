// Pictures with their landmarks: every change of the picture moves them along (augment.h says what the changes are).
//
// What lies beyond the picture is grey, as letterboxes are. In a mirrored picture "left_eye" is where "right_eye" was
// (annotation/landmarks.h). A landmark that leaves the picture is not learned from; one that the blanked square covers is: where it must be
// is said by what is seen around it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataset/packed_set.h"
#include "training/augment_objects.h"

namespace sightline::training {

// Writes the picture that `draw.sample` shows in its epoch, all kinds of augment.h, and its landmarks, one for each class of
// samples.landmarks. mirrored: of each landmark, which one stands in its place in a mirrored picture. The same draw gives the same bytes on
// every machine and thread.
void augment_landmarks(modules::Augmentation kind, const Samples& samples, const Draw& draw, std::span<const std::size_t> mirrored,
                       std::span<std::uint8_t> target, std::span<dataset::PackedLandmark> landmarks);

}  // namespace sightline::training
