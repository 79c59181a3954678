#include "image/tiles.h"

#include <fmt/format.h>

#include <algorithm>

namespace sightline::image {
namespace {

std::vector<int> beginnings(int length, int tile) {
  if (length <= tile) return {0};
  const int overlap = std::min(tile_overlap, tile / 4), step = std::max(tile - overlap, 1);
  const int count = 1 + (length - tile + step - 1) / step;
  std::vector<int> places;
  for (int i = 0; i < count; ++i) places.push_back(static_cast<int>(static_cast<std::int64_t>(length - tile) * i / std::max(count - 1, 1)));
  return places;
}

// The place within [0, length) that a mirror at the last pixel shows at i >= 0.
int mirrored(int i, int length) {
  if (length == 1) return 0;
  i %= 2 * (length - 1);
  return i < length ? i : 2 * (length - 1) - i;
}

// How much the output of piece `which` counts at place i of it: rising over what it shares with its neighbours.
float weight_at(const std::vector<int>& begins, std::size_t which, int tile, std::int64_t factor, std::int64_t i) {
  const std::int64_t length = tile * factor;
  float weight = 1;
  if (which > 0) {
    const std::int64_t shared = (begins[which - 1] + tile - begins[which]) * factor;
    weight = std::min(weight, (static_cast<float>(i) + 0.5F) / static_cast<float>(shared));
  }
  if (which + 1 < begins.size()) {
    const std::int64_t shared = (begins[which] + tile - begins[which + 1]) * factor;
    weight = std::min(weight, (static_cast<float>(length - 1 - i) + 0.5F) / static_cast<float>(shared));
  }
  return weight;
}

std::vector<float> total_weights(const std::vector<int>& begins, int length, int tile, std::int64_t factor) {
  std::vector<float> total(static_cast<std::size_t>(length * factor));
  for (std::size_t which = 0; which < begins.size(); ++which)
    for (std::int64_t i = 0; i < tile * factor; ++i)
      if (const std::int64_t at = begins[which] * factor + i; at < std::ssize(total))
        total[static_cast<std::size_t>(at)] += weight_at(begins, which, tile, factor, i);
  return total;
}

}  // namespace

Tiling tiling_of(int width, int height, int tile_width, int tile_height) {
  return {.width = width,
          .height = height,
          .tile_width = tile_width,
          .tile_height = tile_height,
          .lefts = beginnings(width, tile_width),
          .tops = beginnings(height, tile_height)};
}

Tensor cut(const Image& picture, const Tiling& tiling) {
  Tensor pieces(Dtype::u8, {tiling.count(), tiling.tile_height, tiling.tile_width, picture.channels});
  std::uint8_t* to = pieces.values<std::uint8_t>().data();
  const auto channels = static_cast<std::size_t>(picture.channels);
  for (const int top : tiling.tops)
    for (const int left : tiling.lefts)
      for (int y = top; y < top + tiling.tile_height; ++y) {
        const std::uint8_t* row = picture.pixels.data() + static_cast<std::size_t>(mirrored(y, picture.height)) * picture.row_bytes();
        for (int x = left; x < left + tiling.tile_width; ++x)
          to = std::copy_n(row + static_cast<std::size_t>(mirrored(x, picture.width)) * channels, channels, to);
      }
  return pieces;
}

Result<Blender> Blender::of(const Tiling& tiling, std::int64_t channels, std::int64_t rows, std::int64_t columns) {
  Blender blender;
  blender.factor_ = columns / tiling.tile_width;
  if (blender.factor_ < 1 || columns != blender.factor_ * tiling.tile_width || rows != blender.factor_ * tiling.tile_height)
    return Error{ErrorKind::invalid_data, fmt::format("an output of {}×{} for pieces of {}×{} pixels is no whole factor larger", columns,
                                                      rows, tiling.tile_width, tiling.tile_height)};
  blender.tiling_ = tiling;
  blender.channels_ = channels;
  blender.rows_ = rows;
  blender.columns_ = columns;
  blender.sum_ = Tensor::zeros(Dtype::f32, {1, channels, tiling.height * blender.factor_, tiling.width * blender.factor_});
  blender.weight_across_ = total_weights(tiling.lefts, tiling.width, tiling.tile_width, blender.factor_);
  blender.weight_down_ = total_weights(tiling.tops, tiling.height, tiling.tile_height, blender.factor_);
  return blender;
}

void Blender::add(std::int64_t place, std::span<const float> output) {
  const auto column = static_cast<std::size_t>(place % std::ssize(tiling_.lefts)),
             row = static_cast<std::size_t>(place / std::ssize(tiling_.lefts));
  const std::int64_t left = tiling_.lefts[column] * factor_, top = tiling_.tops[row] * factor_, width = sum_.dim(3), height = sum_.dim(2);
  const std::int64_t across = std::min(columns_, width - left), down = std::min(rows_, height - top);
  // As shares of all pieces, so that whatever they agree on comes out as it is.
  std::vector<float> shares;
  for (std::int64_t x = 0; x < across; ++x)
    shares.push_back(weight_at(tiling_.lefts, column, tiling_.tile_width, factor_, x) / weight_across_[static_cast<std::size_t>(left + x)]);
  for (std::int64_t y = 0; y < down; ++y) {
    const float share = weight_at(tiling_.tops, row, tiling_.tile_height, factor_, y) / weight_down_[static_cast<std::size_t>(top + y)];
    for (std::int64_t c = 0; c < channels_; ++c) {
      const float* from = output.data() + (c * rows_ + y) * columns_;
      float* to = sum_.values<float>().data() + (c * height + top + y) * width + left;
      for (std::int64_t x = 0; x < across; ++x) to[x] += share * shares[static_cast<std::size_t>(x)] * from[x];
    }
  }
}

Tensor Blender::finish() { return std::move(sum_); }

}  // namespace sightline::image
