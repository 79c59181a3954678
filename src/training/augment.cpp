#include "training/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/random.h"

namespace sightline::training {

namespace {

// No letter may leave the picture or be mistaken for another.
Change draw_text_change(const PictureShape& shape, std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  Random random(seed + 1, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(sample));
  Change change;
  change.moved = true;
  const double angle = random.uniform(-3, 3) * std::numbers::pi / 180, slant = random.uniform(-0.15, 0.15);
  const double scale_x = 1 / random.uniform(0.85, 1.03), scale_y = 1 / random.uniform(0.85, 1.03);
  change.affine.xx = scale_x * std::cos(angle);
  change.affine.xy = scale_y * (std::sin(angle) + slant);
  change.affine.yx = -scale_x * std::sin(angle);
  change.affine.yy = scale_y * std::cos(angle);
  change.affine.shift_x = random.uniform(-0.03, 0.03) * shape.width;
  change.affine.shift_y = random.uniform(-0.03, 0.03) * shape.height;
  change.contrast = random.uniform(0.7, 1.3);
  change.brightness = random.uniform(-0.3, 0.3) * random.uniform();
  const std::uint64_t soft = random.below(9);  // of nine: one sideways, one up and down, one both
  change.soft_x = soft == 0 || soft == 2 ? 1 : 0;
  change.soft_y = soft == 1 || soft == 2 ? 1 : 0;
  change.noise = random.below(3) == 0 ? random.uniform(0, 10) : 0;
  change.noise_seed = random.next();
  return change;
}

}  // namespace

Change draw_change(modules::Augmentation kind, const PictureShape& shape, std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  using modules::Augmentation;
  Change change;
  const auto id = static_cast<std::uint64_t>(sample);
  constexpr std::uint64_t coin_stream = 0xf11bULL;
  const bool strong = kind == Augmentation::strong || kind == Augmentation::strong_unflipped;
  if (kind == Augmentation::text) return draw_text_change(shape, seed, epoch, sample);
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
  if (change.soft_x > 0 || change.soft_y > 0) soften(shape, change.soft_x, change.soft_y, target.data());
  if (change.noise > 0) add_noise(shape, change.noise, change.noise_seed, target.data());
  if (change.blanked) blank(shape, *change.blanked, target.data());
}

void augment(modules::Augmentation kind, const PictureShape& shape, std::span<const std::uint8_t> source, std::span<std::uint8_t> target,
             std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  apply(draw_change(kind, shape, seed, epoch, sample), shape, Outside::edge, source, target);
}

}  // namespace sightline::training
