#include "app/web/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/web/call_for_test.h"
#include "base/files.h"

namespace sightline::web {
namespace {

const Json* row_of(const Json& overview, const std::string& name) {
  for (const Json& row : overview.at("models"))
    if (row.at("name") == name) return &row;
  return nullptr;
}

TEST(Overview, SaysTargetValueIntervalAndReleases) {
  const SmallWorkspace small;
  const Json json = json_of(call(workspace_routes(small.site()), "GET", "/v1/workspace"));
  const Json* row = row_of(json, "shapes");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->at("state"), "released");
  EXPECT_EQ(row->at("version"), 2);
  EXPECT_EQ(row->at("versions"), Json({1, 2}));
  EXPECT_EQ(row->at("values"), Json({0.75, 0.85}));
  EXPECT_EQ(row->at("metric"), "top1");
  EXPECT_EQ(row->at("target"), 0.9);
  EXPECT_EQ(row->at("value"), 0.85);
  EXPECT_EQ(row->at("low"), 0.7);
  EXPECT_EQ(row->at("high"), 0.95);
  EXPECT_EQ(row->at("task"), "classify");
  EXPECT_EQ(row->at("p95_ms"), 2.0);
  EXPECT_EQ(row->at("size_bytes"), 1200);
}

TEST(Overview, SaysWhatWasNeverReleased) {
  const SmallWorkspace small;
  const Json json = json_of(call(workspace_routes(small.site()), "GET", "/v1/workspace"));
  const Json* row = row_of(json, "signs");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->at("state"), "refused");
  EXPECT_EQ(row->at("value"), nullptr);
  EXPECT_THAT(row->at("sentence").get<std::string>(), testing::HasSubstr("misses the target"));
  EXPECT_EQ(json.at("runs").at(0).at("demand"), "signs") << "the newest run comes first";
  EXPECT_EQ(json.at("runs").size(), 3U);
}

TEST(Overview, RowsOfAFleetHaveItsGroupAndFailedOnesAreListed) {
  const SmallWorkspace small;
  ASSERT_TRUE(make_directories(small.root + "/fleets").ok());
  ASSERT_TRUE(write_file(small.root + "/fleets/floor.json",
                         R"({"name":"floor","rows":[{"name":"shapes","group":"east","outcome":"released"},
                             {"name":"nuts","group":"west","outcome":"failed","sentence":"there is no picture"}]})")
                  .ok());
  ASSERT_TRUE(write_file(small.root + "/fleets/broken.json", "{").ok());
  const Json json = json_of(call(workspace_routes(small.site()), "GET", "/v1/workspace"));
  EXPECT_EQ(json.at("fleets"), Json::parse(R"([{"name":"floor","rows":2}])"));
  EXPECT_EQ(row_of(json, "shapes")->at("group"), "east");
  ASSERT_NE(row_of(json, "nuts"), nullptr);
  EXPECT_EQ(row_of(json, "nuts")->at("state"), "failed");
  EXPECT_EQ(row_of(json, "nuts")->at("sentence"), "there is no picture");
}

TEST(Overview, SeesWhatAnotherProcessReleases) {
  const SmallWorkspace small;
  const auto routes = workspace_routes(small.site());
  ASSERT_EQ(json_of(call(routes, "GET", "/v1/workspace")).at("models").size(), 2U);
  auto other = store::Workspace::open(small.root);
  const auto run = other->registry().begin_run("late");
  ASSERT_TRUE(run.ok());
  const Json json = json_of(call(routes, "GET", "/v1/workspace"));
  ASSERT_NE(row_of(json, "late"), nullptr);
  EXPECT_EQ(row_of(json, "late")->at("state"), "running");
}

TEST(Overview, AMissingWorkspaceIsAnError) {
  const TemporaryFolder folder;
  const auto opened = Site::open(folder / "none");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace sightline::web
