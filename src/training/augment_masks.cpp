#include "training/augment_masks.h"

#include <algorithm>
#include <cstddef>

#include "training/batches.h"

namespace sightline::training {

void augment_masks(modules::Augmentation kind, const Samples& samples, const Draw& draw, std::span<std::uint8_t> target,
                   std::span<std::uint8_t> mask, std::vector<std::int32_t>& instances) {
  const PictureShape& shape = samples.shape;
  const Change change = draw_change(kind, shape, draw.seed, draw.epoch, draw.sample);
  apply(change, shape, Outside::grey, samples.picture(draw.sample), target);
  const auto from_mask = samples.masks->mask_of(draw.sample);
  const auto from_instances = samples.masks->instances_of(draw.sample);
  instances.resize(from_instances.size());
  if (!change.moved && !change.mirrored) {
    std::ranges::copy(from_mask, mask.begin());
    std::ranges::copy(from_instances, instances.begin());
    return;
  }
  const Nearest nearest(shape, change.affine);
  std::size_t at = 0;
  for (int y = 0; y < shape.height; ++y) {
    for (int x = 0; x < shape.width; ++x, ++at) {
      const std::ptrdiff_t from = nearest.source_of(x, y);
      const bool blanked = change.blanked && x >= change.blanked->left && x < change.blanked->right && y >= change.blanked->top &&
                           y < change.blanked->bottom;
      const bool judged = from >= 0 && !blanked;
      mask[at] = judged ? from_mask[static_cast<std::size_t>(from)] : annotation::unjudged_pixel;
      // The object goes on behind the square: its border is not there.
      if (!instances.empty()) instances[at] = from >= 0 ? from_instances[static_cast<std::size_t>(from)] : 0;
    }
  }
}

}  // namespace sightline::training
