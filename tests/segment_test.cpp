// From pictures with masks to a released segmenter, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "annotation/maps.h"
#include "base/random.h"
#include "image/image.h"
#include "image/levels.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

constexpr int side = 64;

struct Drawn {
  image::Image picture;
  image::Levels objects;  // a number for each
};

// Bright discs that may touch, on a noisy ground.
Drawn draw(std::uint64_t seed) {
  Random random(seed);
  Drawn drawn{{.width = side, .height = side, .channels = 3, .pixels = {}}, {.width = side, .height = side, .bits = 16, .values = {}}};
  drawn.objects.values.assign(side * side, 0);
  std::vector<int> level(side * side);
  for (int& each : level) each = 60 + static_cast<int>(random.below(40));
  const auto count = static_cast<std::uint16_t>(3 + random.below(4));
  for (std::uint16_t number = 1; number <= count; ++number) {
    const double x = random.uniform(7, side - 7), y = random.uniform(7, side - 7), radius = random.uniform(5, 9);
    for (std::size_t at = 0; at < level.size(); ++at) {
      const double dx = static_cast<double>(at % side) + 0.5 - x, dy = static_cast<double>(at / side) + 0.5 - y,
                   away = (dx * dx + dy * dy) / (radius * radius);
      if (away >= 1 || drawn.objects.values[at] != 0) continue;
      drawn.objects.values[at] = number;
      level[at] = static_cast<int>(200 - 60 * away);
    }
  }
  for (const int each : level) drawn.picture.pixels.insert(drawn.picture.pixels.end(), 3, static_cast<std::uint8_t>(each));
  return drawn;
}

std::string classes_of(const image::Levels& objects) {
  image::Levels classes = objects;
  classes.bits = 8;
  for (std::uint16_t& each : classes.values) each = each != 0 ? 255 : 0;
  return image::encode_levels(classes);
}

void draw_set(const std::string& folder, int count, bool instances) {
  for (int i = 0; i < count; ++i) {
    const Drawn drawn = draw(static_cast<std::uint64_t>(i) + 1);
    write_text(fmt::format("{}/images/{:03}.png", folder, i), image::encode_png(drawn.picture));
    write_text(fmt::format("{}/{}/{:03}.png", folder, instances ? "instances" : "masks", i),
               instances ? image::encode_levels(drawn.objects) : classes_of(drawn.objects));
  }
}

std::string demand_with(int epochs, const char* set = "set") {
  return fmt::format(
      "name: discs\ntask: segment\ndata: {{path: {}}}\nsplit: {{group_by: none}}\nbudget: {{epochs: {}}}\n"
      "recipe: {{side: 64, batch: 8, augmentation: flip}}\nlimits: {{cores: 2}}\nseed: 3\n",
      set, epochs);
}

