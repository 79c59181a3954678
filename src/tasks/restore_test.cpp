#include "tasks/restore.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.h"
#include "base/random.h"
#include "image/levels.h"
#include "tasks/degradation.h"
#include "tasks/restore_metrics.h"

namespace sightline::tasks {
namespace {

image::Image picture_of_rows(const Json& json) {
  const auto rows = json.get<std::vector<std::vector<int>>>();
  image::Image picture{.width = static_cast<int>(rows[0].size()), .height = static_cast<int>(rows.size()), .channels = 1, .pixels = {}};
  for (const auto& row : rows)
    for (const int value : row) picture.pixels.push_back(static_cast<std::uint8_t>(value));
  return picture;
}

TEST(RestoreMetrics, AreThoseOfTheGoldenScript) {
  const auto golden = read_json_file("tests/golden/restore.json");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  for (const Json& pair : golden->at("pairs")) {
    const image::Image a = picture_of_rows(pair.at("a")), b = picture_of_rows(pair.at("b"));
    EXPECT_NEAR(psnr(a, b), pair.at("psnr").get<double>(), 1e-9);
    EXPECT_NEAR(ssim(a, b), pair.at("ssim").get<double>(), 1e-9);
    EXPECT_DOUBLE_EQ(ssim(a, b), ssim(b, a));
    // Of three equal channels, that of one.
    EXPECT_NEAR(ssim(image::convert_channels(a, 3), image::convert_channels(b, 3)), pair.at("ssim").get<double>(), 1e-9);
    EXPECT_NEAR(psnr(image::convert_channels(a, 3), image::convert_channels(b, 3)), pair.at("psnr").get<double>(), 1e-9);
  }
}

TEST(RestoreMetrics, PicturesThatAreTooSmallForAWindowAreEqualOrNot) {
  const image::Image small{.width = 5, .height = 20, .channels = 1, .pixels = std::vector<std::uint8_t>(100, 9)};
  image::Image other = small;
  EXPECT_EQ(ssim(small, other), 1);
  EXPECT_EQ(psnr(small, other), most_psnr);
  other.pixels[3] = 10;
  EXPECT_EQ(ssim(small, other), 0);
}

constexpr int side = 24;

Tensor levels(const std::function<double(std::size_t)>& level) {
  Tensor tensor(Dtype::u8, {side, side, 1});
  std::size_t i = 0;
  for (std::uint8_t& value : tensor.values<std::uint8_t>()) value = static_cast<std::uint8_t>(std::clamp(level(i++), 0.0, 255.0));
  return tensor;
}

Case with_errors(double shown, double answered, float deviation, std::uint64_t seed) {
  Random random(seed);
  Case one{.width = side, .height = side};
  one.truth.restored = levels([](std::size_t) { return 128; });
  one.shown = levels([&](std::size_t) { return 128 + std::round(shown * random.normal()); });
  one.prediction.restored = levels([&](std::size_t) { return 128 + std::round(answered * random.normal()); });
  one.prediction.deviation = Tensor::filled({side, side}, deviation);
  return one;
}

TEST(RestoreMeter, SaysHowMuchIsGainedAndWhetherTheModelKnows) {
  const auto meter = restore_meter({});
  meter->add(with_errors(20, 5, 5, 1));
  meter->add(with_errors(20, 10, 10, 2));
  meter->add(with_errors(20, 10, 2, 3));  // far too sure
  const std::vector<std::int64_t> all{0, 1, 2}, honest{0, 1}, first{0}, sure{2};
  const Figures figures = meter->figures(honest, true);
  EXPECT_EQ(figures.pictures, 2);
  EXPECT_NEAR(figures.values.at("psnr_shown"), 20 * std::log10(255 / 20.0), 0.4);
  EXPECT_NEAR(meter->figures(first, false).values.at("psnr"), 20 * std::log10(255 / 5.0), 0.4);
  EXPECT_NEAR(figures.values.at("psnr_gain"), figures.values.at("psnr") - figures.values.at("psnr_shown"), 1e-12);
  EXPECT_GT(figures.values.at("ssim_gain"), 0);
  EXPECT_NEAR(figures.values.at("within_two_deviations"), 0.9545, 0.02);
  EXPECT_NEAR(figures.values.at("deviation"), std::sqrt((25 + 100) / 2.0), 1e-6);
  EXPECT_NEAR(figures.values.at("error"), figures.values.at("deviation"), 0.4);
  EXPECT_LT(meter->figures(sure, false).values.at("within_two_deviations"), 0.4);
  ASSERT_EQ(figures.curves.size(), 1U);
  EXPECT_EQ(figures.curves[0].lines[0].x.size(), 2U);
  EXPECT_NEAR(figures.curves[0].lines[0].y[1], 10, 0.6);
  EXPECT_GT(meter->wrongness(1), meter->wrongness(0));
  // A picture that was not answered counts.
  const double before = meter->figures(all, false).values.at("psnr");
  meter->add({.truth = with_errors(1, 1, 1, 1).truth});
  EXPECT_LT(meter->figures(std::vector<std::int64_t>{0, 1, 2, 3}, false).values.at("psnr"), before);
}

Outputs outputs_of(std::int64_t channels, std::int64_t height, std::int64_t width) {
  Outputs outputs;
  outputs["restored"] = Tensor(Dtype::f32, {1, channels, height, width});
  float value = -20;
  for (float& each : outputs["restored"].values<float>()) each = value += 0.75F;
  outputs["deviation"] = Tensor::filled({1, 1, height, width}, 2.5F);
  return outputs;
}
constexpr image::Placement four_by_three{.width = 4, .height = 3};

TEST(Restore, LevelsAreRoundedAndCut) {
  const Outputs outputs = outputs_of(3, 3, 4);
  const auto answers = decode_restore(outputs, std::span(&four_by_three, 1));
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  const Tensor& restored = (*answers)[0].restored;
  ASSERT_EQ(restored.shape(), (Shape{3, 4, 3}));
  const auto from = outputs.at("restored").values<float>();
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < 12; ++i)
      EXPECT_EQ(restored.values<std::uint8_t>()[i * 3 + c], std::max(0.0F, std::floor(from[c * 12 + i] + 0.5F)));
  EXPECT_EQ((*answers)[0].deviation.shape(), (Shape{3, 4}));
  const Told told = tell_restore((*answers)[0], {});
  EXPECT_EQ(told.json.at("width"), 4);
  EXPECT_DOUBLE_EQ(told.json.at("deviation").get<double>(), 2.5);
  EXPECT_EQ(told.rows.at(0).at(0), "4×3");
  // Larger by a factor, but by a whole one and the same each way.
  EXPECT_TRUE(decode_restore(outputs_of(1, 6, 8), std::span(&four_by_three, 1)).ok());
  EXPECT_FALSE(decode_restore(outputs_of(1, 6, 4), std::span(&four_by_three, 1)).ok());
  EXPECT_FALSE(decode_restore(outputs_of(1, 3, 5), std::span(&four_by_three, 1)).ok());
}

TEST(Restore, ANumberThatIsNoneIsAnError) {
  Outputs outputs = outputs_of(1, 3, 4);
  outputs["restored"].values<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(decode_restore(outputs, std::span(&four_by_three, 1)).ok());
  outputs = outputs_of(1, 3, 4);
  outputs["deviation"].values<float>()[5] = -1;
  EXPECT_FALSE(decode_restore(outputs, std::span(&four_by_three, 1)).ok());
}

TEST(Restore, OtherOutputsAreNamed) {
  const auto message = [](const std::map<std::string, std::pair<Dtype, Shape>>& outputs) {
    const auto status = check_restore_outputs(outputs, 1);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(message({{"restored", {Dtype::f32, {-1, 3, 64, 64}}}, {"deviation", {Dtype::f32, {-1, 1, 64, 64}}}}), "");
  EXPECT_NE(message({{"restored", {Dtype::f32, {-1, 3, 64, 64}}}}).find("no output \"deviation\""), std::string::npos);
  EXPECT_NE(message({{"restored", {Dtype::f32, {-1, 2, 64, 64}}}, {"deviation", {Dtype::f32, {-1, 1, 64, 64}}}}).find("\"restored\" is"),
            std::string::npos);
  EXPECT_NE(message({{"restored", {Dtype::f32, {-1, 1, 64, 64}}}, {"deviation", {Dtype::f32, {-1, 1, 32, 64}}}}).find("and \"deviation\""),
            std::string::npos);
}

TEST(Restore, WhatIsShownIsDrawnForTheName) {
  image::Image picture{.width = 33, .height = 21, .channels = 1, .pixels = {}};
  for (int i = 0; i < 33 * 21; ++i) picture.pixels.push_back(static_cast<std::uint8_t>(i % 251));
  const auto degradation = settled({.kind = RestoreKind::super_resolve, .scale = 4, .noise = {10}});
  ASSERT_TRUE(degradation.ok());
  const std::map<std::string, std::string> metadata{{restoration_key, json_text(to_json(Restoration{.degradation = *degradation}))}};
  const std::vector<std::string> classes;
  const auto show = [&](const std::string& name, annotation::Annotation& truth) {
    const auto shown = show_restore(picture, name, {classes, metadata}, truth);
    EXPECT_TRUE(shown.ok());
    return shown.ok() ? *shown : image::Image();
  };
  annotation::Annotation truth, again;
  const image::Image shown = show("a", truth);
  EXPECT_EQ(shown.width, 8);
  EXPECT_EQ(shown.height, 5);
  EXPECT_EQ(truth.restored.shape(), (Shape{20, 32, 1}));
  EXPECT_EQ(truth.restored.values<std::uint8_t>()[32], picture.pixels[33]);
  EXPECT_EQ(show("a", again).pixels, shown.pixels);
  EXPECT_NE(show("b", again).pixels, shown.pixels);
  const image::Image tiny{.width = 3, .height = 9, .channels = 1, .pixels = std::vector<std::uint8_t>(27)};
  EXPECT_FALSE(show_restore(tiny, "a", {classes, metadata}, truth).ok());
  // For the report, of equal size.
  Case one{.truth = truth, .prediction = truth, .width = 33, .height = 21};
  one.prediction.deviation = Tensor::filled({20, 32}, 3.0F);
  one.shown = Tensor::of<std::uint8_t>({5, 8, 1}, shown.pixels);
  const image::Image strip = strip_of_restore(one);
  EXPECT_EQ(strip.width, 4 * 32 + 3 * 4);
  EXPECT_EQ(strip.height, 20);
  EXPECT_TRUE(strip_of_restore({}).pixels.empty());
}

TEST(Restore, TheDeviationIsWrittenInSixteenBits) {
  const std::string png = deviation_png(Tensor::of<float>({1, 3}, {0.5F, 31, 100}));
  const auto levels = image::decode_levels(std::as_bytes(std::span(png)));
  ASSERT_TRUE(levels.ok());
  EXPECT_EQ(levels->bits, 16);
  EXPECT_EQ(levels->values, (std::vector<std::uint16_t>{1024, 31 * 2048, 65535}));
}

}  // namespace
}  // namespace sightline::tasks
