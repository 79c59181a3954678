#include "training/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/random.h"

namespace sightline::training {

Change draw_change(modules::Augmentation kind, const PictureShape& shape, std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  using modules::Augmentation;
  Change change;
  const auto id = static_cast<std::uint64_t>(sample);
  constexpr std::uint64_t coin_stream = 0xf11bULL;
  const bool strong = kind == Augmentation::strong || kind == Augmentation::strong_unflipped;
  const bool may_flip = kind != Augmentation::none && kind != Augmentation::light_unflipped && kind != Augmentation::strong_unflipped;
  change.mirrored = may_flip && ((Random(seed, coin_stream, id).next() >> 63U) ^ (static_cast<std::uint64_t>(epoch) & 1U)) != 0;
  change.moved = kind != Augmentation::none && kind != Augmentation::flip;
  if (change.moved) {
    Random random(seed + 1, static_cast<std::uint64_t>(epoch), id);
    const double most_scale = strong ? 0.15 : 0.05;
    const double most_shift = strong ? 0.08 : 0.04;
    const double angle = strong ? random.uniform(-15, 15) * std::numbers::pi / 180 : 0;
    const double scale = 1 / (1 + random.uniform(-most_scale, most_scale));
    change.affine.xx = change.affine.yy = scale * std::cos(angle);
    change.affine.xy = scale * std::sin(angle);
    change.affine.yx = -change.affine.xy;
    change.affine.shift_x = random.uniform(-most_shift, most_shift) * shape.width;
    change.affine.shift_y = random.uniform(-most_shift, most_shift) * shape.height;
    if (strong) {
      change.contrast = random.uniform(0.8, 1.2);
      change.brightness = random.uniform(-0.2, 0.2);
      const int shorter = std::min(shape.width, shape.height);
      const int side = static_cast<int>(std::lround(shorter * random.uniform(0.25, 0.375)));
      const auto left = static_cast<int>(random.below(static_cast<std::uint64_t>(shape.width))) - side / 2;
      const auto top = static_cast<int>(random.below(static_cast<std::uint64_t>(shape.height))) - side / 2;
      if (random.uniform() < 0.5) change.blanked = Part{left, top, left + side, top + side};
    }
  }
  if (change.mirrored) {  // the mirrored picture, read from the source directly
    change.affine.xx = -change.affine.xx;
    change.affine.xy = -change.affine.xy;
  }
  return change;
}

void apply(const Change& change, const PictureShape& shape, Outside outside, std::span<const std::uint8_t> source,
           std::span<std::uint8_t> target) {
  if (change.moved)
    warp(shape, change.affine, outside, {0, 0, shape.width, shape.height}, source.data(), target.data());
  else if (change.mirrored)
    mirror(shape, source.data(), target.data());
  else
    std::memcpy(target.data(), source.data(), shape.bytes());
  if (change.contrast != 1 || change.brightness != 0) change_tones(shape, change.contrast, change.brightness, target.data());
  if (change.blanked) blank(shape, *change.blanked, target.data());
}

void augment(modules::Augmentation kind, const PictureShape& shape, std::span<const std::uint8_t> source, std::span<std::uint8_t> target,
             std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  apply(draw_change(kind, shape, seed, epoch, sample), shape, Outside::edge, source, target);
}

}  // namespace sightline::training
