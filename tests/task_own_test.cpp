// A task that the program does not know, added by its folder and its rows alone, goes the whole way.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/cli/call_for_test.h"
#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "brightest_quadrant/brightest_quadrant.h"
#include "image/image.h"

namespace sightline {
namespace {

using cli::call;
using cli::Outcome;
using testing::HasSubstr;

constexpr std::array names{"top left", "top right", "bottom left", "bottom right"};

// Noise, with one quadrant brighter than the others.
image::Image drawn(int quadrant, std::uint64_t seed) {
  constexpr int side = 32;
  Random random(seed);
  image::Image picture{.width = side, .height = side, .channels = 3};
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const bool inside = (y < side / 2 ? 0 : 2) + (x < side / 2 ? 0 : 1) == quadrant;
      for (int c = 0; c < 3; ++c) picture.pixels.push_back(static_cast<std::uint8_t>((inside ? 120 : 60) + random.below(80)));
    }
  }
  return picture;
}

struct OwnTask : testing::Test {
  TemporaryFolder place;
  static void SetUpTestSuite() {
    const auto added = brightest_quadrant::add();
    ASSERT_TRUE(added.ok()) << added.error().message;
  }
  void SetUp() override {
    for (int i = 0; i < 80; ++i) {
      const std::string folder = place / fmt::format("set/{}", names[static_cast<std::size_t>(i % 4)]);
      ASSERT_TRUE(make_directories(folder).ok());
      ASSERT_TRUE(write_file(fmt::format("{}/{:02}.png", folder, i), image::encode_png(drawn(i % 4, static_cast<std::uint64_t>(i)))).ok());
    }
    ASSERT_TRUE(write_file(place / "demand.yaml", fmt::format("name: corner\ntask: brightest_quadrant\ndata: {{path: {}}}\n"
                                                              "split: {{group_by: none}}\ntarget: {{metric: hits, at_least: 0.8}}\n",
                                                              place / "set"))
                    .ok());
  }
  Outcome run(std::vector<std::string> words) const {
    words.insert(words.end(), {"--workspace", place / "workspace"});
    return call(words);
  }
};

TEST_F(OwnTask, GoesFromADemandToAReleaseThatAnswers) {
  const Outcome built = run({"build", place / "demand.yaml", "--json"});
  ASSERT_EQ(built.code, 0) << built.err << built.out;
  EXPECT_TRUE(built.json().at("released").get<bool>()) << built.out;

  const Outcome asked = run({"predict", "corner", place / "set/bottom left/02.png", "--json", "--drawn", place / "drawn"});
  ASSERT_EQ(asked.code, 0) << asked.err;
  const Json answer = asked.json().at("answers").at(0);
  EXPECT_EQ(answer.at("quadrant"), "bottom left");
  EXPECT_TRUE(path_exists(answer.at("drawn").get<std::string>()));
  EXPECT_THAT(run({"predict", "corner", place / "set/bottom left/02.png"}).out, HasSubstr("quadrant"));

  const Outcome measured = run({"eval", "corner", place / "set", "--json"});
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_THAT(measured.out, HasSubstr("\"hits\""));
  EXPECT_THAT(run({"show", "corner"}).out, HasSubstr("hits"));
}

TEST_F(OwnTask, DataOfAnotherKindAreRefused) {
  ASSERT_TRUE(remove_all(place / "set/top left").ok());
  const Outcome built = run({"build", place / "demand.yaml"});
  EXPECT_NE(built.code, 0);
  EXPECT_THAT(built.err, HasSubstr("the folders must be called"));
}

TEST_F(OwnTask, AddedTwiceIsRefused) {
  const auto again = brightest_quadrant::add();
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.error().message, HasSubstr("already"));
}

}  // namespace
}  // namespace sightline
