#include "training/augment_landmarks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "training/batches.h"
#include "training/toy_landmarks.h"
#include "training/toy_set.h"

namespace sightline::training {
namespace {

using modules::Augmentation;

constexpr PictureShape shape{64, 80, 3};

// A black picture with a red block around the left end and a green one around the right end: where the blocks of a changed picture are is
// where its points must be.
struct Blocks : testing::Test {
  Blocks() {
    toy::Pointed one{.pixels = std::vector<std::uint8_t>(shape.bytes(), 0), .landmarks = {{20, 30, 2}, {60, 22, 2}, {0, 0, 0}}};
    for (std::size_t k = 0; k < 2; ++k)
      for (std::size_t y = 0; y < 4; ++y)
        for (std::size_t x = 0; x < 4; ++x) {
          const std::size_t row = static_cast<std::size_t>(one.landmarks[k].y) - 2 + y,
                            column = static_cast<std::size_t>(one.landmarks[k].x) - 2 + x;
          one.pixels[(row * 80 + column) * 3 + k] = 255;
        }
    toy::write_pointed(folder / "set", shape, {one, one}, 2);
    auto opened = dataset::PackedSet::open(folder / "set");
    if (!opened.ok()) return;
    set = std::move(*opened);
    pixels = set.pixels();
    samples.shape = shape;
    samples.pixels = reinterpret_cast<const std::uint8_t*>(pixels.data());
    samples.labels = set.labels();
    samples.landmarks = &set;
    samples.chosen = {0, 1};
  }
  // Middle of what has this colour; false where little has.
  static bool middle_of(const std::vector<std::uint8_t>& picture, std::size_t channel, Place& middle) {
    double sum = 0, x = 0, y = 0;
    for (std::size_t at = 0; at < picture.size(); at += 3) {
      const double own = static_cast<double>(picture[at + channel]) - picture[at + 2];  // what lies beyond, and blanked squares, are grey
      if (own < 20) continue;
      sum += own;
      x += own * (static_cast<double>(at / 3 % 80) + 0.5);
      y += own * (static_cast<double>(at / 240) + 0.5);
    }
    middle = {x / sum, y / sum};
    return sum > 2000;
  }
  toy::Folder folder;
  dataset::PackedSet set;
  Tensor pixels;
  Samples samples;
};

TEST_F(Blocks, PointsMoveAsThePictureDoes) {
  int mirrored = 0, seen = 0;
  for (const Augmentation kind : {Augmentation::none, Augmentation::flip, Augmentation::light, Augmentation::strong_unflipped}) {
    for (std::int64_t epoch = 0; epoch < 8; ++epoch) {
      std::vector<std::uint8_t> picture(shape.bytes());
      std::vector<dataset::PackedLandmark> points(3);
      augment_landmarks(kind, samples, {7, epoch, 0}, std::vector<std::size_t>{1, 0, 2}, picture, points);
      EXPECT_EQ(points[2].said, 0U);
      Place red, green;
      if (!middle_of(picture, 0, red) || !middle_of(picture, 1, green)) continue;
      ++seen;
      // The left end stays left of the right end: mirrored, it is where the green block went.
      const bool swapped = red.x > green.x;
      mirrored += swapped ? 1 : 0;
      if (swapped) std::swap(red, green);
      EXPECT_NEAR(points[0].x, red.x, 0.6) << static_cast<int>(kind) << " " << epoch;
      EXPECT_NEAR(points[0].y, red.y, 0.6) << static_cast<int>(kind) << " " << epoch;
      EXPECT_NEAR(points[1].x, green.x, 0.6) << static_cast<int>(kind) << " " << epoch;
      EXPECT_NEAR(points[1].y, green.y, 0.6) << static_cast<int>(kind) << " " << epoch;
      if (kind == Augmentation::none || kind == Augmentation::strong_unflipped) {
        EXPECT_FALSE(swapped);
      }
    }
  }
  EXPECT_EQ(mirrored, 8);  // every second epoch of flip and light
  EXPECT_GT(seen, 24);
}

TEST_F(Blocks, WhatLeavesThePictureIsNotLearnedFrom) {
  toy::Pointed edge{.pixels = std::vector<std::uint8_t>(shape.bytes(), 0), .landmarks = {{0.5, 0.5, 2}, {79.5, 63.5, 1}, {40, 32, 2}}};
  toy::write_pointed(folder / "edge", shape, {edge, edge}, 2);
  const auto own = dataset::PackedSet::open(folder / "edge");
  ASSERT_TRUE(own.ok()) << own.error().message;
  samples.landmarks = &*own;
  int gone = 0, kept = 0;
  for (std::int64_t epoch = 0; epoch < 16; ++epoch) {
    std::vector<std::uint8_t> picture(shape.bytes());
    std::vector<dataset::PackedLandmark> points(3);
    augment_landmarks(Augmentation::strong_unflipped, samples, {7, epoch, 0}, std::vector<std::size_t>{1, 0, 2}, picture, points);
    for (const dataset::PackedLandmark& point : {points[0], points[1]}) {
      gone += point.said == 0 ? 1 : 0;
      kept += point.said != 0 ? 1 : 0;
      EXPECT_TRUE(point.x >= 0 && point.x <= shape.width && point.y >= 0 && point.y <= shape.height);
    }
    EXPECT_EQ(points[2].said, 2U);
  }
  EXPECT_GT(gone, 4);
  EXPECT_GT(kept, 4);
}

}  // namespace
}  // namespace sightline::training
