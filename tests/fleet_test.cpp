// Many demands as one job: isolated failures, resuming, and that a fleet's model is the one that its demand gives alone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "graph/builder.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

void write_backbone(const std::string& path) {
  graph::Builder builder(3);
  std::string x = builder.input("input", Dtype::f32, {-1, 3, 16, 16});
  x = builder.relu(builder.conv(x, 16, {.bias = true}));
  x = builder.relu(builder.conv(builder.max_pool(x, 2, 2), 32, {.bias = true}));
  builder.rename(builder.flatten(builder.global_average_pool(x)), "embedding");
  auto graph = builder.finish({"embedding"}, {});
  graph->metadata = {{"mean_values", "127.5 127.5 127.5"}, {"scale_values", "64 64 64"}, {"licence", "MIT"}};
  write_text(path, *graph::serialize_onnx(*graph));
}

struct Fleet : testing::Test {
  TemporaryFolder folder;
  static constexpr int size = 6;

  void SetUp() override {
    write_backbone(folder / "net.onnx");
    draw_shapes(folder / "pool", 4, 30, 16, 9);
    std::vector<std::string> classes;
    for (const auto& each : std::filesystem::directory_iterator(folder / "pool")) classes.push_back(each.path().filename());
    std::sort(classes.begin(), classes.end());
    int number = 0;
    for (std::size_t a = 0; a < classes.size(); ++a)
      for (std::size_t b = a + 1; b < classes.size(); ++b) table(fmt::format("tables/shapes/t{}.csv", number++), {classes[a], classes[b]});
    write_text(
        folder / "fleet.yaml",
        "name: shapes\ndefaults:\n  task: classify\n  seed: 3\n  target: {metric: balanced_accuracy, at_least: 0.5}\n  backbone: {onnx: "
        "net.onnx, freeze: backbone}\npattern: {match: \"tables/*/*.csv\", data: pool}\n");
  }
  void table(const std::string& name, const std::vector<std::string>& classes) const {
    std::string text = "path,label,split\n";
    for (const std::string& each : classes)
      for (int i = 0; i < 30; ++i) text += fmt::format("{}/{:03}.png,{},{}\n", each, i, each, i % 3 == 0 ? "test" : "train");
    write_text(folder / name, text);
  }
  Outcome run(const std::string& workspace, const std::vector<std::string>& more = {}, RunOptions options = {}) const {
    options.folder = folder.path();
    std::vector<std::string> words{"fleet", "fleet.yaml", "--json", "--workspace", workspace};
    words.insert(words.end(), more.begin(), more.end());
    return sightline(words, options);
  }
  static std::map<std::string, std::string> packages(const Outcome& outcome) {
    std::map<std::string, std::string> digests;
    const Json document = outcome.json();
    for (const Json& row : document.at("rows")) digests[row.at("name")] = row.at("package");
    EXPECT_FALSE(digests.empty());
    return digests;
  }
};

TEST_F(Fleet, BuildsEveryDemandOnceAndOnlyWhatChangedAgain) {
  const Outcome first = run("w");
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_EQ(first.json().at("released"), size);
  EXPECT_EQ(first.json().at("ran"), size);
  EXPECT_EQ(first.json().at("pictures"), 120);  // shared by the demands, looked at once
  EXPECT_EQ(first.json().at("features_computed"), 120);
  const Json document = first.json();
  for (const Json& row : document.at("rows")) {
    EXPECT_EQ(row.at("group"), "shapes");
    EXPECT_GT(row.at("balanced_accuracy"), 0.7) << row;
    EXPECT_TRUE(row.at("excludes_chance")) << row;
    EXPECT_EQ(row.at("chance"), 0.5);
    EXPECT_EQ(row.at("test"), 20);
  }
  const std::string page = read_text(first.json().at("page"));
  EXPECT_THAT(page, testing::AllOf(HasSubstr("data-g=\"shapes\""), HasSubstr("t5"), HasSubstr("</html>")));

  const Outcome second = run("w");
  EXPECT_EQ(second.json().at("ran"), 0);
  EXPECT_EQ(packages(second), packages(first));

  // One picture more in one demand: that demand's work alone.
  draw_shapes(folder / "more", 1, 1, 16, 77);
  const std::string kind = std::filesystem::directory_iterator(folder / "more")->path().filename();
  std::filesystem::copy_file(folder / fmt::format("more/{}/000.png", kind), folder / fmt::format("pool/{}/900.png", kind));
  write_text(folder / "tables/shapes/t0.csv", read_text(folder / "tables/shapes/t0.csv") + fmt::format("{0}/900.png,{0},train\n", kind));
  const Outcome third = run("w");
  EXPECT_EQ(third.json().at("ran"), 1);
  EXPECT_EQ(third.json().at("features_computed"), 1);
  EXPECT_NE(packages(third)["t0"], packages(first)["t0"]);
  EXPECT_EQ(packages(third)["t1"], packages(first)["t1"]);
}

