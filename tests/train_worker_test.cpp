// The training worker as a program: its lines, its exit codes, and that a kill at any moment changes no bit of the result.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "modules/training_spec.h"
#include "training/toy_set.h"

namespace sightline {
namespace {

using training::toy::Folder;

struct Outcome {
  int exit_code = -1, signal = 0;
  std::vector<Json> events;
  const Json* last(const std::string& kind) const {
    for (auto event = events.rbegin(); event != events.rend(); ++event)
      if ((*event)["event"] == kind) return &*event;
    return nullptr;
  }
};

// Runs the worker; after `seconds` (when above 0) sends it `signal`. `fault`: SIGHTLINE_FAULT.
Outcome run_worker(const Folder& folder, const std::vector<std::string>& arguments, int signal = 0, double seconds = 0,
                   const std::string& fault = "") {
  const std::string lines = folder / "lines";
  const pid_t child = ::fork();
  if (child == 0) {
    const int out = ::open(lines.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(out, 1);
    ::dup2(null, 2);
    if (!fault.empty()) ::setenv("SIGHTLINE_FAULT", fault.c_str(), 1);
    std::vector<char*> words{const_cast<char*>("sightline-train")};
    for (const std::string& each : arguments) words.push_back(const_cast<char*>(each.c_str()));
    words.push_back(nullptr);
    ::execv(SIGHTLINE_BIN "/sightline-train", words.data());
    ::_exit(127);
  }
  int status = 0;
  if (signal != 0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < end && ::waitpid(child, &status, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ::kill(child, signal);
  }
  ::waitpid(child, &status, 0);
  Outcome outcome;
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  const auto text = read_file(lines);
  if (!text.ok()) return outcome;
  for (const std::string& line : split(*text, '\n')) {
    auto json = parse_json(line, "line");
    if (json.ok() && json->is_object()) outcome.events.push_back(*std::move(json));
  }
  return outcome;
}

// A run of a few seconds: the texture set, larger, under every option that has state.
modules::TrainingSpec prepare(const Folder& folder, int epochs) {
  training::toy::write_set(folder / "set", {.training = 2000, .validation = 100});
  const auto graph = training::toy::net(0.2);
  const auto bytes = graph::serialize_onnx(*graph);
  EXPECT_TRUE(bytes.ok() && write_file(folder / "graph.onnx", *bytes).ok());
  modules::TrainingSpec spec{
      .graph = folder / "graph.onnx", .data = folder / "set", .output = folder / "out", .checkpoint = folder / "checkpoint"};
  spec.recipe.side = training::toy::side;
  spec.recipe.channels = 1;
  spec.recipe.epochs = epochs;
  spec.recipe.batch = 16;
  spec.recipe.learning_rate = 0.05;
  spec.recipe.weight_average = 0.95;
  spec.recipe.patience = 100;
  spec.recipe.augmentation = modules::Augmentation::strong;
  spec.seed = 3;
  spec.threads = 2;
  spec.checkpoint_seconds = 0.05;
  return spec;
}

std::string write_spec(const Folder& folder, const modules::TrainingSpec& spec) {
  EXPECT_TRUE(write_file(folder / "spec.json", to_json(spec).dump()).ok());
  return folder / "spec.json";
}

TEST(TrainWorker, AKillAtAnyMomentChangesNoBit) {
  const Folder whole;
  const auto begin = std::chrono::steady_clock::now();
  const Outcome undisturbed = run_worker(whole, {write_spec(whole, prepare(whole, 6))});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_EQ(undisturbed.exit_code, 0) << (undisturbed.last("error") != nullptr ? undisturbed.last("error")->dump() : "");
  ASSERT_NE(undisturbed.last("done"), nullptr);

  const Folder torn;
  const std::string spec = write_spec(torn, prepare(torn, 6));
  Random random(static_cast<std::uint64_t>(begin.time_since_epoch().count()));
  int killed = 0;
  for (const char* fault : {"train-checkpoint", "train-step"})
    if (run_worker(torn, {spec}, 0, 0, fault).signal == SIGKILL) ++killed;
  for (int i = 0; i < 5; ++i)
    if (run_worker(torn, {spec}, SIGKILL, random.uniform(0.1, 0.9) * seconds).signal == SIGKILL) ++killed;
  EXPECT_GE(killed, 2) << "both fault points; on a busy machine the random kills may come after the end";
  const Outcome last = run_worker(torn, {spec});
  ASSERT_EQ(last.exit_code, 0);
  const auto expected = read_file(whole / "out/model.onnx");
  const auto got = read_file(torn / "out/model.onnx");
  ASSERT_TRUE(expected.ok() && got.ok());
  EXPECT_TRUE(*expected == *got) << "the weights differ";
  EXPECT_EQ(*read_json_file(whole / "out/history.json"), *read_json_file(torn / "out/history.json"));
}

TEST(TrainWorker, AnInterruptStopsItCleanlyAndItGoesOn) {
  const Folder folder;
  auto spec = prepare(folder, 400);
  const std::string path = write_spec(folder, spec);
  // However slow the machine is: the signal comes when it has begun.
  Outcome stopped;
  for (double seconds = 2; seconds < 60; seconds *= 2) {
    stopped = run_worker(folder, {path}, SIGTERM, seconds);
    if (stopped.last("progress") != nullptr || stopped.exit_code == 0) break;
  }
  EXPECT_EQ(stopped.exit_code, 130);
  ASSERT_NE(stopped.last("error"), nullptr);
  EXPECT_EQ((*stopped.last("error"))["kind"], "interrupted");
  EXPECT_TRUE(path_exists(folder / "checkpoint/checkpoint.last"));
  const Outcome again = run_worker(folder, {path}, SIGTERM, 6);
  for (const Json& event : again.events) {
    if (event["event"] == "progress") {
      EXPECT_GT(event["step"].get<int>(), (*stopped.last("progress"))["step"].get<int>());
    }
  }
}

TEST(TrainWorker, MistakesAreLinesAndExitCodes) {
  const Folder folder;
  const Outcome nothing = run_worker(folder, {});
  EXPECT_EQ(nothing.exit_code, 2);
  ASSERT_NE(nothing.last("error"), nullptr);

  const Outcome missing = run_worker(folder, {folder / "nowhere.json"});
  EXPECT_EQ(missing.exit_code, 4);
  EXPECT_EQ((*missing.last("error"))["kind"], "not_found");

  ASSERT_TRUE(write_file(folder / "spec.json", R"({"graph": "a", "recipes": {}})").ok());
  const Outcome unknown = run_worker(folder, {folder / "spec.json"});
  EXPECT_EQ(unknown.exit_code, 3);
  EXPECT_NE((*unknown.last("error"))["message"].get<std::string>().find("recipes"), std::string::npos);

  auto spec = prepare(folder, 1);
  ASSERT_TRUE(write_file(folder / "set", "no set").ok());
  const Outcome bad = run_worker(folder, {write_spec(folder, spec)});
  EXPECT_EQ(bad.exit_code, 3);

  EXPECT_EQ(run_worker(folder, {"--version"}).exit_code, 0);
  EXPECT_EQ(run_worker(folder, {"--help"}).exit_code, 0);
}

}  // namespace
}  // namespace sightline
