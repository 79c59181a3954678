#include "training/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/random.h"

namespace sightline::training {
namespace {

void mirror(const PictureShape& shape, const std::uint8_t* source, std::uint8_t* target) {
  const auto width = static_cast<std::size_t>(shape.width);
  const auto channels = static_cast<std::size_t>(shape.channels);
  for (int y = 0; y < shape.height; ++y, source += width * channels, target += width * channels) {
    if (channels == 1) {
      std::reverse_copy(source, source + width, target);
      continue;
    }
    for (std::size_t x = 0; x < width; ++x) std::memcpy(target + x * channels, source + (width - 1 - x) * channels, channels);
  }
}

// Where a target pixel comes from: source = matrix · (target - centre) + centre + shift, in pixels.
struct Affine {
  double xx = 1, xy = 0, yx = 0, yy = 1, shift_x = 0, shift_y = 0;
};

// Bilinear in 1/256ths; outside, the nearest edge.
void warp(const PictureShape& shape, const Affine& affine, const std::uint8_t* source, std::uint8_t* target) {
  const int channels = shape.channels;
  const double centre_x = (shape.width - 1) / 2.0;
  const double centre_y = (shape.height - 1) / 2.0;
  const int last_x = shape.width - 1;
  const int last_y = shape.height - 1;
  for (int y = 0; y < shape.height; ++y) {
    for (int x = 0; x < shape.width; ++x) {
      const double from_x = affine.xx * (x - centre_x) + affine.xy * (y - centre_y) + centre_x + affine.shift_x;
      const double from_y = affine.yx * (x - centre_x) + affine.yy * (y - centre_y) + centre_y + affine.shift_y;
      const int fixed_x = static_cast<int>(std::lround(std::clamp<double>(from_x, 0, last_x) * 256));
      const int fixed_y = static_cast<int>(std::lround(std::clamp<double>(from_y, 0, last_y) * 256));
      const int left = fixed_x >> 8;
      const int top = fixed_y >> 8;
      const int right = std::min(left + 1, last_x);
      const int bottom = std::min(top + 1, last_y);
      const int weight_x = fixed_x & 255;
      const int weight_y = fixed_y & 255;
      const auto at = [&](int row, int column) { return source + (static_cast<std::ptrdiff_t>(row) * shape.width + column) * channels; };
      const std::uint8_t* a = at(top, left);
      const std::uint8_t* b = at(top, right);
      const std::uint8_t* c = at(bottom, left);
      const std::uint8_t* d = at(bottom, right);
      for (int k = 0; k < channels; ++k) {
        const int upper = a[k] * (256 - weight_x) + b[k] * weight_x;
        const int lower = c[k] * (256 - weight_x) + d[k] * weight_x;
        *target++ = static_cast<std::uint8_t>((upper * (256 - weight_y) + lower * weight_y + 32768) >> 16);
      }
    }
  }
}

void change_tones(const PictureShape& shape, double contrast, double brightness, std::uint8_t* pixels) {
  std::uint8_t tones[256];
  for (int i = 0; i < 256; ++i)
    tones[i] = static_cast<std::uint8_t>(std::lround(std::clamp((i - 127.5) * contrast + 127.5 + 255 * brightness, 0.0, 255.0)));
  for (std::size_t i = 0; i < shape.bytes(); ++i) pixels[i] = tones[pixels[i]];
}

void cut_out(const PictureShape& shape, int side, int centre_x, int centre_y, std::uint8_t* pixels) {
  const int channels = shape.channels;
  const std::size_t area = static_cast<std::size_t>(shape.width) * static_cast<std::size_t>(shape.height);
  for (int k = 0; k < channels; ++k) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < area; ++i) sum += pixels[i * static_cast<std::size_t>(channels) + static_cast<std::size_t>(k)];
    const auto mean = static_cast<std::uint8_t>(sum / area);
    for (int y = std::max(0, centre_y - side / 2); y < std::min(shape.height, centre_y - side / 2 + side); ++y)
      for (int x = std::max(0, centre_x - side / 2); x < std::min(shape.width, centre_x - side / 2 + side); ++x)
        pixels[(static_cast<std::ptrdiff_t>(y) * shape.width + x) * channels + k] = mean;
  }
}

}  // namespace

void augment(modules::Augmentation kind, const PictureShape& shape, std::span<const std::uint8_t> source, std::span<std::uint8_t> target,
             std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  using modules::Augmentation;
  const auto id = static_cast<std::uint64_t>(sample);
  constexpr std::uint64_t coin_stream = 0xf11bULL;
  const bool may_flip = kind == Augmentation::flip || kind == Augmentation::light || kind == Augmentation::strong;
  const bool flip = may_flip && ((Random(seed, coin_stream, id).next() >> 63U) ^ (static_cast<std::uint64_t>(epoch) & 1U)) != 0;
  if (kind == Augmentation::none || kind == Augmentation::flip) {
    if (flip)
      mirror(shape, source.data(), target.data());
    else
      std::memcpy(target.data(), source.data(), shape.bytes());
    return;
  }
  Random random(seed + 1, static_cast<std::uint64_t>(epoch), id);
  const bool strong = kind == Augmentation::strong || kind == Augmentation::strong_unflipped;
  const double most_scale = strong ? 0.15 : 0.05;
  const double most_shift = strong ? 0.08 : 0.04;
  const double angle = strong ? random.uniform(-15, 15) * std::numbers::pi / 180 : 0;
  const double scale = 1 / (1 + random.uniform(-most_scale, most_scale));
  Affine affine;
  affine.xx = affine.yy = scale * std::cos(angle);
  affine.xy = scale * std::sin(angle);
  affine.yx = -affine.xy;
  affine.shift_x = random.uniform(-most_shift, most_shift) * shape.width;
  affine.shift_y = random.uniform(-most_shift, most_shift) * shape.height;
  if (flip) {  // the mirrored picture, read from the source directly
    affine.xx = -affine.xx;
    affine.xy = -affine.xy;
  }
  warp(shape, affine, source.data(), target.data());
  if (!strong) return;
  const double contrast = random.uniform(0.8, 1.2);
  const double brightness = random.uniform(-0.2, 0.2);
  change_tones(shape, contrast, brightness, target.data());
  const int shorter = std::min(shape.width, shape.height);
  const int side = static_cast<int>(std::lround(shorter * random.uniform(0.25, 0.375)));
  const auto centre_x = static_cast<int>(random.below(static_cast<std::uint64_t>(shape.width)));
  const auto centre_y = static_cast<int>(random.below(static_cast<std::uint64_t>(shape.height)));
  if (random.uniform() < 0.5) cut_out(shape, side, centre_x, centre_y, target.data());
}

}  // namespace sightline::training
