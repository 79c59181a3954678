// A demand that says how long to search: candidates compete under measured limits, the best is released, the others that nobody beats can
// be released later; killed, it goes on.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "base/files.h"
#include "graph/builder.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

// Random convolutions on pictures of `side` and a classifier of seven classes that nobody here has.
void write_network(const std::string& path, std::int64_t side, std::int64_t width, std::uint64_t seed) {
  graph::Builder builder(seed);
  std::string x = builder.input("input", Dtype::f32, {-1, 3, side, side});
  x = builder.relu(builder.conv(x, width, {.bias = true}));
  x = builder.relu(builder.conv(builder.max_pool(x, 2, 2), 2 * width, {.bias = true}));
  x = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(builder.max_pool(x, 2, 2), 2 * width, {.bias = true}))));
  builder.rename(x, "embedding");
  auto graph = builder.finish({builder.softmax(builder.linear("embedding", 7))}, {});
  graph->metadata = {
      {"mean_values", "127.5 127.5 127.5"}, {"scale_values", "64 64 64"}, {"licence", "MIT"}, {"origin", "drawn for a test"}};
  write_text(path, *graph::serialize_onnx(*graph));
}

class Searched : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    draw_shapes(*folder / "images", 3, 40, 32, 1);
    write_network(*folder / "small.onnx", 32, 8, 3);
    write_network(*folder / "large.onnx", 32, 48, 4);
    for (const char* name : {"small", "large"}) import_into("ws", name);
    demand("found", "search: {minutes: 0.25}\nprediction_sets: {coverage: 0.8}\n");
    found = new Outcome(run({"build", "found.yaml", "--json", "--workspace", "ws"}));
  }
  static void TearDownTestSuite() {
    delete found;
    delete folder;
  }
  static Outcome run(const std::vector<std::string>& words, RunOptions options = {}) {
    options.folder = folder->path();
    // The backbone that comes with the program would take most of these searches' seconds.
    if (options.environment.empty()) options.environment = {"SIGHTLINE_BACKBONES=" + (*folder / "none")};
    return sightline(words, options);
  }
  static void import_into(const std::string& workspace, const std::string& name) {
    const Outcome outcome = run({"backbone", "import", name + ".onnx", "--name", name, "--workspace", workspace});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  }
  static void demand(const std::string& name, const std::string& more) {
    write_text(*folder / (name + ".yaml"),
               fmt::format("name: {}\ntask: classify\ndata: {{path: images}}\nsplit: {{validation: 0.25}}\nseed: 3\n{}", name, more));
  }
  static Json figures_of(const Outcome& outcome, const std::string& step) {
    const Json document = outcome.json();
    for (const Json& each : document.at("steps"))
      if (each.at("step") == step) return each.at("figures");
    return {};
  }
  static TemporaryFolder* folder;
  static Outcome* found;
};
TemporaryFolder* Searched::folder = nullptr;
Outcome* Searched::found = nullptr;

TEST_F(Searched, TheBestIsReleasedAndWhyIsTold) {
  ASSERT_EQ(found->exit_code, 0) << found->out << found->err;
  const Json figures = figures_of(*found, "search");
  EXPECT_GT(figures.at("judged").get<int>(), 5);
  EXPECT_GE(figures.at("points").get<int>(), 1);
  EXPECT_LE(figures.at("expected").get<double>(), figures.at("validation").get<double>());
  const Outcome explained = run({"explain", "found.yaml", "--workspace", "ws"});
  EXPECT_THAT(explained.out, testing::AllOf(HasSubstr("why this model:"), HasSubstr("is to be expected"), HasSubstr("point 1: "),
                                            HasSubstr("the one that is taken"), HasSubstr("default recipe")));
  const std::string page = read_text(*folder / "ws/reports/found.html");
  EXPECT_THAT(page, testing::AllOf(HasSubstr("What competed"), HasSubstr("--point"), HasSubstr("<circle class=\"kept\"")));
  EXPECT_EQ(run({"predict", "found", "images/cross/000.png", "--workspace", "ws"}).exit_code, 0);
  // What a demand asks of answers is fitted for what a search took as well.
  const Json shown = run({"show", "found", "--json", "--workspace", "ws"}).json();
  EXPECT_TRUE(shown.at("lineage").contains("decisions")) << shown.at("lineage");
}

TEST_F(Searched, ASecondBuildDoesNothing) {
  const Outcome second = run({"build", "found.yaml", "--json", "--workspace", "ws"});
  ASSERT_EQ(second.exit_code, 0) << second.out << second.err;
  EXPECT_FALSE(second.json().at("ran_anything").get<bool>());
}

