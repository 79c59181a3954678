#include "tasks/degradation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/json.h"

namespace sightline::tasks {
namespace {

image::Image grey(int width, int height, const std::function<int(int, int)>& level, int channels = 1) {
  image::Image picture{.width = width, .height = height, .channels = channels, .pixels = {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      picture.pixels.insert(picture.pixels.end(), static_cast<std::size_t>(channels), static_cast<std::uint8_t>(level(x, y)));
  return picture;
}
image::Image flat(int level, int side = 64) {
  return grey(side, side, [&](int, int) { return level; });
}

Degradation of(const Degradation& stated) {
  const auto result = settled(stated);
  EXPECT_TRUE(result.ok());
  return result.ok() ? *result : Degradation();
}

struct Moments {
  double sum = 0, x = 0, y = 0, width = 0;
};
Moments moments(const Kernel& kernel) {
  Moments moments;
  const double middle = (kernel.size - 1) / 2.0;
  double least = 1e9, most = -1e9;
  for (int y = 0; y < kernel.size; ++y)
    for (int x = 0; x < kernel.size; ++x) {
      const double weight = static_cast<double>(kernel.weights[static_cast<std::size_t>(y * kernel.size + x)]);
      EXPECT_GE(weight, 0);
      moments.sum += weight;
      moments.x += weight * (x - middle);
      moments.y += weight * (y - middle);
      if (weight <= 0) continue;
      least = std::min({least, x - middle, y - middle});
      most = std::max({most, x - middle, y - middle});
    }
  moments.width = most - least;
  return moments;
}

TEST(Degradation, KernelsSumToOneAboutTheirMiddle) {
  for (int i = 0; i < 200; ++i) {
    Random random(static_cast<std::uint64_t>(i));
    const double length = 1.5 + 0.15 * i;
    for (const Kernel& kernel : {camera_shake(length, random), defocus(length)}) {
      ASSERT_EQ(kernel.weights.size(), static_cast<std::size_t>(kernel.size * kernel.size));
      EXPECT_EQ(kernel.size % 2, 1);
      const Moments all = moments(kernel);
      EXPECT_NEAR(all.sum, 1, 1e-5);
      EXPECT_NEAR(all.x, 0, 0.02) << length;
      EXPECT_NEAR(all.y, 0, 0.02) << length;
      EXPECT_LE(kernel.size / 2, reach_of(of({.kind = RestoreKind::deblur, .blur = {length}})));
    }
  }
  // As long as is asked for, on one axis at least.
  Random random(3);
  EXPECT_NEAR(moments(camera_shake(20, random)).width, 20, 4);
  EXPECT_NEAR(moments(defocus(9)).width, 8, 2);
}

TEST(Degradation, ADefocusedPointIsADisc) {
  const Kernel kernel = defocus(7);
  const auto at = [&](int x, int y) {
    const int middle = kernel.size / 2;
    return static_cast<double>(kernel.weights[static_cast<std::size_t>((middle + y) * kernel.size + middle + x)]);
  };
  const double inside = 1 / (std::numbers::pi * 3.5 * 3.5);
  EXPECT_NEAR(at(0, 0), inside, 0.001);
  EXPECT_NEAR(at(2, 2), inside, 0.001);
  EXPECT_LT(at(3, 3), 1e-9);
  EXPECT_DOUBLE_EQ(at(3, 0), at(0, -3));
}

TEST(Degradation, BlurMovesNothingAndKeepsWhatIsFlat) {
  // Convolution, not correlation: a point becomes the kernel as it stands.
  Kernel kernel{.size = 3, .weights = {0, 0, 0, 0, 0.25F, 0.75F, 0, 0, 0}};
  const image::Image point = grey(9, 9, [](int x, int y) { return x == 4 && y == 4 ? 200 : 0; });
  const Planes seen = blurred(planes_of(point), kernel);
  EXPECT_FLOAT_EQ(seen.values[4 * 9 + 4], 50);
  EXPECT_FLOAT_EQ(seen.values[4 * 9 + 5], 150);
  Random random(5);
  for (const float value : blurred(planes_of(flat(77, 20)), camera_shake(15, random)).values) EXPECT_NEAR(value, 77, 1e-3);
}

TEST(Degradation, IsTheSameForTheSameStreamAndAnotherForAnother) {
  const image::Image picture = grey(
      48, 40, [](int x, int y) { return (7 * x + 11 * y) % 256; }, 3);
  for (const Degradation& stated :
       {Degradation{.noise = {5, 50}, .photons = {50, 400}, .jpeg = {30, 90}}, Degradation{.kind = RestoreKind::deblur},
        Degradation{.kind = RestoreKind::super_resolve, .scale = 4}}) {
    const Degradation how = of(stated);
    Random one(3), same(3), other(4);
    const image::Image first = degrade(picture, how, one), again = degrade(picture, how, same), third = degrade(picture, how, other);
    EXPECT_EQ(first.pixels, again.pixels);
    EXPECT_EQ(first.width, picture.width / how.scale);
    EXPECT_EQ(first.height, picture.height / how.scale);
    EXPECT_EQ(first.channels, 3);
    if (how.kind != RestoreKind::super_resolve) {
      EXPECT_NE(first.pixels, third.pixels);
    }
    const Restoration measured{.degradation = how, .seed = 9};
    Random named = measured_stream(measured, "abc"), namesake = measured_stream(measured, "abc");
    EXPECT_EQ(degrade(picture, how, named).pixels, degrade(picture, how, namesake).pixels);
    EXPECT_NE(measured_stream(measured, "abd").next(), measured_stream(measured, "abc").next());
    EXPECT_NE(measured_stream({.degradation = how, .seed = 8}, "abc").next(), measured_stream(measured, "abc").next());
  }
}

// Mean and standard deviation of the levels.
std::pair<double, double> levels_of(const image::Image& picture) {
  const double count = static_cast<double>(picture.pixels.size());
  const double mean = std::accumulate(picture.pixels.begin(), picture.pixels.end(), 0.0) / count;
  double squared = 0;
  for (const std::uint8_t each : picture.pixels) squared += (each - mean) * (each - mean);
  return {mean, std::sqrt(squared / count)};
}

TEST(Degradation, NoiseIsAsStrongAsItIsSaidToBe) {
  Random random(1);
  const auto [mean, deviation] = levels_of(degrade(flat(128, 128), of({.noise = {25}}), random));
  EXPECT_NEAR(mean, 128, 0.6);
  EXPECT_NEAR(deviation, 25, 0.5);
  // Of 100 photons that make white, half of white sends 50, give or take their root.
  for (const double photons : {100.0, 20.0}) {
    const auto [seen, spread] = levels_of(degrade(flat(128, 128), of({.noise = {0}, .photons = {photons}}), random));
    EXPECT_NEAR(seen, 128, 1);
    EXPECT_NEAR(spread, 255 * std::sqrt(128.0 / 255 * photons) / photons, 1);
  }
}

TEST(Degradation, SizesAreThoseOfTheGoldenScript) {
  const auto golden = read_json_file("tests/golden/restore.json");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  const auto rows = golden->at("picture").get<std::vector<std::vector<int>>>();
  const image::Image picture = grey(static_cast<int>(rows[0].size()), static_cast<int>(rows.size()),
                                    [&](int x, int y) { return rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)]; });
  for (const Json& size : golden->at("sizes")) {
    const double factor = size.at("factor");
    const Planes got =
        factor < 1 ? shrunk(planes_of(picture), static_cast<int>(1 / factor)) : enlarged(planes_of(picture), static_cast<int>(factor));
    std::size_t i = 0;
    for (const Json& row : size.at("values"))
      for (const Json& value : row) EXPECT_NEAR(got.values[i++], value.get<double>(), 2e-4) << factor << " at " << i;
    EXPECT_EQ(i, got.values.size());
  }
}

TEST(Degradation, WhatMakesNoSenseIsRefusedInWords) {
  const auto message = [](const Degradation& stated) {
    const auto result = settled(stated);
    EXPECT_FALSE(result.ok());
    return result.ok() ? std::string() : result.error().message;
  };
  EXPECT_NE(message({.kind = RestoreKind::super_resolve, .scale = 3}).find("2 or 4 times"), std::string::npos);
  EXPECT_NE(message({.noise = {30, 10}}).find("from 30 down to 10"), std::string::npos);
  EXPECT_NE(message({.noise = {1, 2, 3}}).find("3 numbers"), std::string::npos);
  EXPECT_NE(message({.noise = {-1}}).find("restore.noise is -1"), std::string::npos);
  EXPECT_NE(message({.noise = {0}}).find("give noise"), std::string::npos);
  EXPECT_NE(message({.kind = RestoreKind::deblur, .blur = {0}}).find("give blur"), std::string::npos);
  EXPECT_NE(message({.jpeg = {0, 50}}).find("1 to 100 of quality"), std::string::npos);
  // What a package keeps is read again as it was; anything else is an error.
  const Restoration stated{.degradation = of({.noise = {10, 20}, .photons = {80}}), .seed = 4};
  const auto read = restoration_of({{restoration_key, json_text(to_json(stated))}});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->degradation, stated.degradation);
  EXPECT_EQ(read->seed, 4);
  EXPECT_FALSE(restoration_of({}).ok());
  EXPECT_FALSE(restoration_of({{restoration_key, "{"}}).ok());
  EXPECT_FALSE(restoration_of({{restoration_key, R"({"degradation":{"kind":"sharpen"}})"}}).ok());
  EXPECT_FALSE(restoration_of({{restoration_key, R"({"degradation":{"noise":[900]}})"}}).ok());
}

}  // namespace
}  // namespace sightline::tasks
