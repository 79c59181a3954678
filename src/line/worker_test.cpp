#include "line/worker.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/testing.h"
#include "base/text.h"

namespace sightline::line {
namespace {
using ::testing::HasSubstr;

class WorkerTest : public ::testing::Test {
 protected:
  void TearDown() override { clear_interrupt(); }
  std::string script(const std::string& body) {
    const std::string path = folder / fmt::format("worker{}", ++scripts);
    EXPECT_TRUE(write_file(path, "#!/bin/sh\n" + body).ok());
    ::chmod(path.c_str(), 0755);
    return path;
  }
  Result<void> run(const std::string& body, const WorkerOptions& options = {}) {
    events.clear();
    return run_worker(
        script(body), {{"epochs", 3}}, folder / "spec.json",
        [this](const Json& event) {
          events.push_back(event);
          if (on_event) on_event(event);
        },
        options);
  }
  static double seconds_of(const std::function<void()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  // Where nobody reaps orphans a dead one stays as a zombie.
  static bool is_alive(const std::string& pid_file) {
    const auto id = read_file(pid_file);
    const auto stat = id.ok() ? read_file("/proc/" + trim(*id) + "/stat") : Result<std::string>(std::string());
    return stat.ok() && !stat->empty() && stat->find(") Z") == std::string::npos;
  }
  TemporaryFolder folder;
  int scripts = 0;
  std::vector<Json> events;
  std::function<void(const Json&)> on_event;
};

TEST_F(WorkerTest, GetsItsSpecAndTellsEvents) {
  const auto status = run(R"(cat "$1" | tr -d '\n '; echo; echo 'plain words'; echo '[1]'; printf '{"event":"done"}')");
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0], Json({{"epochs", 3}}));
  EXPECT_EQ(events[1]["event"], "done");  // without a newline at its end
}

TEST_F(WorkerTest, ItsErrorIsOurs) {
  auto status = run(R"(echo '{"event":"error","kind":"invalid_data","message":"no images"}'; exit 3)");
  EXPECT_EQ(status.error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(status.error().message, "no images");
  status = run(R"(echo '{"event":"error","kind":"nonsense"}')");
  EXPECT_EQ(status.error().kind, ErrorKind::internal);
  status = run(R"(echo '{"event":"error","kind":7,"message":[]}'; exit 1)");
  EXPECT_EQ(status.error().kind, ErrorKind::internal);
}

TEST_F(WorkerTest, ADeathIsToldWithItsLastWords) {
  auto status = run("for i in $(seq 3000); do echo \"line $i of many words\" >&2; done; exit 9");
  EXPECT_EQ(status.error().kind, ErrorKind::internal);
  EXPECT_THAT(status.error().message, HasSubstr("status 9"));
  EXPECT_THAT(status.error().message, HasSubstr("line 3000 of"));
  EXPECT_LT(status.error().message.size(), 5'000U);
  status = run("kill -SEGV $$");
  EXPECT_THAT(status.error().message, HasSubstr("signal 11"));
  status = run("kill -KILL $$");
  EXPECT_THAT(status.error().message, HasSubstr("memory"));
}

TEST_F(WorkerTest, WhatCannotRunIsSaid) {
  auto status = run_worker(folder / "none", Json::object(), folder / "spec.json", {});
  EXPECT_EQ(status.error().kind, ErrorKind::not_found);
  ASSERT_TRUE(write_file(folder / "plain", "no program").ok());
  status = run_worker(folder / "plain", Json::object(), folder / "spec.json", {});
  EXPECT_EQ(status.error().kind, ErrorKind::io);
  status = run_worker(script("exit 0"), Json::object(), folder / "no/such/folder/spec.json", {});
  EXPECT_FALSE(status.ok());
}

TEST_F(WorkerTest, EndlessLinesDoNotFillTheMemory) {
  const auto status = run(R"(head -c 5000000 /dev/zero | tr '\0' 'x'; echo; echo '{"event":"done"}')");
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0]["event"], "done");
}

TEST_F(WorkerTest, MuchOnBothStreamsDoesNotBlock) {
  const auto status = run(
      R"(head -c 300000 /dev/zero | tr '\0' 'e' >&2; for i in 1 2 3; do echo '{"n":1}'; done; head -c 300000 /dev/zero | tr '\0' '\n' >&2)");
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(events.size(), 3U);
}

TEST_F(WorkerTest, AnInterruptIsPassedOnOnce) {
  on_event = [](const Json& event) {
    if (event.value("event", "") == "ready") request_interrupt();
  };
  const auto status = run(R"(trap 'count=$((count+1)); echo "{\"event\":\"stopping\",\"count\":$count}"' INT
echo '{"event":"ready"}'
for i in 1 2 3 4 5 6 7 8; do sleep 0.05; done
exit 130)");
  EXPECT_EQ(status.error().kind, ErrorKind::interrupted);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1]["count"], 1);
}

