#include "training/augment_sharp.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "base/random.h"

namespace sightline::training {
namespace {

// Where a pixel of the crop comes from: one of the eight ways to lay a square.
struct Turn {
  bool transposed = false, mirrored = false, upside_down = false;
};

image::Image crop_of(const PictureShape& shape, std::span<const std::uint8_t> source, int left, int top, int width, int height, Turn turn) {
  image::Image crop{.width = width, .height = height, .channels = shape.channels, .pixels = {}};
  crop.pixels.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * static_cast<std::size_t>(shape.channels));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      int column = turn.mirrored ? width - 1 - x : x, row = turn.upside_down ? height - 1 - y : y;
      if (turn.transposed) std::swap(column, row);
      const auto at = static_cast<std::ptrdiff_t>((top + row) * shape.width + left + column) * shape.channels;
      crop.pixels.insert(crop.pixels.end(), source.begin() + at, source.begin() + at + shape.channels);
    }
  return crop;
}

void middle_of(const image::Image& picture, int left, int top, int width, int height, std::span<std::uint8_t> to) {
  const std::size_t row = static_cast<std::size_t>(width) * static_cast<std::size_t>(picture.channels);
  for (int y = 0; y < height; ++y)
    std::copy_n(picture.pixels.begin() +
                    (static_cast<std::ptrdiff_t>(top + y) * picture.width + left) * static_cast<std::ptrdiff_t>(picture.channels),
                row, to.begin() + static_cast<std::ptrdiff_t>(row * static_cast<std::size_t>(y)));
}

}  // namespace

void augment_sharp(modules::Augmentation kind, const SharpTiles& tiles, const PictureShape& crop, std::span<const std::uint8_t> source,
                   std::span<std::uint8_t> degraded, std::span<std::uint8_t> sharp, std::uint64_t seed, std::int64_t epoch,
                   std::int64_t sample) {
  constexpr std::uint64_t sharp_stream = 0x5a4e50ULL;
  const bool draws = kind != modules::Augmentation::none;
  Random random(seed ^ sharp_stream, static_cast<std::uint64_t>(sample), draws ? static_cast<std::uint64_t>(epoch) + 1 : 0);
  const int scale = tiles.degradation.scale;
  // Around the crop, a multiple of the scale.
  const int reach = (tasks::reach_of(tiles.degradation) + scale - 1) / scale * scale;
  const int width = crop.width * scale + 2 * reach, height = crop.height * scale + 2 * reach;
  assert(width == height && width <= tiles.shape.width && height <= tiles.shape.height);
  int left = (tiles.shape.width - width) / 2, top = (tiles.shape.height - height) / 2;
  Turn turn;
  if (draws) {
    left = static_cast<int>(random.below(static_cast<std::uint64_t>(tiles.shape.width - width) + 1));
    top = static_cast<int>(random.below(static_cast<std::uint64_t>(tiles.shape.height - height) + 1));
    turn = {random.below(2) == 1, random.below(2) == 1, random.below(2) == 1};
  }
  const image::Image around = crop_of(tiles.shape, source, left, top, width, height, turn);
  const image::Image bad = tasks::degrade(around, tiles.degradation, random);
  middle_of(around, reach, reach, crop.width * scale, crop.height * scale, sharp);
  middle_of(bad, reach / scale, reach / scale, crop.width, crop.height, degraded);
}

}  // namespace sightline::training