TEST_F(Searched, EveryPointIsReleasedLaterAndFrozenOnesShareTheirWeights) {
  const Json listed = run({"release", "found", "--json", "--workspace", "ws"}).json();
  const Json points = listed.at("points");
  ASSERT_GE(points.size(), 1U);
  double latency = 0;
  for (const Json& point : points) {
    EXPECT_GE(point.at("latency_ms").get<double>(), latency) << "by rising latency";
    latency = point.at("latency_ms");
    const Outcome outcome =
        run({"release", "found", "--point", std::to_string(point.at("number").get<int>()), "--json", "--workspace", "ws"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    const std::string package = outcome.json().at("package_folder");
    EXPECT_TRUE(path_exists(package + "/1/model.onnx"));
    if (point.at("name").get<std::string>().find(" frozen ") == std::string::npos) continue;
    struct stat info {};
    ASSERT_EQ(::stat((package + "/1/backbone.data").c_str(), &info), 0);
    EXPECT_GT(info.st_nlink, 1U) << "a hard link to the blob";
  }
  const Outcome missing = run({"release", "found", "--point", "99", "--workspace", "ws"});
  EXPECT_NE(missing.exit_code, 0);
  EXPECT_THAT(missing.out + missing.err, HasSubstr("none of number 99"));
  EXPECT_THAT(run({"release", "nobody", "--workspace", "ws"}).err, HasSubstr("there was no search"));
}

TEST_F(Searched, WhatBreaksALimitIsNeverTrained) {
  demand("tight", "search: {minutes: 0.15}\nlimits: {size_mb: 0.05}\n");  // the large network has 0.25 MB, ours more
  const Outcome outcome = run({"build", "tight.yaml", "--json", "--workspace", "ws"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  const Json shown = run({"show", "tight", "--json", "--workspace", "ws"}).json();
  EXPECT_LE(shown.at("figures").at("size_bytes").get<double>(), 50'000);
  EXPECT_GT(figures_of(outcome, "search").at("refused").get<int>(), 0);

  demand("impossible", "search: {minutes: 0.1}\nlimits: {size_mb: 0.001}\n");
  const Outcome refused = run({"build", "impossible.yaml", "--workspace", "ws"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.out + refused.err, testing::AllOf(HasSubstr("no candidate keeps the limits"), HasSubstr("MB of 0.001")));
}

TEST_F(Searched, AKilledSearchGoesOnWithWhatItHasJudged) {
  demand("killed", "search: {minutes: 0.5}\n");
  for (const char* name : {"small", "large"}) import_into("ws-killed", name);
  const Outcome killed = run({"build", "killed.yaml", "--json", "--workspace", "ws-killed"}, {.kill_after = 12});
  ASSERT_EQ(killed.exit_code, 137) << killed.out << killed.err;
  const Outcome outcome = run({"build", "killed.yaml", "--json", "--workspace", "ws-killed"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  const Json figures = figures_of(outcome, "search");
  EXPECT_GT(figures.at("resumed").get<int>(), 0);
  EXPECT_GT(figures.at("judged").get<int>(), 0);
}

TEST_F(Searched, WithoutABackboneNetsAreTrainedFromScratch) {
  demand("scratch", "search: {minutes: 0.5}\nrecipe: {backbone: resnet-xs, side: 16, augmentation: none, learning_rate: 0.05}\n");
  const Outcome outcome = run({"build", "scratch.yaml", "--json", "--workspace", "ws-scratch"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(figures_of(outcome, "search").at("chosen").get<std::string>(), HasSubstr("resnet-xs from scratch at 16 pixels"));
  EXPECT_TRUE(figures_of(outcome, "package").contains("temperature"));
}

TEST_F(Searched, TheShippedBackboneIsTheDefault) {
  demand("shipped", "search: {minutes: 0.4, strategy: default}\n");
  const Outcome outcome = run({"build", "shipped.yaml", "--json", "--workspace", "ws"}, {.environment = {"SIGHTLINE_TEST=shipped"}});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(figures_of(outcome, "search").at("chosen").get<std::string>(), testing::StartsWith("sight-s frozen"));
  EXPECT_EQ(figures_of(outcome, "search").at("judged"), 1);
}

TEST_F(Searched, ATunedNetworkCompetesWithItsOwnHead) {
  demand("tuned", "search: {minutes: 0.7}\nbackbone: {onnx: small.onnx}\nrecipe: {side: 32, augmentation: none, learning_rate: 0.002}\n");
  const Outcome outcome = run({"build", "tuned.yaml", "--json", "--workspace", "ws-tuned"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  const Json listed = run({"release", "tuned", "--json", "--workspace", "ws-tuned"}).json();
  EXPECT_GE(listed.at("points").size(), 1U);
  EXPECT_GT(figures_of(outcome, "search").at("judged").get<int>(), 15) << "six heads on three rungs at most, then networks";
}

}  // namespace
}  // namespace sightline::scenario