TEST_F(Fleet, AModelIsTheOneThatItsDemandGivesAlone) {
  const Outcome whole = run("w");
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const Outcome alone = run("alone", {"--only", "t2,t4"});
  ASSERT_EQ(alone.json().at("rows").size(), 2U);
  for (const auto& [name, digest] : packages(alone)) EXPECT_EQ(digest, packages(whole)[name]) << name;
  write_text(folder / "t2.yaml",
             "name: t2\ntask: classify\nseed: 3\ntarget: {metric: balanced_accuracy, at_least: 0.5}\nbackbone: {onnx: net.onnx, freeze: "
             "backbone}\ndata: {path: pool, labels: tables/shapes/t2.csv, format: csv}\n");
  const Outcome built = sightline({"build", "t2.yaml", "--json", "--workspace", "single"}, {.folder = folder.path()});
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;
  EXPECT_EQ(built.json().at("package"), packages(whole)["t2"]);
  EXPECT_THAT(run("w", {"--only", "t22"}).out, HasSubstr("did you mean \\\"t2\\\"?"));
}

TEST_F(Fleet, AFailureIsListedAndHarmsNoOther) {
  write_text(folder / "pool/circle/000.png", "no picture any more");  // in three demands, within what they allow to be rejected
  std::filesystem::create_directories(folder / "tables/broken");
  write_text(folder / "tables/broken/one-class.csv", "path,label\ncircle/001.png,circle\ncircle/002.png,circle\n");
  write_text(folder / "tables/broken/no-header.csv", "circle/001.png;circle\n");
  const std::string fleet = read_text(folder / "fleet.yaml");
  write_text(folder / "fleet.yaml",
             fleet +
                 "demands:\n  - {name: lost, data: {path: gone}}\n  - {name: strict, group: g, data: {path: pool, labels: "
                 "tables/shapes/t0.csv, max_rejected: 0}}\n");
  const Outcome outcome = run("w");
  EXPECT_NE(outcome.exit_code, 0);
  std::map<std::string, std::string> sentences;
  const Json document = outcome.json();
  for (const Json& row : document.at("rows")) {
    if (row.at("outcome") == "failed") sentences[row.at("name")] = row.at("sentence");
  }
  EXPECT_EQ(outcome.json().at("released"), 3);
  EXPECT_THAT(sentences["lost"], HasSubstr("gone"));
  EXPECT_THAT(sentences["one-class"], HasSubstr("only one class"));
  EXPECT_THAT(sentences["no-header"], HasSubstr("no column"));
  EXPECT_THAT(sentences["strict"], HasSubstr("circle/000.png"));
}

TEST_F(Fleet, KilledAndRunAgainItEndsTheSame) {
  const auto undisturbed = packages(run("w"));
  for (const char* step : {"import", "head", "package", "evaluate", "release"}) {
    const Outcome killed = run("k", {}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  const Outcome last = run("k");
  ASSERT_EQ(last.exit_code, 0) << last.out << last.err;
  EXPECT_EQ(packages(last), undisturbed);
  EXPECT_EQ(sightline({"fsck", "--workspace", "k"}, {.folder = folder.path()}).exit_code, 0);
  // Interrupted, it says so and goes on the next time.
  const Outcome interrupted = run("i", {}, {.kill_after = 0.15, .signal = 2});
  const Outcome resumed = run("i");
  EXPECT_EQ(packages(resumed), undisturbed);
}

}  // namespace
}  // namespace sightline::scenario
