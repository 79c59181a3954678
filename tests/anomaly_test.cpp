// From good pictures to a released model that sees what is not, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

constexpr int side = 64;

struct Tile {
  image::Image picture, mask;
  int x = 0, y = 0;  // of the blot's middle
};

// Grey stripes with noise in changing light; with a dark blot where it is not good.
Tile draw(std::uint64_t seed, bool blot) {
  Random random(seed, 7);
  Tile tile{{.width = side, .height = side, .channels = 1}, {.width = side, .height = side, .channels = 1}};
  const double light = random.uniform(0.8, 1.2);
  tile.x = 12 + static_cast<int>(random.below(40));
  tile.y = 12 + static_cast<int>(random.below(40));
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const bool dark = blot && (x - tile.x) * (x - tile.x) + (y - tile.y) * (y - tile.y) < 36;
      const double level = (120 + 30 * std::sin(0.7 * x) + 6 * random.normal()) * light - (dark ? 70 : 0);
      tile.picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(level, 0.0, 255.0)));
      tile.mask.pixels.push_back(dark ? 255 : 0);
    }
  }
  return tile;
}

void draw_set(const std::string& folder) {
  std::uint64_t seed = 1;
  const auto add = [&](const std::string& part, int count, bool blot) {
    for (int i = 0; i < count; ++i) {
      const Tile tile = draw(seed++, blot);
      write_text(fmt::format("{}/{}/{:03}.png", folder, part, i), image::encode_png(tile.picture));
      if (blot) write_text(fmt::format("{}/ground_truth/blot/{:03}_mask.png", folder, i), image::encode_png(tile.mask));
    }
  };
  add("train/good", 60, false);
  add("test/good", 20, false);
  add("test/blot", 20, true);
}

struct Anomaly : testing::Test {
  TemporaryFolder place;
  void SetUp() override { draw_set(place / "set"); }
  Outcome run(const std::vector<std::string>& words, RunOptions options = {}) const {
    options.folder = place.path();
    return sightline(words, options);
  }
  Json build(const std::string& workspace) const {
    write_text(place / "d.yaml",
               "name: tiles\ntask: anomaly\ndata: {path: set}\nsplit: {validation: 0.25, group_by: none}\ntarget: {at_least: 0.9}\n"
               "alarm: {false_alarms: 0.1}\nlimits: {cores: 2}\nseed: 3\n");
    const Outcome outcome = run({"build", "d.yaml", "--json", "--workspace", workspace});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

TEST_F(Anomaly, BuildsAReleasedModelThatSeesWhatIsNotGood) {
  const Json built = build("workspace");
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json figures = run({"show", "tiles", "--json", "--workspace", "workspace"}).json().at("figures");
  EXPECT_GT(figures.at("image_auroc").get<double>(), 0.95) << figures.dump();
  EXPECT_GT(figures.at("pixel_auroc").get<double>(), 0.9) << figures.dump();  // the masks reached the evaluation
  EXPECT_GT(figures.at("aupro").get<double>(), 0.6) << figures.dump();
  EXPECT_LT(figures.at("false_alarm_rate").get<double>(), 0.35) << figures.dump();

  const Tile fresh = draw(5001, true);
  write_text(place / "fresh.png", image::encode_png(fresh.picture));
  const Outcome said = run({"predict", "tiles", "fresh.png", "--json", "--drawn", "maps", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answer = said.json().at("answers").at(0);
  EXPECT_TRUE(answer.at("alarm").get<bool>()) << answer.dump();
  EXPECT_GT(answer.at("score").get<double>(), 0.5);
  const auto drawn = image::read_image(place / answer.at("drawn").get<std::string>());
  ASSERT_TRUE(drawn.ok());
  EXPECT_EQ(drawn->width, side);
  EXPECT_EQ(drawn->channels, 3);
  const bool there = std::ranges::any_of(answer.at("where"), [&](const Json& each) {
    const auto box = each.at("box").get<std::vector<double>>();
    return box[0] < fresh.x && fresh.x < box[2] && box[1] < fresh.y && fresh.y < box[3];
  });
  EXPECT_TRUE(there) << answer.dump();

  const Outcome measured = run({"eval", "tiles", "set", "--json", "--workspace", "workspace"});
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  EXPECT_EQ(measured.json().at("evaluation").at("measured").at("pictures"), 40);
  const std::string page = read_text(place / "workspace/reports/tiles.html");
  EXPECT_THAT(page, HasSubstr("white lines surround"));
  EXPECT_FALSE(build("workspace").at("ran_anything").get<bool>());
}

TEST_F(Anomaly, AKilledBuildEndsInTheSamePackage) {
  const std::string whole = build("whole").at("package");
  for (const char* step : {"recipe", "fit", "package"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build("torn").at("package"), whole);
}

TEST_F(Anomaly, InitSeesGoodPicturesAndWhatIsMissingIsTold) {
  const Outcome written = run({"init", "set", "--name", "tiles", "--json"});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  EXPECT_THAT(read_text(place / "tiles.yaml"), HasSubstr("task: anomaly"));
  write_text(place / "d.yaml", "name: odd\ntask: anomaly\ndata: {path: set}\nrecipe: {side: 100}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("take 112"));
  draw_shapes(place / "shapes", 2, 12, 16, 4);
  write_text(place / "d.yaml", "name: odd\ntask: anomaly\ndata: {path: shapes}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("no class is called good"));
  write_text(place / "d.yaml", "name: odd\ntask: anomaly\ndata: {path: set}\nlimits: {size_mb: 0.1}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("breaks a limit"));
}

}  // namespace
}  // namespace sightline::scenario
