#include "demand/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_folder.h"

namespace sightline::demand {
namespace {

using ::testing::HasSubstr;

class FleetFile : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  Result<Fleet> read(const std::string& text) {
    put("fleet.yaml", text);
    return read_fleet(folder_ / "fleet.yaml");
  }
  std::string error(const std::string& text) {
    const auto fleet = read(text);
    return fleet.ok() ? "" : fleet.error().message;
  }
  TemporaryFolder folder_;
};

TEST_F(FleetFile, ListedDemandsLieOverTheDefaults) {
  put("a/x.txt", "");
  put("b/x.txt", "");
  const auto fleet = read(R"(
name: two
defaults: {task: classify, seed: 5, target: {metric: macro_f1, at_least: 0.5}}
demands:
  - {name: one, data: {path: a}}
  - name: other
    group: nuts
    data: {path: b, licence: MIT}
    target: {at_least: 0.9}
)");
  ASSERT_TRUE(fleet.ok()) << fleet.error().message;
  ASSERT_EQ(fleet->demands.size(), 2U);
  EXPECT_EQ(fleet->name, "two");
  const FleetDemand &one = fleet->demands[0], &other = fleet->demands[1];
  EXPECT_EQ(one.demand.target.at_least, 0.5);
  EXPECT_EQ(one.demand.data.path, folder_ / "a");
  EXPECT_EQ(one.group, "");
  EXPECT_EQ(other.demand.target.metric, "macro_f1");  // from the defaults, beside a key of its own
  EXPECT_EQ(other.demand.target.at_least, 0.9);
  EXPECT_EQ(other.demand.seed, 5);
  EXPECT_EQ(other.demand.data.licence, "MIT");
  EXPECT_EQ(other.group, "nuts");
  EXPECT_EQ(one.problem + other.problem, "");
}

TEST_F(FleetFile, APatternMakesADemandOfEachFolderAndEachTable) {
  put("sets/steel/1.txt", "");
  put("sets/wood chips/1.txt", "");
  put("sets/.hidden/1.txt", "");
  const auto folders = read("name: f\ndefaults: {task: classify}\npattern: {match: \"sets/*\"}\n");
  ASSERT_TRUE(folders.ok()) << folders.error().message;
  ASSERT_EQ(folders->demands.size(), 2U);
  EXPECT_EQ(folders->demands[0].demand.name, "steel");
  EXPECT_EQ(folders->demands[0].group, "sets");
  EXPECT_EQ(folders->demands[1].demand.name, "wood_chips");
  EXPECT_EQ(folders->demands[1].demand.data.path, folder_ / "sets/wood chips");

  put("tables/roads/stop.csv", "path,label\n");
  put("tables/farms/weeds.csv", "path,label\n");
  put("pictures/1.txt", "");
  const auto tables =
      read("name: t\ndefaults: {task: classify, data: {licence: CC0}}\npattern: {match: \"tables/*/*.csv\", data: pictures}\n");
  ASSERT_TRUE(tables.ok()) << tables.error().message;
  ASSERT_EQ(tables->demands.size(), 2U);
  const FleetDemand& weeds = tables->demands[0];
  EXPECT_EQ(weeds.demand.name, "weeds");
  EXPECT_EQ(weeds.group, "farms");
  EXPECT_EQ(weeds.demand.data.path, folder_ / "pictures");
  EXPECT_EQ(weeds.demand.data.labels, folder_ / "tables/farms/weeds.csv");
  EXPECT_EQ(weeds.demand.data.licence, "CC0");
}

TEST_F(FleetFile, WhatIsMissingOnDiskIsTheDemandsOwnProblem) {
  put("a/x.txt", "");
  const auto fleet =
      read("name: f\ndefaults: {task: classify}\ndemands:\n  - {name: good, data: {path: a}}\n  - {name: lost, data: {path: gone}}\n");
  ASSERT_TRUE(fleet.ok()) << fleet.error().message;
  EXPECT_EQ(fleet->demands[0].problem, "");
  EXPECT_THAT(fleet->demands[1].problem, ::testing::AllOf(HasSubstr("fleet.yaml:5"), HasSubstr("there is no"), HasSubstr("gone")));
}

TEST_F(FleetFile, WhatIsWrongWithTheFileNamesTheLine) {
  put("a/x.txt", "");
  EXPECT_THAT(error("name: f\ndemands:\n  - {name: a, task: classify, data: {path: a}, taget: {}}\n"),
              ::testing::AllOf(HasSubstr("fleet.yaml:3"), HasSubstr("did you mean \"target\"?")));
  EXPECT_THAT(error("name: f\ndefaults: {task: classify, target: {at_least: 92}}\ndemands:\n  - {name: a, data: {path: a}}\n"),
              ::testing::AllOf(HasSubstr("fleet.yaml:2"), HasSubstr("0.925")));
  EXPECT_THAT(error("name: f\ndefaults: {task: classify}\ndemands:\n  - {name: a, data: {path: a}}\n  - {name: a, data: {path: a}}\n"),
              ::testing::AllOf(HasSubstr("fleet.yaml:5"), HasSubstr("line 4")));
  EXPECT_THAT(error("name: f\ndemand: []\n"), ::testing::AllOf(HasSubstr("fleet.yaml:2"), HasSubstr("did you mean \"demands\"?")));
  EXPECT_THAT(error("name: f\n"), HasSubstr("no demands"));
  EXPECT_THAT(error("demands: []\n"), HasSubstr("\"name\" is missing"));
  EXPECT_THAT(error("name: f\npattern: {match: \"nothing/*\"}\n"), HasSubstr("matches nothing"));
  put("tables/x.csv", "path,label\n");
  EXPECT_THAT(error("name: f\ndefaults: {task: classify}\npattern: {match: \"tables/*\"}\n"), HasSubstr("pattern.data"));
  EXPECT_THAT(error("- a\n- b\n"), HasSubstr("a fleet is wanted"));
  EXPECT_EQ(read_fleet(folder_ / "absent.yaml").error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace sightline::demand