TEST_F(WorkerTest, AWorkerThatDoesNotStopIsKilled) {
  on_event = [](const Json&) { request_interrupt(); };
  const double seconds = seconds_of([&] {
    const auto status = run("trap '' INT TERM\necho '{\"event\":\"ready\"}'\nwhile true; do sleep 0.05; done", {.grace_seconds = 0.2});
    EXPECT_EQ(status.error().kind, ErrorKind::interrupted);
  });
  EXPECT_GE(seconds, 0.2);
  EXPECT_LT(seconds, 5);
}

TEST_F(WorkerTest, AGrandchildThatKeepsThePipesDoesNotHoldUs) {
  const double seconds =
      seconds_of([&] { EXPECT_TRUE(run("sleep 20 & echo $! > '" + folder.path() + "/pid'; echo '{\"event\":\"done\"}'; exit 0").ok()); });
  EXPECT_LT(seconds, 5);
  EXPECT_EQ(events.size(), 1U);
  for (int i = 0; i < 100 && is_alive(folder / "pid"); ++i) ::usleep(10'000);
  EXPECT_FALSE(is_alive(folder / "pid"));
}

TEST_F(WorkerTest, AnExceptionOfTheListenerEndsTheWorker) {
  on_event = [](const Json&) { throw std::runtime_error("listener"); };
  EXPECT_THROW((void)run("echo $$ > '" + folder.path() + "/pid'; echo '{\"event\":\"ready\"}'; sleep 20"), std::runtime_error);
  EXPECT_FALSE(is_alive(folder / "pid"));
}

TEST_F(WorkerTest, ItDiesWithItsParent) {
  const std::string worker = script("echo $$ > '" + folder.path() + "/pid'; echo '{\"event\":\"ready\"}'; exec sleep 20");
  const pid_t parent = testing::start_child([&] {
    (void)run_worker(worker, Json::object(), folder / "spec.json", [](const Json&) { ::kill(::getpid(), SIGKILL); });
    return 0;
  });
  EXPECT_EQ(testing::wait_for(parent), -SIGKILL);
  for (int i = 0; i < 300 && is_alive(folder / "pid"); ++i) ::usleep(10'000);
  EXPECT_TRUE(path_exists(folder / "pid"));
  EXPECT_FALSE(is_alive(folder / "pid"));
}

TEST_F(WorkerTest, IsFoundByVariableThenOnPath) {
  const std::string program = script("exit 0");
  ::setenv("SIGHTLINE_TEST_WORKER", program.c_str(), 1);
  EXPECT_EQ(*find_worker("sightline-test-worker"), program);
  ::setenv("SIGHTLINE_TEST_WORKER", (folder / "none").c_str(), 1);
  EXPECT_EQ(find_worker("sightline-test-worker").error().kind, ErrorKind::not_found);
  ::unsetenv("SIGHTLINE_TEST_WORKER");
  const auto missing = find_worker("sightline-test-worker");
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("sightline-line"));
  EXPECT_TRUE(find_worker("sh").ok());
}

TEST_F(WorkerTest, IsStoppedWhenItsTimeIsUp) {
  double seconds = seconds_of([&] {
    const auto status = run("trap 'echo stopping; exit 1' INT\nwhile true; do sleep 0.05; done", {.grace_seconds = 5, .most_seconds = 0.3});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().kind, ErrorKind::refused);
    EXPECT_THAT(status.error().message, HasSubstr("300 ms"));
  });
  EXPECT_LT(seconds, 3);
  seconds = seconds_of([&] {  // one that does not listen is killed after the grace time
    const auto status = run("trap '' INT TERM\nwhile true; do sleep 0.05; done", {.grace_seconds = 0.2, .most_seconds = 0.2});
    EXPECT_EQ(status.error().kind, ErrorKind::refused);
  });
  EXPECT_LT(seconds, 3);
  EXPECT_TRUE(run("exit 0", {.most_seconds = 30}).ok());
}

}  // namespace
}  // namespace sightline::line
