// Several questions about each picture, from a table to a release that answers them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

constexpr int side = 48, count = 160;

// A square or a disc, red or blue, with a white scratch or without, on a noisy ground.
image::Image drawn(int shape, int colour, bool scratched, std::uint64_t seed) {
  Random random(seed);
  image::Image picture{.width = side, .height = side, .channels = 3, .pixels = {}};
  const double middle_x = 18 + static_cast<double>(random.below(12)), middle_y = 18 + static_cast<double>(random.below(12)), radius = 11;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double dx = x - middle_x, dy = y - middle_y;
      const bool inside = shape == 0 ? std::max(std::abs(dx), std::abs(dy)) < radius : dx * dx + dy * dy < radius * radius;
      const bool scratch = scratched && inside && std::abs(dx - dy) < 2.5;
      for (int c = 0; c < 3; ++c) {
        const int level = scratch ? 250 : inside ? (c == (colour == 0 ? 0 : 2) ? 200 : 40) : 110;
        picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(level + static_cast<int>(random.below(31)) - 15, 0, 255)));
      }
    }
  }
  return picture;
}

struct AttributesLine : testing::Test {
  TemporaryFolder place;
  void SetUp() override {
    std::string table = "path,shape,colour,scratched\n";
    for (int i = 0; i < count; ++i) {
      const int shape = i % 2, colour = i / 2 % 2;
      const bool scratched = i / 4 % 4 == 0;
      write_text(place / fmt::format("set/{:03}.png", i),
                 image::encode_png(drawn(shape, colour, scratched, static_cast<std::uint64_t>(i) + 1)));
      // A fifth of the colours is not known.
      table += fmt::format("{:03}.png,{},{},{}\n", i, shape == 0 ? "square" : "disc",
                           i % 5 == 4    ? ""
                           : colour == 0 ? "red"
                                         : "blue",
                           scratched ? "yes" : "no");
    }
    write_text(place / "set/table.csv", table);
    write_text(place / "demand.yaml",
               "name: parts\ntask: attributes\ndata: {path: set, attributes: [shape, colour, scratched]}\nsplit: {group_by: none}\n"
               "target: {metric: mAP, at_least: 0.8}\n");
  }
  Outcome run(const std::vector<std::string>& words) const {
    RunOptions options;
    options.folder = place.path();
    return sightline(words, options);
  }
};

TEST_F(AttributesLine, GoesFromATableToAReleaseThatAnswers) {
  const Outcome built = run({"build", "demand.yaml", "--workspace", "workspace", "--json"});
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;
  EXPECT_TRUE(built.json().at("released").get<bool>()) << built.out;

  const Outcome asked = run({"predict", "parts", "set/000.png", "set/003.png", "--workspace", "workspace", "--json", "--drawn", "drawn"});
  ASSERT_EQ(asked.exit_code, 0) << asked.err;
  const Json first = asked.json().at("answers").at(0), second = asked.json().at("answers").at(1);
  EXPECT_EQ(first.at("said"), Json::parse(R"(["shape: square", "colour: red", "scratched"])"));
  EXPECT_EQ(second.at("said"), Json::parse(R"(["shape: disc", "colour: blue", "scratched"])"));
  EXPECT_THAT(run({"predict", "parts", "set/000.png", "--workspace", "workspace"}).out, HasSubstr("square"));

  const Outcome measured =
      run({"eval", "parts", "set", "--attributes", "shape,colour,scratched", "--classes", "--workspace", "workspace", "--json"});
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  EXPECT_GT(measured.json().at("evaluation").at("measured").at("values").at("macro_f1").get<double>(), 0.8);

  // Nothing has changed; and a further answer is worked in.
  EXPECT_FALSE(run({"build", "demand.yaml", "--workspace", "workspace", "--json"}).json().at("ran_anything").get<bool>());
}

TEST_F(AttributesLine, DemandsThatDoNotFitAreToldWhy) {
  write_text(place / "demand.yaml", "name: parts\ntask: attributes\ndata: {path: set}\n");
  EXPECT_THAT(run({"build", "demand.yaml", "--workspace", "workspace"}).err, HasSubstr("data.attributes"));
  write_text(place / "demand.yaml", "name: parts\ntask: classify\ndata: {path: set, attributes: [shape, colour]}\n");
  EXPECT_THAT(run({"build", "demand.yaml", "--workspace", "workspace"}).err, HasSubstr("task: attributes"));
  write_text(place / "demand.yaml",
             "name: parts\ntask: attributes\ndata: {path: set, attributes: [shape]}\nbackbone: {name: sight-s, freeze: none}\n");
  EXPECT_THAT(run({"build", "demand.yaml", "--workspace", "workspace"}).err,
              HasSubstr("heads are fitted on a backbone that stays as it is"));
}

}  // namespace
}  // namespace sightline::scenario
