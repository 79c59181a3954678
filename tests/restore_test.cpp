// From sharp pictures to a released restorer, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "image/image.h"
#include "image/levels.h"
#include "scenario.h"
#include "tasks/degradation.h"
#include "tasks/restore_metrics.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

// Squares and discs with clear edges, shaded.
image::Image draw(std::uint64_t seed, int width = 112, int height = 96) {
  Random random(seed);
  std::vector<double> levels(static_cast<std::size_t>(width * height), random.uniform(60, 200));
  for (int i = 0; i < 16; ++i) {
    const double x = random.uniform(0, width), y = random.uniform(0, height), half = random.uniform(5, 28), level = random.uniform(10, 245),
                 slope = random.uniform(-1, 1);
    const bool disc = random.below(2) == 1;
    for (int row = 0; row < height; ++row)
      for (int column = 0; column < width; ++column) {
        const double dx = column - x, dy = row - y;
        if (disc ? dx * dx + dy * dy < half * half : std::abs(dx) < half && std::abs(dy) < half)
          levels[static_cast<std::size_t>(row * width + column)] = level + slope * dx;
      }
  }
  image::Image picture{.width = width, .height = height, .channels = 1, .pixels = {}};
  for (const double level : levels) picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(level, 0.0, 255.0)));
  return picture;
}

void draw_set(const std::string& folder, int count) {
  for (int i = 0; i < count; ++i)
    write_text(fmt::format("{}/{:03}.png", folder, i), image::encode_png(draw(static_cast<std::uint64_t>(i) + 1)));
}

std::string demand_with(int epochs, const std::string& restore, const std::string& more = "") {
  return fmt::format(
      "name: clean\ntask: restore\nrestore: {}\ndata: {{path: set}}\nsplit: {{group_by: none}}\nbudget: {{epochs: {}}}\n"
      "recipe: {{batch: 8}}\nlimits: {{cores: 2}}\nseed: 3\n{}",
      restore, epochs, more);
}

