#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "heads/linear.h"

namespace sightline::heads {
namespace {

// Stripes whose direction is the class, at a random place and contrast over noise: their pixels alone tell nothing linear.
struct Stripes {
  Tensor pixels;
  std::vector<std::int32_t> labels;
};
Stripes make_stripes(std::int64_t count, std::int64_t height, std::int64_t width, std::int64_t channels) {
  Stripes stripes{Tensor(Dtype::u8, {count, height, width, channels}), {}};
  const auto pixels = stripes.pixels.values<std::uint8_t>();
  std::size_t at = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Random random(77, static_cast<std::uint64_t>(i));
    const auto label = static_cast<std::int32_t>(random.below(3));
    stripes.labels.push_back(label);
    const double phase = random.uniform(0, 6.3), contrast = random.uniform(30, 90), angle = label * 1.047;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const double wave = std::sin(phase + 1.3 * (std::cos(angle) * static_cast<double>(x) + std::sin(angle) * static_cast<double>(y)));
        for (std::int64_t k = 0; k < channels; ++k)
          pixels[at++] = static_cast<std::uint8_t>(128 + contrast * wave + random.uniform(-25, 25));
      }
    }
  }
  return stripes;
}

double out_of_fold_accuracy(const Tensor& features, const std::vector<std::int32_t>& labels) {
  const auto probabilities = out_of_fold_probabilities(features, labels, {}, 3, 5, 1);
  EXPECT_TRUE(probabilities.ok());
  if (!probabilities.ok()) return 0;
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = probabilities->values<float>().subspan(i * 3, 3);
    right += std::max_element(row.begin(), row.end()) - row.begin() == labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

TEST(PatchFeatures, SeeWhatPixelsDoNot) {
  for (std::int64_t channels : {1, 3}) {
    const Stripes stripes = make_stripes(300, 20, 24, channels);
    const auto features = patch_features(stripes.pixels, 32, 5);
    ASSERT_TRUE(features.ok());
    const std::int64_t pixel_count = channels == 1 ? 480 : 360;  // 480·3 is above 1024: averaged to 10×12·3
    ASSERT_EQ(features->shape(), (Shape{300, 9 * 32 + pixel_count}));
    EXPECT_GT(out_of_fold_accuracy(*features, stripes.labels), 0.95);
    Tensor pixels(Dtype::f32, {300, 20 * 24 * channels});
    for (std::size_t i = 0; i < static_cast<std::size_t>(pixels.count()); ++i)
      pixels.values<float>()[i] = static_cast<float>(stripes.pixels.values<std::uint8_t>()[i]);
    EXPECT_LT(out_of_fold_accuracy(pixels, stripes.labels), 0.8);
  }
}

TEST(PatchFeatures, AreTheSameForTheSameSeed) {
  const Stripes stripes = make_stripes(50, 28, 28, 1);
  const auto a = patch_features(stripes.pixels, 16, 5), b = patch_features(stripes.pixels, 16, 5),
             c = patch_features(stripes.pixels, 16, 6);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_TRUE(a->same_as(*b));
  EXPECT_FALSE(a->same_as(*c));
}

TEST(PatchFeatures, BearFlatTinyAndLargePictures) {
  for (const Shape& shape : {Shape{3, 1, 1, 1}, Shape{2, 4, 9, 3}, Shape{1, 300, 200, 3}, Shape{2, 32, 32, 1}}) {
    const auto features = patch_features(Tensor::zeros(Dtype::u8, shape), 8, 1);
    ASSERT_TRUE(features.ok()) << to_string(shape);
    EXPECT_LE(features->dim(1), 9 * 8 + 1024);
    for (float value : features->values<float>()) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(PatchFeatures, RefuseOtherInput) {
  EXPECT_EQ(patch_features(Tensor::zeros(Dtype::u8, {2, 8, 8, 2}), 8, 1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(patch_features(Tensor::zeros(Dtype::u8, {2, 8, 8}), 8, 1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(patch_features(Tensor::zeros(Dtype::f32, {2, 8, 8, 1}), 8, 1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(patch_features(Tensor(Dtype::u8, {0, 8, 8, 1}), 8, 1).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(patch_features(Tensor::zeros(Dtype::u8, {2, 8, 8, 1}), 0, 1).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::heads
