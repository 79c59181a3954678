#include "app/web/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/web/call_for_test.h"

namespace sightline::web {
namespace {

using testing::HasSubstr;

constexpr const char* base = "/v1/workspace/models/shapes";

TEST(Models, AModelHasItsReleasesNewestFirst) {
  const SmallWorkspace small;
  const Json json = json_of(call(workspace_routes(small.site()), "GET", base));
  ASSERT_EQ(json.at("releases").size(), 2U);
  EXPECT_EQ(json.at("releases").at(0).at("version"), 2);
  EXPECT_EQ(json.at("releases").at(0).at("in_force"), true);
  EXPECT_EQ(json.at("row").at("value"), 0.85);
  EXPECT_EQ(json.at("runs").size(), 2U);
}

TEST(Models, AReleaseHasFiguresIntervalsTargetCardAndLineage) {
  const SmallWorkspace small;
  const Json json = json_of(call(workspace_routes(small.site()), "GET", std::string(base) + "/releases/1"));
  EXPECT_EQ(json.at("version"), 1);
  EXPECT_EQ(json.at("target").at("at_least"), 0.9);
  EXPECT_EQ(json.at("lineage").at("seed"), 1);
  EXPECT_EQ(json.at("evaluation").at("confusion"), Json::parse("[[2,0],[1,1]]"));
  const Json& top1 = json.at("evaluation").at("figures").at(0);
  EXPECT_EQ(top1.at("metric"), "top1");
  EXPECT_EQ(top1.at("value"), 0.75);
  EXPECT_EQ(top1.at("low"), 0.7);
  ASSERT_EQ(json.at("steps").size(), 1U);
  EXPECT_EQ(json.at("steps").at(0).at("step"), "release");
}

TEST(Models, AnEarlierVersionIsPutInForceAndBackAgain) {
  const SmallWorkspace small;
  const auto routes = workspace_routes(small.site());
  const std::string path = std::string(base) + "/releases/1:put_in_force";
  const Json done = json_of(call(routes, "POST", path, "{}"));
  EXPECT_EQ(done.at("version"), 1);
  EXPECT_EQ(done.at("before"), 2);
  EXPECT_EQ(json_of(call(routes, "GET", base)).at("row").at("version"), 1);
  EXPECT_EQ(json_of(call(routes, "POST", std::string(base) + "/releases/2:put_in_force", "{}")).at("before"), 1);
}

TEST(Models, WhatChangesSomethingIsAPostForAdmins) {
  const SmallWorkspace small;
  for (const net::Route& route : workspace_routes(small.site())) {
    EXPECT_FALSE(route.summary.empty()) << route.pattern;
    EXPECT_EQ(route.method == "POST", route.scope == net::Scope::admin) << route.method << " " << route.pattern;
  }
}

TEST(Models, NamesAndVersionsOfStrangersAreChecked) {
  const SmallWorkspace small;
  const auto routes = workspace_routes(small.site());
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/models/..%2F..%2Fetc").status, 400);
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/models/nobody").status, 404);
  EXPECT_EQ(call(routes, "GET", std::string(base) + "/releases/9").status, 404);
  EXPECT_EQ(call(routes, "GET", std::string(base) + "/releases/-1").status, 400);
  EXPECT_EQ(call(routes, "POST", std::string(base) + "/releases/9:put_in_force", "{}").status, 404);
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/manifests/..%2F..%2Fregistry.db/pictures/0").status, 404);
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/manifests/" + std::string(64, 'a') + "/pictures/0").status, 404);
}

TEST(Models, TwoReleasesSideBySide) {
  const SmallWorkspace small;
  const auto routes = workspace_routes(small.site());
  const Json json = json_of(call(routes, "GET", "/v1/workspace/compare?a=shapes:1&b=shapes:2"));
  const Json& top1 = json.at("figures").at(0);
  EXPECT_EQ(top1.at("metric"), "top1");
  EXPECT_NEAR(top1.at("difference").get<double>(), 0.1, 1e-12);
  EXPECT_EQ(top1.at("a_interval").at("low"), 0.7);
  EXPECT_EQ(json.at("lineage_differs"), Json::parse(R"([{"a":1,"b":2,"key":"/seed"}])"));
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/compare?a=shapes:x&b=shapes:2").status, 400);
}

// Answers to six pictures: of the first class three right and one wrong, of the second both right.
TEST(Answers, ACellHoldsItsPicturesTheSurestFirst) {
  dataset::Manifest manifest;
  for (int i = 0; i < 6; ++i) manifest.samples.push_back({.path = fmt::format("{}.png", i)});
  const AnswersOfRelease answers{
      .manifest = "m",
      .classes = {"a", "b"},
      .answers = {{0, 0, 0, 0.6F}, {1, 0, 0, 0.9F}, {2, 0, 1, 0.7F}, {3, 0, 0, 0.8F}, {4, 1, 1, 0.9F}, {5, 1, 1, 1}}};
  const auto cell = pictures_of_cell(answers, manifest, 0, 0, 2);
  ASSERT_TRUE(cell.ok());
  EXPECT_EQ(cell->at("total"), 3);
  ASSERT_EQ(cell->at("pictures").size(), 2U);
  EXPECT_EQ(cell->at("pictures").at(0).at("path"), "1.png");
  EXPECT_EQ(cell->at("pictures").at(1).at("number"), 3);
  EXPECT_EQ(pictures_of_cell(answers, manifest, 1, 0, 2)->at("total"), 0);
  EXPECT_EQ(pictures_of_cell(answers, manifest, 2, 0, 2).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::web
