// From pictures with boxes to a released detector, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "annotation/annotation.h"
#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

constexpr int side = 96;

struct Drawn {
  image::Image picture;
  annotation::Annotation truth;
};

// Bright discs (0) and dark squares (1) that do not touch, on a noisy ground.
Drawn draw(std::uint64_t seed) {
  Random random(seed);
  Drawn drawn{{.width = side, .height = side, .channels = 3}, {}};
  for (int i = 0; i < side * side; ++i) {
    const auto level = static_cast<std::uint8_t>(std::clamp(120 + 10 * random.normal(), 0.0, 255.0));
    drawn.picture.pixels.insert(drawn.picture.pixels.end(), {level, level, level});
  }
  const std::uint64_t wanted = 1 + random.below(3);
  for (int attempt = 0; attempt < 40 && drawn.truth.objects.size() < wanted; ++attempt) {
    const int size = 16 + static_cast<int>(random.below(17)),
              left = static_cast<int>(random.below(static_cast<std::uint64_t>(side - size))),
              top = static_cast<int>(random.below(static_cast<std::uint64_t>(side - size)));
    const annotation::Box box{static_cast<double>(left), static_cast<double>(top), static_cast<double>(left + size),
                              static_cast<double>(top + size)};
    const annotation::Box wide{box.left - 3, box.top - 3, box.right + 3, box.bottom + 3};
    if (std::ranges::any_of(drawn.truth.objects, [&](const auto& other) { return annotation::overlap(wide, other.box) > 0; })) continue;
    const auto label = static_cast<std::int32_t>(random.below(2));
    for (int y = top; y < top + size; ++y) {
      for (int x = left; x < left + size; ++x) {
        const double dx = x + 0.5 - (left + size / 2.0), dy = y + 0.5 - (top + size / 2.0);
        if (label == 0 && dx * dx + dy * dy > size * size / 4.0) continue;
        for (int c = 0; c < 3; ++c)
          drawn.picture.pixels[(static_cast<std::size_t>(y) * side + static_cast<std::size_t>(x)) * 3 + static_cast<std::size_t>(c)] =
              label == 0 ? 220 : 30;
      }
    }
    drawn.truth.objects.push_back({.label = label, .box = box});
  }
  return drawn;
}

// One text file a picture: class, centre and size as shares of the picture (YOLO).
std::string lines_of(const annotation::Annotation& truth) {
  std::string text;
  for (const annotation::Object& object : truth.objects)
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", object.label, (object.box.left + object.box.right) / 2 / side,
                        (object.box.top + object.box.bottom) / 2 / side, object.box.width() / side, object.box.height() / side);
  return text;
}

void draw_set(const std::string& folder, int count) {
  write_text(folder + "/data.yaml", "names: [disc, square]\n");
  for (int i = 0; i < count; ++i) {
    const Drawn drawn = draw(static_cast<std::uint64_t>(i) + 1);
    write_text(fmt::format("{}/images/{:03}.png", folder, i), image::encode_png(drawn.picture));
    write_text(fmt::format("{}/labels/{:03}.txt", folder, i), lines_of(drawn.truth));
  }
}

std::string demand_with(int epochs) {
  return fmt::format(
      "name: shapes\ntask: detect\ndata: {{path: set, format: yolo}}\nsplit: {{group_by: none}}\nbudget: {{epochs: {}}}\n"
      "recipe: {{side: 96, batch: 8, augmentation: flip}}\nlimits: {{cores: 2}}\nseed: 3\n",
      epochs);
}

struct Detect : testing::Test {
  TemporaryFolder place;
  void SetUp() override { draw_set(place / "set", 60); }
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

TEST_F(Detect, BuildsAReleasedDetectorThatFindsWhatItNeverSaw) {
  const Json built = build(30);
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json shown = run({"show", "shapes", "--json", "--workspace", "workspace"}).json();
  EXPECT_GT(shown.at("figures").at("mAP50").get<double>(), 0.8) << shown.at("figures").dump();
  // Every picture anew, drawn with another seed.
  const Drawn fresh = draw(1001);
  write_text(place / "fresh.png", image::encode_png(fresh.picture));
  const Outcome said = run({"predict", "shapes", "fresh.png", "--json", "--drawn", "found", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answer = said.json().at("answers").at(0);
  for (const annotation::Object& object : fresh.truth.objects) {
    const auto found = std::ranges::any_of(answer.at("objects"), [&](const Json& each) {
      const auto box = each.at("box").get<std::vector<double>>();
      return each.at("label") == object.label && annotation::overlap(object.box, {box[0], box[1], box[2], box[3]}) > 0.5;
    });
    EXPECT_TRUE(found) << answer.dump(1);
  }
  const auto drawn = image::read_image(place / answer.at("drawn").get<std::string>());
  ASSERT_TRUE(drawn.ok());
  EXPECT_EQ(drawn->width, side);
  const Json measured = run({"eval", "shapes", "set", "--json", "--workspace", "workspace"}).json();
  EXPECT_EQ(measured.at("evaluation").at("measured").at("pictures"), 60);
  const std::string page = read_text(place / "workspace/reports/shapes.html");
  EXPECT_EQ(page.find("calibration error"), std::string::npos);
  // Nothing to do the second time; a box that moves is told.
  EXPECT_FALSE(build(30).at("ran_anything").get<bool>());
  write_text(place / "set/labels/000.txt", "0 0.5 0.5 0.2 0.2\n");
  const Outcome plan = run({"plan", "d.yaml", "--workspace", "workspace"});
  EXPECT_THAT(plan.out, HasSubstr("import")) << plan.out << plan.err;
}

TEST_F(Detect, AKilledBuildEndsInTheSamePackage) {
  const std::string whole = build(2, "whole").at("package");
  for (const char* step : {"import", "recipe", "pack", "train", "package", "compress", "evaluate"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build(2, "torn").at("package"), whole);
}

TEST_F(Detect, RefusesWhatDoesNotGoTogetherBeforeAnythingRuns) {
  const auto refusal = [&](const std::string& more) {
    write_text(place / "d.yaml", demand_with(1) + more);
    const Outcome outcome = run({"build", "d.yaml"});
    EXPECT_NE(outcome.exit_code, 0) << more;
    return outcome.err;
  };
  EXPECT_THAT(refusal("search: {minutes: 1}\n"), HasSubstr("search"));
  EXPECT_THAT(refusal("decide: {thresholds: per_class}\n"), HasSubstr("decide"));
  EXPECT_THAT(refusal("target: {metric: top1}\n"), HasSubstr("mAP50"));
  write_text(place / "d.yaml", "name: odd\ntask: detect\ndata: {path: set}\nrecipe: {side: 100}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("take 128"));
  // Boxes are no classes of pictures, nor the other way round.
  write_text(place / "d.yaml", "name: odd\ntask: classify\ndata: {path: set}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("write task: detect"));
  draw_shapes(place / "shapes", 2, 12, 16, 4);
  write_text(place / "d.yaml", "name: odd\ntask: detect\ndata: {path: shapes}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("write task: classify"));
}

}  // namespace
}  // namespace sightline::scenario
