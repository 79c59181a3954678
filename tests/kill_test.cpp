// A build that is killed again and again ends in the same package as one that nobody disturbed. SIGHTLINE_KILLS=50 (make soak) kills more
// often.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

constexpr const char* steps[] = {"import", "split",   "audit",    "recipe",   "pack",   "label-errors",
                                 "train",  "package", "compress", "evaluate", "release"};

struct Killed : testing::Test {
  TemporaryFolder folder;
  std::string undisturbed;

  void SetUp() override {
    draw_shapes(folder / "images", 2, 30, 16, 6);
    write_text(folder / "d.yaml", shapes_demand("killed", "images", 3, "compress: {precision: int8, tolerance: 100}\n"));
    const Outcome outcome = run({"--workspace", "undisturbed"});
    ASSERT_NE(outcome.json(), nullptr) << outcome.out << outcome.err;
    undisturbed = outcome.json().at("package");
  }
  Outcome run(const std::vector<std::string>& more, RunOptions options = {}) {
    options.folder = folder.path();
    std::vector<std::string> words{"build", "d.yaml", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return sightline(words, options);
  }
  void expect_whole(const std::string& workspace) {
    const Outcome last = run({"--workspace", workspace});
    ASSERT_EQ(last.exit_code, 0) << last.out << last.err;
    EXPECT_EQ(last.json().at("package"), undisturbed);
    const Outcome checked = sightline({"fsck", "--workspace", workspace}, {.folder = folder.path()});
    EXPECT_EQ(checked.exit_code, 0) << checked.out;
    EXPECT_EQ(sightline({"list", "--json", "--workspace", workspace}, {.folder = folder.path()}).json().at("releases").size(), 1U);
  }
};

TEST_F(Killed, InEveryStepBetweenItsWorkAndItsRecord) {
  for (const char* step : steps) {
    const Outcome outcome = run({"--workspace", "steps"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(outcome.exit_code, 137) << step << ": " << outcome.out << outcome.err;
  }
  expect_whole("steps");
}

TEST_F(Killed, AtRandomMoments) {
  const char* wanted = std::getenv("SIGHTLINE_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 5;
  Random random(11);
  // A build that was done before its kill proves nothing more: the next one begins anew.
  int killed = 0, builds = 0;
  const auto workspace = [&] { return fmt::format("random{}", builds); };
  for (int runs = 0; killed < kills; ++runs) {
    ASSERT_LT(runs, 20 * kills) << "builds end before they can be killed";
    const Outcome outcome = run({"--workspace", workspace()}, {.kill_after = random.uniform(0.01, 1.5)});
    if (outcome.exit_code == 137) {
      ++killed;
    } else {
      expect_whole(workspace());
      ++builds;
    }
  }
  expect_whole(workspace());
}

TEST_F(Killed, AnInterruptStopsCleanlyAndTheNextBuildGoesOn) {
  const Outcome outcome = run({"--workspace", "interrupted"}, {.kill_after = 0.7, .signal = 2});
  EXPECT_TRUE(outcome.exit_code == 130 || outcome.exit_code == 0) << outcome.exit_code << outcome.out << outcome.err;
  if (outcome.exit_code == 130) {
    EXPECT_THAT(outcome.out, testing::HasSubstr("interrupted"));
  }
  expect_whole("interrupted");
}

}  // namespace
}  // namespace sightline::scenario
