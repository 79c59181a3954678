// From pictures with points to a released landmarker, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

constexpr int width = 80, height = 64;

struct Drawn {
  image::Image picture;
  double left_x = 0, left_y = 0, right_x = 0, right_y = 0;
};

// A gauge: a bright bar whose left end is a disc and whose right end is a dark ring, on noise.
Drawn draw(std::uint64_t seed) {
  Random random(seed);
  Drawn drawn{.picture = {.width = width, .height = height, .channels = 3, .pixels = {}},
              .left_x = random.uniform(8, 30),
              .left_y = random.uniform(8, height - 8),
              .right_x = random.uniform(50, width - 8),
              .right_y = random.uniform(8, height - 8)};
  const double along_x = drawn.right_x - drawn.left_x, along_y = drawn.right_y - drawn.left_y;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double px = x + 0.5 - drawn.left_x, py = y + 0.5 - drawn.left_y;
      const double share = std::clamp((px * along_x + py * along_y) / (along_x * along_x + along_y * along_y), 0.0, 1.0);
      const double off = std::hypot(px - share * along_x, py - share * along_y), disc = std::hypot(px, py),
                   ring = std::hypot(px - along_x, py - along_y);
      const int noise = static_cast<int>(random.below(40));
      const int level = disc < 5 ? 230 : ring < 6 && ring > 3 ? 10 : off < 1.5 ? 190 : 70 + noise;
      drawn.picture.pixels.insert(drawn.picture.pixels.end(), 3, static_cast<std::uint8_t>(level));
    }
  return drawn;
}

void draw_set(const std::string& folder, int count) {
  std::string table = "path,left_end_x,left_end_y,right_end_x,right_end_y\n";
  for (int i = 0; i < count; ++i) {
    const Drawn drawn = draw(static_cast<std::uint64_t>(i) + 1);
    write_text(fmt::format("{}/{:03}.png", folder, i), image::encode_png(drawn.picture));
    table += i % 10 == 9 ? fmt::format("{:03}.png,{},{},,\n", i, drawn.left_x, drawn.left_y)
                         : fmt::format("{:03}.png,{},{},{},{}\n", i, drawn.left_x, drawn.left_y, drawn.right_x, drawn.right_y);
  }
  write_text(folder + "/points.csv", table);
}

std::string demand_with(int epochs) {
  return fmt::format(
      "name: bars\ntask: landmarks\ndata: {{path: set}}\nsplit: {{group_by: none}}\nbudget: {{epochs: {}}}\n"
      "recipe: {{side: 96, batch: 8, augmentation: flip}}\nlimits: {{cores: 2}}\nseed: 3\n",
      epochs);
}

struct Landmarks : testing::Test {
  TemporaryFolder place;
  Outcome run(const std::vector<std::string>& words, RunOptions options = {}) const {
    options.folder = place.path();
    return sightline(words, options);
  }
  Json build(int epochs, const std::string& workspace = "workspace") const {
    write_text(place / "d.yaml", demand_with(epochs));
    const Outcome outcome = run({"build", "d.yaml", "--json", "--workspace", workspace});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

TEST_F(Landmarks, BuildsAReleasedLandmarkerThatFindsWhatItNeverSaw) {
  draw_set(place / "set", 60);
  const Outcome first = run({"init", "set"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(read_text(place / "set.yaml"), HasSubstr("task: landmarks"));
  EXPECT_THAT(run({"data", "check", "set"}).out, HasSubstr("known places of"));
  EXPECT_THAT(run({"data", "show", "set", "9"}).out, HasSubstr("right_end  not said"));
  const Json built = build(16);
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json shown = run({"show", "bars", "--json", "--workspace", "workspace"}).json();
  EXPECT_GT(shown.at("figures").at("pck_0.1").get<double>(), 0.9) << shown.at("figures").dump();
  const Drawn fresh = draw(1001);
  write_text(place / "fresh.png", image::encode_png(fresh.picture));
  const Outcome said = run({"predict", "bars", "fresh.png", "--json", "--drawn", "found", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answer = said.json().at("answers").at(0);
  EXPECT_EQ(answer.at("landmarks").at(1).at("name"), "right_end");
  EXPECT_NEAR(answer.at("landmarks").at(0).at("x").get<double>(), fresh.left_x, 4);
  EXPECT_NEAR(answer.at("landmarks").at(1).at("y").get<double>(), fresh.right_y, 4);
  EXPECT_TRUE(image::read_image(place / answer.at("drawn").get<std::string>()).ok());
  const Json measured = run({"eval", "bars", "set", "--json", "--workspace", "workspace"}).json();
  EXPECT_EQ(measured.at("evaluation").at("measured").at("pictures"), 60);
  EXPECT_THAT(read_text(place / "workspace/reports/bars.html"), HasSubstr("left_end"));
  EXPECT_FALSE(build(16).at("ran_anything").get<bool>());
}

TEST_F(Landmarks, AKilledBuildEndsInTheSamePackage) {
  draw_set(place / "set", 30);
  const std::string whole = build(1, "whole").at("package");
  for (const char* step : {"import", "recipe", "pack", "train", "package", "evaluate"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build(1, "torn").at("package"), whole);
}

TEST_F(Landmarks, RefusesWhatDoesNotGoTogetherBeforeAnythingRuns) {
  draw_set(place / "set", 20);
  const auto refusal = [&](const std::string& demand) {
    write_text(place / "d.yaml", demand);
    const Outcome outcome = run({"build", "d.yaml"});
    EXPECT_NE(outcome.exit_code, 0) << demand;
    return outcome.err;
  };
  EXPECT_THAT(refusal("name: odd\ntask: landmarks\ndata: {path: set}\nrecipe: {augmentation: mosaic}\n"), HasSubstr("mosaic"));
  EXPECT_THAT(refusal("name: odd\ntask: landmarks\ndata: {path: set}\nrecipe: {side: 100}\n"), HasSubstr("take 128"));
  EXPECT_THAT(refusal("name: odd\ntask: landmarks\ndata: {path: set}\ntarget: {metric: pck_0.2}\n"), HasSubstr("pck_0.1"));
  EXPECT_THAT(refusal("name: odd\ntask: classify\ndata: {path: set}\n"), HasSubstr("write task: landmarks"));
  draw_shapes(place / "shapes", 2, 12, 16, 4);
  EXPECT_THAT(refusal("name: odd\ntask: landmarks\ndata: {path: shapes}\n"), HasSubstr("do not say where points are"));
}

}  // namespace
}  // namespace sightline::scenario