struct Restore : testing::Test {
  TemporaryFolder place;
  Outcome run(const std::vector<std::string>& words, RunOptions options = {}) const {
    options.folder = place.path();
    return sightline(words, options);
  }
  Json build(int epochs, const std::string& restore, const std::string& workspace = "workspace", const std::string& more = "") const {
    write_text(place / "d.yaml", demand_with(epochs, restore, more));
    const Outcome outcome = run({"build", "d.yaml", "--json", "--workspace", workspace});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

TEST_F(Restore, BuildsAReleasedRestorerThatCleansWhatItNeverSaw) {
  draw_set(place / "set", 60);
  const Json built = build(12, "{kind: denoise, noise: 25}", "workspace", "target: {metric: psnr_gain, at_least: 4}\n");
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json figures = run({"show", "clean", "--json", "--workspace", "workspace"}).json().at("figures");
  EXPECT_GT(figures.at("psnr_gain").get<double>(), 4) << figures.dump();
  // A picture of another size than any that it learned from, in several pieces; odd sides.
  const image::Image sharp = draw(1001, 203, 131);
  Random random(5);
  const auto noisy = tasks::degrade(sharp, *tasks::settled({.noise = {25}}), random);
  write_text(place / "noisy.png", image::encode_png(noisy));
  const Outcome said = run({"predict", "clean", "noisy.png", "--json", "--drawn", "found", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answer = said.json().at("answers").at(0);
  EXPECT_EQ(answer.at("width"), 203);
  const auto restored = image::read_image(place / answer.at("restored").get<std::string>());
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  ASSERT_EQ(restored->pixels.size(), sharp.pixels.size());
  EXPECT_GT(tasks::psnr(*restored, sharp), tasks::psnr(noisy, sharp) + 4);
  EXPECT_GT(tasks::ssim(*restored, sharp), tasks::ssim(noisy, sharp) + 0.1);
  // Beside it, how far off each pixel may be, which is about right.
  const std::string png = read_text(place / answer.at("deviation_map").get<std::string>());
  const auto map = image::decode_levels(std::as_bytes(std::span(png)));
  ASSERT_TRUE(map.ok());
  std::size_t within = 0;
  for (std::size_t i = 0; i < sharp.pixels.size(); ++i)
    within += std::abs(restored->pixels[i] - sharp.pixels[i]) <= 2 * map->values[i] / 2048.0 ? 1 : 0;
  const double share = static_cast<double>(within) / static_cast<double>(sharp.pixels.size());
  EXPECT_GT(share, 0.85);
  EXPECT_LT(share, 0.999);
  EXPECT_THAT(run({"predict", "clean", "noisy.png", "--workspace", "workspace"}).out, HasSubstr("203×131"));
  const Json measured = run({"eval", "clean", "set", "--json", "--workspace", "workspace"}).json().at("evaluation").at("measured");
  EXPECT_EQ(measured.at("pictures"), 60);
  EXPECT_GT(measured.at("values").at("psnr_shown").get<double>(), 19);
  const std::string report = read_text(place / "workspace/reports/clean.html");
  EXPECT_THAT(report, HasSubstr("within_two_deviations"));
  EXPECT_THAT(report, HasSubstr("what the model was shown"));
  EXPECT_FALSE(run({"build", "d.yaml", "--json", "--workspace", "workspace"}).json().at("ran_anything").get<bool>());
}

TEST_F(Restore, AKilledBuildEndsInTheSamePackage) {
  draw_set(place / "set", 30);
  const char* restore = "{kind: deblur, blur: [2, 5]}";
  const std::string whole = build(1, restore, "whole").at("package");
  for (const char* step : {"import", "recipe", "pack", "train", "package", "compress", "evaluate"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build(1, restore, "torn").at("package"), whole);
}

TEST_F(Restore, MakesPicturesLargerInFewerBits) {
  draw_set(place / "set", 30);
  const Json built = build(2, "{kind: super_resolve, scale: 2}", "workspace", "compress: {precision: auto, tolerance: 50}\n");
  EXPECT_FALSE(built.at("package").get<std::string>().empty());
  write_text(place / "small.png", image::encode_png(draw(7, 61, 90)));
  const Json answer = run({"predict", "clean", "small.png", "--json", "--drawn", "found", "--workspace", "workspace"}).json();
  EXPECT_EQ(answer.at("answers").at(0).at("width"), 122);
  EXPECT_EQ(answer.at("answers").at(0).at("height"), 180);
}

TEST_F(Restore, RefusesWhatDoesNotGoTogetherBeforeAnythingRuns) {
  draw_set(place / "set", 20);
  const auto refusal = [&](const std::string& demand) {
    write_text(place / "d.yaml", demand);
    const Outcome outcome = run({"build", "d.yaml"});
    EXPECT_NE(outcome.exit_code, 0) << demand;
    return outcome.err;
  };
  EXPECT_THAT(refusal(demand_with(1, "{kind: denoise, noise: [9, 3]}")), HasSubstr("d.yaml:3: restore.noise goes from 9 down to 3"));
  EXPECT_THAT(refusal(demand_with(1, "{kind: super_resolve, scale: 3}")), HasSubstr("2 or 4"));
  EXPECT_THAT(refusal(demand_with(1, "{kind: sharpen}")), HasSubstr("deblur"));
  EXPECT_THAT(refusal(demand_with(1, "{kind: denoise}", "target: {metric: psnr, at_least: 200}\n")), HasSubstr("between 0 and 100"));
  EXPECT_THAT(refusal("name: odd\ntask: restore\ndata: {path: set}\nrecipe: {augmentation: strong}\n"), HasSubstr("must be sharp"));
  EXPECT_THAT(refusal("name: odd\ntask: restore\ndata: {path: set}\nrecipe: {side: 100}\n"), HasSubstr("take 104"));
  EXPECT_THAT(refusal("name: odd\ntask: restore\ndata: {path: set}\nrecipe: {backbone: resnet-s}\n"), HasSubstr("net of their own"));
  EXPECT_THAT(refusal("name: odd\ntask: classify\nrestore: {kind: deblur}\ndata: {path: set}\n"), HasSubstr("write task: restore"));
}

}  // namespace
}  // namespace sightline::scenario
