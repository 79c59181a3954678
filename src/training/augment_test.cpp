#include "training/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"

namespace sightline::training {
namespace {

using modules::Augmentation;
using Pixels = std::vector<std::uint8_t>;

constexpr PictureShape shape{20, 24, 3};

// A soft blob in the middle, brighter to the left.
Pixels picture() {
  Pixels pixels;
  for (int y = 0; y < shape.height; ++y)
    for (int x = 0; x < shape.width; ++x)
      for (int k = 0; k < shape.channels; ++k) {
        const double distance = std::hypot(y - 9.5, x - 8.0);
        pixels.push_back(static_cast<std::uint8_t>(40 + 50 * k + 100 * std::exp(-distance * distance / 30)));
      }
  return pixels;
}

Pixels augmented(Augmentation kind, const Pixels& source, std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
  Pixels target(source.size());
  augment(kind, shape, source, target, seed, epoch, sample);
  return target;
}

Pixels mirrored(const Pixels& source) {
  Pixels target(source.size());
  for (int y = 0; y < shape.height; ++y)
    for (int x = 0; x < shape.width; ++x)
      for (int k = 0; k < 3; ++k)
        target[static_cast<std::size_t>((y * shape.width + x) * 3 + k)] =
            source[static_cast<std::size_t>((y * shape.width + shape.width - 1 - x) * 3 + k)];
  return target;
}

double mean_difference(const Pixels& a, const Pixels& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(Augment, NoneCopies) { EXPECT_EQ(augmented(Augmentation::none, picture(), 1, 2, 3), picture()); }

TEST(Augment, FlipAlternatesFromEpochToEpoch) {
  const Pixels source = picture();
  int flipped_first = 0;
  for (std::int64_t sample = 0; sample < 200; ++sample) {
    const Pixels first = augmented(Augmentation::flip, source, 7, 0, sample);
    const Pixels second = augmented(Augmentation::flip, source, 7, 1, sample);
    EXPECT_TRUE((first == source && second == mirrored(source)) || (first == mirrored(source) && second == source));
    if (first != source) ++flipped_first;
  }
  EXPECT_NEAR(flipped_first, 100, 30);
}

TEST(Augment, IsDrawnFromSeedEpochAndSampleAlone) {
  const Pixels source = picture();
  for (const Augmentation kind : {Augmentation::light, Augmentation::strong}) {
    const Pixels once = augmented(kind, source, 7, 3, 11);
    EXPECT_EQ(once, augmented(kind, source, 7, 3, 11));
    EXPECT_NE(once, augmented(kind, source, 8, 3, 11));
    EXPECT_NE(once, augmented(kind, source, 7, 4, 11));
    EXPECT_NE(once, augmented(kind, source, 7, 3, 12));
  }
}

TEST(Augment, ThePictureStaysRecognisable) {
  const Pixels source = picture();
  double light = 0;
  double strong = 0;
  for (std::int64_t sample = 0; sample < 100; ++sample) {
    const auto nearest = [&](Augmentation kind) {
      const Pixels seen = augmented(kind, source, 5, 0, sample);
      return std::min(mean_difference(seen, source), mean_difference(seen, mirrored(source)));
    };
    light += nearest(Augmentation::light) / 100;
    strong += nearest(Augmentation::strong) / 100;
  }
  EXPECT_GT(light, 0.3);
  EXPECT_LT(light, 6);
  EXPECT_GT(strong, light);
  EXPECT_LT(strong, 40);
}

TEST(Augment, FlatPicturesStayFlatUnderLight) {
  const Pixels flat(shape.bytes(), 123);
  EXPECT_EQ(augmented(Augmentation::light, flat, 5, 1, 2), flat);
}

TEST(Augment, OnePixelAndOneChannel) {
  const PictureShape tiny{1, 1, 1};
  for (const Augmentation kind : {Augmentation::none, Augmentation::flip, Augmentation::light, Augmentation::strong}) {
    const Pixels source{200};
    Pixels target(1);
    augment(kind, tiny, source, target, 1, 0, 0);
    EXPECT_NEAR(target[0], 200, 110);
  }
}

TEST(Augment, TextStaysWhole) {
  // A frame a tenth away from the edges: whatever is drawn, its sides stay within the picture, and left stays left.
  constexpr PictureShape line{32, 96, 1};
  Pixels source(line.bytes(), 20);
  for (int y = 4; y < 28; ++y)
    for (int x = 8; x < 88; ++x)
      if (x < 12) source[static_cast<std::size_t>(y * line.width + x)] = 250;
  for (std::int64_t sample = 0; sample < 300; ++sample) {
    const Change change = draw_change(Augmentation::text, line, 5, 1, sample);
    EXPECT_FALSE(change.mirrored);
    EXPECT_FALSE(change.blanked.has_value());
    Pixels target(source.size());
    Affine only = change.affine;
    warp(line, only, Outside::grey, {0, 0, line.width, line.height}, source.data(), target.data());
    int left = 0, right = 0;
    for (int y = 0; y < line.height; ++y)
      for (int x = 0; x < line.width; ++x)
        (x < line.width / 2 ? left : right) += target[static_cast<std::size_t>(y * line.width + x)] > 200 ? 1 : 0;
    EXPECT_EQ(right, 0);
    // Four columns of 24 rows, scaled by 0.85 to 1.03 each way, and edges that are mixed with the ground.
    EXPECT_GT(left, 4 * 24 * 0.85 * 0.85 * 0.5) << sample;
  }
}

TEST(Augment, SoftenedAndNoisyInTheMeanTheSame) {
  Pixels pixels = picture(), soft = pixels, noisy = pixels;
  soften(shape, 2, 1, soft.data());
  add_noise(shape, 6, 9, noisy.data());
  const auto mean = [](const Pixels& p) { return std::accumulate(p.begin(), p.end(), 0.0) / static_cast<double>(p.size()); };
  EXPECT_NEAR(mean(soft), mean(pixels), 1);
  EXPECT_NEAR(mean(noisy), mean(pixels), 1);
  double squares = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) squares += (noisy[i] - pixels[i]) * (noisy[i] - pixels[i]);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(pixels.size())), 6, 0.5);
  // Of one bright pixel a third is left in each of three columns.
  constexpr PictureShape row{1, 7, 1};
  Pixels spot{0, 0, 0, 90, 0, 0, 0};
  soften(row, 1, 0, spot.data());
  EXPECT_EQ(spot, (Pixels{0, 0, 30, 30, 30, 0, 0}));
}

}  // namespace
}  // namespace sightline::training
