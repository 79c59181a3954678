#include "training/augment_landmarks.h"

#include "training/batches.h"

namespace sightline::training {

void augment_landmarks(modules::Augmentation kind, const Samples& samples, const Draw& draw, std::span<const std::size_t> mirrored,
                       std::span<std::uint8_t> target, std::span<dataset::PackedLandmark> landmarks) {
  const PictureShape& shape = samples.shape;
  const Change change = draw_change(kind, shape, draw.seed, draw.epoch, draw.sample);
  apply(change, shape, Outside::grey, samples.picture(draw.sample), target);
  const auto from = samples.landmarks->landmarks_of(draw.sample);
  for (std::size_t k = 0; k < from.size(); ++k) {
    dataset::PackedLandmark& to = landmarks[change.mirrored ? mirrored[k] : k];
    to = from[k];
    if (to.said == 0 || (!change.moved && !change.mirrored)) continue;
    const Place place = target_of(shape, change.affine, {static_cast<double>(to.x), static_cast<double>(to.y)});
    const bool within = place.x >= 0 && place.x <= shape.width && place.y >= 0 && place.y <= shape.height;
    to = within ? dataset::PackedLandmark{static_cast<float>(place.x), static_cast<float>(place.y), to.said} : dataset::PackedLandmark{};
  }
}

}  // namespace sightline::training
