#include "app/web/builds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "app/web/call_for_test.h"
#include "base/files.h"
#include "factory/build_journal.h"

namespace sightline::web {
namespace {

using testing::HasSubstr;

struct BuildRoutes : testing::Test {
  SmallWorkspace small;
  std::vector<net::Route> routes = workspace_routes(small.site());

  void demand(const std::string& file, const std::string& text) const { ASSERT_TRUE(write_file(small.folder / file, text).ok()); }
  void journal(const std::string& text) const {
    ASSERT_TRUE(make_directories(small.root + "/builds").ok());
    ASSERT_TRUE(write_file(factory::build_journal_path(small.root, "shapes"), text).ok());
  }
};

TEST_F(BuildRoutes, DemandsAndWhatIsWrongWithThem) {
  ASSERT_TRUE(make_directories(small.folder / "pictures").ok());
  demand("shapes.yaml", "name: shapes\ntask: classify\ndata: {path: pictures}\ntarget: {metric: top1, at_least: 0.8}\n");
  demand("bad.yaml", "name: bad\ntaks: classify\n");
  demand("all.yaml", "name: all\ndemands:\n  - {name: one, task: classify, data: {path: pictures}}\n");
  demand("notes.txt", "no demand");
  const Json list = json_of(call(routes, "GET", "/v1/workspace/demands"));
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list.at(0).at("kind"), "fleet");
  EXPECT_EQ(list.at(0).at("demands"), 1);
  EXPECT_THAT(list.at(1).at("problem").get<std::string>(), HasSubstr("task"));
  EXPECT_EQ(list.at(2).at("name"), "shapes");
  EXPECT_EQ(list.at(2).at("target"), 0.8);
}

TEST_F(BuildRoutes, OnlyListedDemandsAreStarted) {
  demand("bad.yaml", "name: bad\ntaks: classify\n");
  for (const char* file : {"../x.yaml", "/etc/passwd", "none.yaml"})
    EXPECT_EQ(call(routes, "POST", "/v1/workspace/builds", json_text({{"file", file}})).status, 404) << file;
  EXPECT_EQ(call(routes, "POST", "/v1/workspace/builds", R"({"file":"bad.yaml"})").status, http_status_of(ErrorKind::invalid_data));
  EXPECT_EQ(call(routes, "POST", "/v1/workspace/builds", R"({"file":7})").status, http_status_of(ErrorKind::invalid_data));
}

TEST_F(BuildRoutes, ABuildOfAnotherProcessIsSeenAndNotStopped) {
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/builds/shapes").status, 404);
  journal(fmt::format("{{\"event\":\"begin\",\"process\":{},\"steps\":[{{\"step\":\"train\"}}]}}\n", ::getpid()));
  const Json state = json_of(call(routes, "GET", "/v1/workspace/builds/shapes"));
  EXPECT_EQ(state.at("outcome"), "running");
  EXPECT_EQ(state.at("here"), false);
  EXPECT_EQ(call(routes, "POST", "/v1/workspace/builds/shapes:cancel", "{}").status, http_status_of(ErrorKind::conflict));
  EXPECT_EQ(call(routes, "POST", "/v1/workspace/builds/signs:cancel", "{}").status, 404);
}

TEST_F(BuildRoutes, EventsTellEachChangeAndStopAtTheEnd) {
  const std::string begin = fmt::format("{{\"event\":\"begin\",\"process\":{},\"steps\":[{{\"step\":\"train\"}}]}}\n", ::getpid());
  journal(begin);
  const net::Response response = call(routes, "GET", "/v1/workspace/builds/shapes/events");
  EXPECT_EQ(response.content_type, "text/event-stream");
  ASSERT_TRUE(response.events);
  EXPECT_THAT(*response.events(), HasSubstr("event: state"));
  EXPECT_EQ(*response.events(), "") << "nothing new";
  journal(begin + "{\"event\":\"step\",\"step\":\"train\",\"state\":\"running\"}\n");
  EXPECT_THAT(*response.events(), HasSubstr("\"state\":\"running\""));
  journal(begin + "{\"event\":\"end\",\"outcome\":\"released\",\"sentence\":\"done\"}\n");
  EXPECT_THAT(*response.events(), HasSubstr("\"outcome\":\"released\""));
  EXPECT_EQ(response.events(), std::nullopt);
}

}  // namespace
}  // namespace sightline::web
