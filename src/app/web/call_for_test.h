// The routes as a client calls them, without a socket; and a small workspace to call them on.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/web/site.h"
#include "app/web/workspace_routes.h"
#include "base/temporary_folder.h"
#include "net/router.h"

namespace sightline::web {

inline net::Response call(const std::vector<net::Route>& routes, const std::string& method, const std::string& target,
                          const std::string& body = "", const std::map<std::string, std::string, std::less<>>& headers = {}) {
  const net::Router router(routes);
  net::Request request{.method = method, .headers = headers, .body = body};
  net::Response answer{.status = 0};
  const net::Router::Found found = router.find(request, target);
  if (found.route == nullptr) return {.status = 404};
  if (const auto read = net::read_target(target, request); !read.ok()) return net::error_response(read.error());
  request.method = method;
  found.route->handle(std::move(request), net::Reply([&](net::Response response) { answer = std::move(response); }));
  return answer;
}

inline Json json_of(const net::Response& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  return Json::parse(response.body, nullptr, false);
}

// Two releases of "shapes" (the second in force, its target missed), a refused run of "signs", and nothing else.
struct SmallWorkspace {
  TemporaryFolder folder;
  std::string root = folder / ".sightline";

  SmallWorkspace() {
    auto workspace = store::Workspace::open(root);
    EXPECT_TRUE(workspace.ok());
    auto log = line::StepLog::open(workspace->step_log_path());
    for (int version = 1; version <= 2; ++version) {
      evaluation::Evaluation measured{.model = "shapes", .split = "test", .classes = {"round", "square"}};
      measured.figures.top1 = version == 1 ? 0.75 : 0.85;
      measured.figures.count = 4;
      measured.figures.confusion = {{2, 0}, {1, 1}};
      measured.intervals["top1"] = {0.7, 0.95};
      measured.latency = {.p50 = 1, .p95 = 2, .p99 = 3, .count = 10, .threads = 1};
      const std::string text = json_text(to_json(measured));
      auto evaluation = workspace->blobs().put(text);
      EXPECT_TRUE(make_directories(folder / "package/1").ok());
      EXPECT_TRUE(write_file(folder / "package/1/card.md", fmt::format("# shapes {}\n", version)).ok());
      auto package = workspace->blobs().put_tree(folder / "package");
      const store::Release release{.name = "shapes",
                                   .package = *package,
                                   .evaluation = *evaluation,
                                   .in_force = true,
                                   .figures = {{"top1", measured.figures.top1}, {"p95_ms", 2.0}, {"size_bytes", 1200}},
                                   .lineage = {{"seed", version}, {"data", {{"licence", "MIT"}}}}};
      auto run = workspace->registry().begin_run("shapes");
      EXPECT_TRUE(workspace->registry().add_release(release).ok());
      EXPECT_TRUE(workspace->registry().end_run(*run, "released", "released: top1").ok());
      line::StepRecord record{.pipeline = "shapes", .step = "release", .key = sha256_of(text)};
      record.parameters = {{"target", {{"metric", "top1"}, {"at_least", 0.9}}}};
      record.inputs = {{"package", *package}, {"evaluation", *evaluation}};
      EXPECT_TRUE(log->append(record).ok());
    }
    auto run = workspace->registry().begin_run("signs");
    EXPECT_TRUE(workspace->registry().end_run(*run, "refused", "refused: top1 0.5 misses the target 0.9").ok());
  }
  std::shared_ptr<Site> site() const {
    auto opened = Site::open(root);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return *opened;
  }
};

}  // namespace sightline::web
