#include "image/tiles.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace sightline::image {
namespace {

Image noise(int width, int height, int channels) {
  Random random(2);
  Image picture{.width = width, .height = height, .channels = channels, .pixels = {}};
  for (int i = 0; i < width * height * channels; ++i) picture.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  return picture;
}

// What a network that does nothing answers, `factor` times as large: f32 C×h×w.
std::vector<float> echo(const Tensor& piece, std::int64_t factor) {
  const std::int64_t height = piece.dim(1), width = piece.dim(2), channels = piece.dim(3);
  std::vector<float> output;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = 0; y < height * factor; ++y)
      for (std::int64_t x = 0; x < width * factor; ++x)
        output.push_back(piece.values<std::uint8_t>()[static_cast<std::size_t>(((y / factor) * width + x / factor) * channels + c)]);
  return output;
}

Tensor through(const Image& picture, const Tiling& tiling, std::int64_t factor) {
  const Tensor pieces = cut(picture, tiling);
  auto blender = Blender::of(tiling, picture.channels, tiling.tile_height * factor, tiling.tile_width * factor);
  EXPECT_TRUE(blender.ok());
  for (std::int64_t i = 0; i < tiling.count(); ++i) blender->add(i, echo(pieces.rows(i, i + 1), factor));
  return blender->finish();
}

TEST(Tiles, PiecesCoverThePictureAndOverlap) {
  for (const int length : {1, 31, 32, 33, 50, 64, 100, 1000}) {
    const Tiling tiling = tiling_of(length, 32, 32, 32);
    ASSERT_EQ(tiling.lefts.front(), 0);
    if (length <= 32) {
      EXPECT_EQ(tiling.count(), 1);
      continue;
    }
    EXPECT_EQ(tiling.lefts.back(), length - 32);
    for (std::size_t i = 1; i < tiling.lefts.size(); ++i) {
      EXPECT_LE(tiling.lefts[i] - tiling.lefts[i - 1], 32 - 8);  // a fourth of such a small piece is shared
      EXPECT_GT(tiling.lefts[i], tiling.lefts[i - 1]);
    }
  }
  EXPECT_EQ(tiling_of(180, 180, 104, 104).count(), 4);
}

TEST(Tiles, WhatPiecesAgreeOnComesOutAsItIs) {
  for (const int channels : {1, 3})
    for (const auto& [width, height] : {std::pair{100, 70}, {32, 32}, {33, 31}, {5, 90}, {1, 1}})
      for (const std::int64_t factor : {1, 2, 4}) {
        const Image picture = noise(width, height, channels);
        const Tensor whole = through(picture, tiling_of(width, height, 32, 32), factor);
        ASSERT_EQ(whole.shape(), (Shape{1, channels, height * factor, width * factor}));
        const auto values = whole.values<float>();
        std::size_t i = 0;
        for (int c = 0; c < channels; ++c)
          for (std::int64_t y = 0; y < height * factor; ++y)
            for (std::int64_t x = 0; x < width * factor; ++x, ++i)
              ASSERT_NEAR(values[i], picture.pixels[static_cast<std::size_t>(((y / factor) * width + x / factor) * channels + c)], 1e-3);
      }
}

TEST(Tiles, OnePieceIsTheOutputToTheBit) {
  const Image picture = noise(32, 32, 1);
  const Tiling tiling = tiling_of(32, 32, 32, 32);
  const std::vector<float> output = echo(cut(picture, tiling), 1);
  auto blender = Blender::of(tiling, 1, 32, 32);
  ASSERT_TRUE(blender.ok());
  blender->add(0, output);
  const Tensor whole = blender->finish();
  const auto values = whole.values<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()), output);
}

TEST(Tiles, NoSeamWherePiecesDisagree) {
  // Every piece answers with a level of its own: neighbours must be joined by a slope, not by a step.
  const Tiling tiling = tiling_of(200, 32, 64, 32);
  auto blender = Blender::of(tiling, 1, 32, 64);
  ASSERT_TRUE(blender.ok());
  for (std::int64_t i = 0; i < tiling.count(); ++i)
    blender->add(i, std::vector<float>(static_cast<std::size_t>(32 * 64), i % 2 == 0 ? 100.0F : 132.0F));
  const Tensor whole = blender->finish();
  const auto values = whole.values<float>();
  for (std::size_t x = 1; x < 200; ++x) EXPECT_LT(std::abs(values[x] - values[x - 1]), 4) << x;
}

TEST(Tiles, OutputsOfAnotherSizeAreRefused) {
  const Tiling tiling = tiling_of(64, 64, 32, 32);
  EXPECT_FALSE(Blender::of(tiling, 1, 16, 16).ok());
  EXPECT_FALSE(Blender::of(tiling, 1, 64, 32).ok());
  EXPECT_FALSE(Blender::of(tiling, 1, 33, 33).ok());
}

}  // namespace
}  // namespace sightline::image
