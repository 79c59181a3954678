// A backbone of our own is made from a recipe, killed and stopped on the way, and used by a demand that names it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/builder.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

// A teacher with random weights: what it says of a picture is a function of it, and that is all that is wanted here.
void write_teacher(const std::string& path) {
  graph::Builder builder(3);
  std::string x = builder.input("input", Dtype::f32, {-1, 3, 24, 24});
  x = builder.relu(builder.conv(x, 16, {.stride = 2, .bias = true}));
  x = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(x, 32, {.stride = 2, .bias = true}))));
  auto graph = builder.finish({builder.softmax(builder.linear(x, 7))}, {});
  graph->metadata = {{"mean_values", "127.5 127.5 127.5"}, {"scale_values", "64 64 64"}};
  write_text(path, *graph::serialize_onnx(*graph));
}

constexpr const char* recipe = R"(name: own
net: resnet-xs
side: 16
licence: MIT
origin: a test
teacher: {onnx: teacher.onnx, licence: MIT, origin: drawn for a test}
pictures:
  - {name: shapes, path: images, share: 1, licence: CC0, origin: drawn}
  - {name: absent, path: nowhere, share: 1, licence: CC0, origin: nobody}
views: {count: 640, side: 24, drawn: 1}
training: {epochs: 4, batch: 32, optimizer: adamw, learning_rate: 0.01}
seed: 5
)";

struct BackboneTraining : testing::Test {
  TemporaryFolder folder;

  void SetUp() override {
    draw_shapes(folder / "images", 2, 12, 32, 1);
    write_teacher(folder / "teacher.onnx");
    write_text(folder / "own.yaml", recipe);
  }
  Outcome run(const std::string& workspace, RunOptions options = {}, const std::vector<std::string>& more = {}) {
    options.folder = folder.path();
    std::vector<std::string> words{"backbone", "train",       "own.yaml", "--cores", "1",
                                   "--json",   "--workspace", workspace,  "--out",   workspace + ".safetensors"};
    words.insert(words.end(), more.begin(), more.end());
    return sightline(words, options);
  }
};

TEST_F(BackboneTraining, IsTheSameAfterKillsAndCanBeBuiltOn) {
  const Outcome whole = run("whole");
  ASSERT_EQ(whole.exit_code, 0) << whole.out << whole.err;
  EXPECT_THAT(whole.err, HasSubstr("the set absent is left out"));
  const std::string weights = whole.json().at("weights");
  const Outcome again = run("whole");
  EXPECT_FALSE(again.json().at("ran_anything"));

  for (const char* step : {"views", "distil", "backbone"}) {
    const Outcome killed = run("killed", {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << ": " << killed.err;
  }
  for (const double seconds : {0.2, 0.6}) run("killed2", {.kill_after = seconds});
  run("killed2", {.kill_after = 1.2, .signal = 2});
  for (const char* workspace : {"killed", "killed2"}) {
    const Outcome resumed = run(workspace);
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(resumed.json().at("weights"), weights) << workspace;
  }

  write_text(folder / "demand.yaml", "name: shapes\ntask: classify\ndata: {path: images}\nbackbone: {name: own, freeze: backbone}\n");
  const Outcome built = sightline({"build", "demand.yaml", "--json", "--workspace", "whole"}, {.folder = folder.path()});
  ASSERT_NE(built.json(), nullptr) << built.out << built.err;
  EXPECT_NE(built.json().at("package"), "");
}

TEST_F(BackboneTraining, SaysWhatIsWrongWithARecipe) {
  write_text(folder / "own.yaml", std::string(recipe) + "leave_out: [shape]\n");
  EXPECT_THAT(run("w").err + run("w").out, HasSubstr("did you mean \\\"shapes\\\"?"));
  write_text(folder / "own.yaml", "name: own\nteacher: {onnx: gone.onnx}\ntraining: {epochs: 1}\n");
  const Outcome outcome = run("w");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err + outcome.out, HasSubstr("there is no teacher"));
}

// What comes with the program needs no import and no workspace.
TEST_F(BackboneTraining, TheShippedOneIsListedAndUsedByItsName) {
  const Outcome listed = sightline({"backbone", "list", "--json"}, {.folder = folder.path()});
  ASSERT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr("sight-s"));
  write_text(folder / "demand.yaml", "name: shapes\ntask: classify\ndata: {path: images}\nbackbone: {name: sight-s, freeze: backbone}\n");
  const Outcome built = sightline({"build", "demand.yaml", "--json"}, {.folder = folder.path()});
  ASSERT_NE(built.json(), nullptr) << built.out << built.err;
  const Outcome shown = sightline({"backbone", "show", "sight-s"}, {.folder = folder.path()});
  EXPECT_THAT(shown.out, HasSubstr("Apache-2.0"));
}

}  // namespace
}  // namespace sightline::scenario