struct Segment : testing::Test {
  TemporaryFolder place;
  Outcome run(const std::vector<std::string>& words, RunOptions options = {}) const {
    options.folder = place.path();
    return sightline(words, options);
  }
  Json build(int epochs, const std::string& workspace = "workspace", const char* set = "set") const {
    write_text(place / "d.yaml", demand_with(epochs, set));
    const Outcome outcome = run({"build", "d.yaml", "--json", "--workspace", workspace});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

TEST_F(Segment, BuildsAReleasedSegmenterThatCountsWhatItNeverSaw) {
  draw_set(place / "set", 60, true);
  const Outcome first = run({"init", "set"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(read_text(place / "set.yaml"), HasSubstr("task: segment"));
  EXPECT_THAT(read_text(place / "set.yaml"), HasSubstr("mask_ap50"));
  const Json built = build(40);
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json shown = run({"show", "discs", "--json", "--workspace", "workspace"}).json();
  EXPECT_GT(shown.at("figures").at("mIoU").get<double>(), 0.85) << shown.at("figures").dump();
  EXPECT_GT(shown.at("figures").at("mask_ap50").get<double>(), 0.7) << shown.at("figures").dump();
  const Drawn fresh = draw(1001);
  write_text(place / "fresh.png", image::encode_png(fresh.picture));
  const Outcome said = run({"predict", "discs", "fresh.png", "--json", "--drawn", "found", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answer = said.json().at("answers").at(0);
  // Files, run lengths and numbers of one answer say the same.
  const std::string mask_png = read_text(place / answer.at("mask").get<std::string>()),
                    objects_png = read_text(place / answer.at("instances").get<std::string>());
  const auto mask = image::decode_levels(std::as_bytes(std::span(mask_png)));
  ASSERT_TRUE(mask.ok());
  const auto objects = image::decode_levels(std::as_bytes(std::span(objects_png)));
  ASSERT_TRUE(objects.ok());
  EXPECT_EQ(objects->bits, 16);
  EXPECT_EQ(*std::ranges::max_element(objects->values), answer.at("objects").size());
  const Json& disc = answer.at("classes").at(0);
  const auto pixels = annotation::mask_of_counts(disc.at("rle").at("counts").get<std::string>(), side, side);
  ASSERT_TRUE(pixels.ok());
  std::int64_t right = 0, count = 0;
  for (std::size_t i = 0; i < pixels->size(); ++i) {
    EXPECT_EQ((*pixels)[i], mask->values[i]);
    EXPECT_EQ(mask->values[i] != 0, objects->values[i] != 0);
    right += (mask->values[i] != 0) == (fresh.objects.values[i] != 0) ? 1 : 0;
    count += mask->values[i];
  }
  EXPECT_EQ(count, disc.at("pixels"));
  EXPECT_GT(right, side * side * 95 / 100);
  EXPECT_TRUE(image::read_image(place / answer.at("drawn").get<std::string>()).ok());
  const Json measured = run({"eval", "discs", "set", "--json", "--workspace", "workspace"}).json();
  EXPECT_EQ(measured.at("evaluation").at("measured").at("pictures"), 60);
  EXPECT_THAT(read_text(place / "workspace/reports/discs.html"), HasSubstr("right objects of all"));
  // Nothing to do the second time; a mask that changes is told.
  EXPECT_FALSE(build(40).at("ran_anything").get<bool>());
  write_text(place / "set/instances/000.png", image::encode_levels(draw(77).objects));
  EXPECT_THAT(run({"plan", "d.yaml", "--workspace", "workspace"}).out, HasSubstr("import"));
}

// Four pictures as one.
Drawn draw_large(std::uint64_t seed) {
  constexpr int large = 2 * side;
  Drawn all{{.width = large, .height = large, .channels = 3, .pixels = std::vector<std::uint8_t>(3 * large * large)},
            {.width = large, .height = large, .bits = 16, .values = std::vector<std::uint16_t>(large * large)}};
  for (int part = 0; part < 4; ++part) {
    const Drawn one = draw(4 * seed + static_cast<std::uint64_t>(part));
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const auto from = static_cast<std::size_t>(y * side + x),
                   to = static_cast<std::size_t>((part / 2 * side + y) * large + part % 2 * side + x);
        std::copy_n(one.picture.pixels.begin() + static_cast<std::ptrdiff_t>(3 * from), 3,
                    all.picture.pixels.begin() + static_cast<std::ptrdiff_t>(3 * to));
        if (one.objects.values[from] != 0) all.objects.values[to] = static_cast<std::uint16_t>(one.objects.values[from] + 10 * part);
      }
  }
  return all;
}

TEST_F(Segment, LargePicturesAreLearnedAndAnsweredInPiecesAtTheirOwnSize) {
  for (std::uint64_t i = 0; i < 30; ++i) {
    const Drawn drawn = draw_large(i + 1);
    write_text(fmt::format("{}/set/images/{:03}.png", place.path(), i), image::encode_png(drawn.picture));
    write_text(fmt::format("{}/set/instances/{:03}.png", place.path(), i), image::encode_levels(drawn.objects));
  }
  write_text(place / "d.yaml", demand_with(12) + "segment: {pieces: true}\n");
  const Outcome built = run({"build", "d.yaml", "--json", "--workspace", "workspace"});
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;
  ASSERT_TRUE(built.json().at("released").get<bool>());
  const Json shown = run({"show", "discs", "--json", "--workspace", "workspace"}).json();
  EXPECT_GT(shown.at("figures").at("mIoU").get<double>(), 0.85) << shown.at("figures").dump();
  const Drawn fresh = draw_large(500);
  write_text(place / "fresh.png", image::encode_png(fresh.picture));
  const Outcome said = run({"predict", "discs", "fresh.png", "--json", "--drawn", "found", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const std::string mask_png = read_text(place / said.json().at("answers").at(0).at("mask").get<std::string>());
  const auto mask = image::decode_levels(std::as_bytes(std::span(mask_png)));
  ASSERT_TRUE(mask.ok());
  ASSERT_EQ(mask->values.size(), fresh.objects.values.size());
  std::size_t right = 0;
  for (std::size_t i = 0; i < mask->values.size(); ++i) right += (mask->values[i] != 0) == (fresh.objects.values[i] != 0) ? 1 : 0;
  EXPECT_GT(right, mask->values.size() * 95 / 100);
}

TEST_F(Segment, AKilledBuildEndsInTheSamePackage) {
  draw_set(place / "set", 40, false);
  const std::string whole = build(2, "whole").at("package");
  for (const char* step : {"import", "recipe", "pack", "train", "package", "compress", "evaluate"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build(2, "torn").at("package"), whole);
}

TEST_F(Segment, RefusesWhatDoesNotGoTogetherBeforeAnythingRuns) {
  draw_set(place / "set", 20, false);
  const auto refusal = [&](const std::string& demand) {
    write_text(place / "d.yaml", demand);
    const Outcome outcome = run({"build", "d.yaml"});
    EXPECT_NE(outcome.exit_code, 0) << demand;
    return outcome.err;
  };
  EXPECT_THAT(refusal(demand_with(1) + "search: {minutes: 1}\n"), HasSubstr("search"));
  EXPECT_THAT(refusal(demand_with(1) + "target: {metric: mask_ap}\n"), HasSubstr("do not tell apart"));
  EXPECT_THAT(refusal("name: odd\ntask: segment\ndata: {path: set}\nrecipe: {augmentation: mosaic}\n"), HasSubstr("masks"));
  EXPECT_THAT(refusal("name: odd\ntask: segment\ndata: {path: set}\nrecipe: {side: 100}\n"), HasSubstr("take 128"));
  EXPECT_THAT(refusal("name: odd\ntask: classify\ndata: {path: set}\n"), HasSubstr("write task: segment"));
  EXPECT_THAT(refusal("name: odd\ntask: detect\ndata: {path: set}\n"), HasSubstr("write task: segment"));
  draw_shapes(place / "shapes", 2, 12, 16, 4);
  EXPECT_THAT(refusal("name: odd\ntask: segment\ndata: {path: shapes}\n"), HasSubstr("have no masks"));
}

}  // namespace
}  // namespace sightline::scenario
