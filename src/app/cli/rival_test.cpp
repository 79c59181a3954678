// ONNX Runtime beside our runtime. What needs it skips where it is not installed.
#include "app/cli/rival.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <sstream>

#include "app/cli/bench_inputs.h"
#include "app/cli/run.h"
#include "base/json.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "graph/builder.h"
#include "graph/integer_layers_for_test.h"
#include "heads/head.h"
#include "modules/imported.h"
#include "modules/modules.h"
#include "package/package.h"
#include "runtime/quantizer.h"
#include "runtime/session.h"

namespace sightline::cli {
namespace {

using ::testing::HasSubstr;

// Sets $SIGHTLINE_RIVALS for a moment.
class RivalsAt {
 public:
  explicit RivalsAt(const char* folder) { ::setenv("SIGHTLINE_RIVALS", folder, 1); }
  ~RivalsAt() { ::unsetenv("SIGHTLINE_RIVALS"); }
};

#define SKIP_WITHOUT_RIVAL() \
  if (const auto found = find_rivals(); !found.ok()) GTEST_SKIP() << found.error().message

constexpr double wanted_agreement = 1e-4;  // of the output's scale

TEST(Rival, WhatIsMissingIsSaidWithItsRemedy) {
  const TemporaryFolder empty;
  const RivalsAt set(empty.path().c_str());
  const auto rival = OnnxRuntime::start();
  ASSERT_FALSE(rival.ok());
  EXPECT_EQ(rival.error().kind, ErrorKind::not_found);
  EXPECT_THAT(rival.error().message, HasSubstr("scripts/install-deps rival"));
  std::istringstream in;
  std::ostringstream out, err;
  EXPECT_EQ(run({"bench", "any.onnx", "--rival"}, in, out, err), exit_code_of(ErrorKind::not_found));
  EXPECT_THAT(err.str(), HasSubstr("scripts/install-deps rival"));
}

TEST(Rival, APackageThatDoesNotLoadIsAnErrorWithItsLastWords) {
  SKIP_WITHOUT_RIVAL();
  const TemporaryFolder folder;
  const std::string package = folder / "node_modules/onnxruntime-node";
  ASSERT_TRUE(make_directories(package).ok());
  ASSERT_TRUE(write_file(package + "/package.json", "{\"version\": \"0\"}").ok());
  ASSERT_TRUE(write_file(package + "/index.js", "throw new Error('no library here');").ok());
  const RivalsAt set(folder.path().c_str());
  const auto rival = OnnxRuntime::start();
  ASSERT_FALSE(rival.ok());
  EXPECT_THAT(rival.error().message, HasSubstr("no library here"));
}

TEST(Rival, LoadsAPackageUnchangedAndGivesOurAnswer) {
  SKIP_WITHOUT_RIVAL();
  const TemporaryFolder folder;
  package::Contents contents;
  contents.name = "thing";
  const auto graph = modules::build_classifier({.backbone = modules::backbones()[0].name,
                                                .height = 32,
                                                .width = 32,
                                                .channels = 3,
                                                .classes = 4,
                                                .mean = {120, 110, 100},
                                                .deviation = {60, 61, 62}});
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  contents.graph = graph::serving_graph(*graph);
  contents.labels = {"a", "b", "c", "d"};
  contents.preprocessing = {.width = 32, .height = 32, .channels = 3};
  contents.golden = {{"grey", image::Image{.width = 32, .height = 32, .channels = 3, .pixels = std::vector<std::uint8_t>(3072, 90)}}};
  const auto written = package::write_package(contents, folder / "thing");
  ASSERT_TRUE(written.ok()) << written.error().message;
  const std::string file = folder / "thing/1/model.onnx";

  const auto read = graph::read_onnx(file);
  ASSERT_TRUE(read.ok()) << read.error().message;
  auto ours = runtime::Session::create(*read);
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  auto rival = OnnxRuntime::start();
  ASSERT_TRUE(rival.ok()) << rival.error().message;
  const auto loaded = rival->load(file, *read, noise_for(*read, 1, 1), 1);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_GT(*loaded, 0);
  for (const std::int64_t batch : {1, 3}) {
    const std::vector<Tensor> inputs = noise_for(*read, batch, 5);
    const auto theirs = rival->answer(*read, inputs);
    ASSERT_TRUE(theirs.ok()) << theirs.error().message;
    const auto mine = ours->run(inputs);
    ASSERT_TRUE(mine.ok()) << mine.error().message;
    ASSERT_EQ(theirs->size(), mine->size());
    for (std::size_t i = 0; i < mine->size(); ++i) EXPECT_LT(largest_difference((*mine)[i], (*theirs)[i]), wanted_agreement);
  }
  const auto seconds = rival->time(3);
  ASSERT_TRUE(seconds.ok()) << seconds.error().message;
  EXPECT_THAT(*seconds, ::testing::AllOf(::testing::SizeIs(3), ::testing::Each(::testing::Gt(0.0))));
  const auto memory = rival->memory();
  ASSERT_TRUE(memory.ok()) << memory.error().message;
  EXPECT_GT(memory->peak, 0U);
}

// Every kind of layer that mobile nets are made of.
graph::Graph real_net() {
  graph::Builder b(7);
  std::string x = b.input("x", Dtype::f32, {-1, 3, 16, 16});
  x = b.relu(b.batch_norm(b.conv(x, 16, {.bias = true})));
  std::string y = b.clip(b.batch_norm(b.conv(x, 16, {.groups = 16})), 0, 6);
  x = b.relu(b.add(b.batch_norm(b.conv(y, 16, {.kernel = 1})), x));
  x = b.silu(b.conv(b.max_pool(x, 2, 2), 24, {.groups = 2, .bias = true}));
  const std::string gate = b.hard_sigmoid(b.conv(b.global_average_pool(x), 24, {.kernel = 1, .bias = true}));
  x = b.relu(b.conv_transpose(b.mul(x, gate), 8, 2, 2));
  x = b.channel_shuffle(b.concat({x, b.hard_swish(b.conv(x, 8, {.bias = true}))}), 2);
  b.rename(b.linear(b.flatten(b.average_pool(x, 4, 4)), 10), "scores");
  auto graph = b.finish({"scores"}, {});
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return *std::move(graph);
}
graph::Graph integer_net(const graph::Graph& real) {
  std::vector<runtime::Batch> batches;
  for (std::uint64_t seed = 1; seed < 4; ++seed) batches.push_back(noise_for(real, 8, seed));
  const auto quantizer = runtime::Quantizer::create(real, batches);
  EXPECT_TRUE(quantizer.ok()) << quantizer.error().message;
  auto integer = quantizer->quantize();
  EXPECT_TRUE(integer.ok()) << integer.error().message;
  return *std::move(integer);
}
std::vector<Tensor> answers_of_rival(const graph::Graph& graph, const std::vector<Tensor>& inputs, bool optimised) {
  const TemporaryFolder folder;
  EXPECT_TRUE(write_file(folder / "graph.onnx", *graph::serialize_onnx(graph)).ok());
  auto rival = OnnxRuntime::start();
  EXPECT_TRUE(rival.ok()) << rival.error().message;
  const auto loaded = rival->load(folder / "graph.onnx", graph, inputs, 1, optimised);
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  auto answers = rival->answer(graph, inputs);
  EXPECT_TRUE(answers.ok()) << answers.error().message;
  return *std::move(answers);
}

// QDQ files are standard ONNX: another engine runs them and gives our answers, up to integers that lie between two and round either way.
TEST(Rival, RunsOurIntegersAndGivesOurAnswer) {
  SKIP_WITHOUT_RIVAL();
  const graph::Graph real = real_net(), integer = integer_net(real);
  auto ours = runtime::Session::create(integer);
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  const std::vector<Tensor> inputs = noise_for(real, 8, 50);
  EXPECT_LT(largest_difference((*ours->run(inputs))[0], answers_of_rival(integer, inputs, true)[0]), 0.05);
}

// How near whole nets come says little: one that is no real net passes on and amplifies every integer that was rounded the other way. On
// the same integers each layer gives the same integers, but for single steps where the real number lies between two: rarely, but the mean
// of sixteen integers does once in sixteen times.
TEST(Rival, EveryLayerOfIntegersGivesOurIntegers) {
  SKIP_WITHOUT_RIVAL();
  const graph::Graph real = real_net(), integer = integer_net(real), opened = graph::opened_at_integers(integer);
  const graph::Graph parted = graph::parted_at_integers(opened, integer.outputs.size());
  std::vector<Tensor> inputs = noise_for(real, 8, 50);
  auto whole = runtime::Session::create(opened);
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  const auto inner = whole->run(inputs);
  ASSERT_TRUE(inner.ok()) << inner.error().message;
  inputs.insert(inputs.end(), inner->begin() + static_cast<std::ptrdiff_t>(integer.outputs.size()), inner->end());
  auto layers = runtime::Session::create(parted);
  ASSERT_TRUE(layers.ok()) << layers.error().message;
  const auto ours = layers->run(inputs);
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  EXPECT_GT(ours->size(), 12U);
  for (const bool optimised : {true, false}) {
    const auto theirs = answers_of_rival(parted, inputs, optimised);
    ASSERT_EQ(theirs.size(), ours->size());
    for (std::size_t i = 0; i < ours->size(); ++i) {
      SCOPED_TRACE(parted.outputs[i].name + (optimised ? ", optimised" : ""));
      if (theirs[i].dtype() == Dtype::f32) {
        EXPECT_LT(largest_difference((*ours)[i], theirs[i]), wanted_agreement);
      } else {
        const auto difference = graph::integer_difference((*ours)[i], theirs[i]);
        EXPECT_LE(difference.steps, 1);
        EXPECT_LE(difference.share, parted.outputs[i].name.find("pool") != std::string::npos ? 0.05 : 0.002);
      }
    }
  }
}

// A frozen network with a head on several of its cuts is ordinary ONNX, whatever brings its places together.
TEST(Rival, RunsHeadsOnSeveralCutsAndEveryNeck) {
  SKIP_WITHOUT_RIVAL();
  graph::Builder b(3);
  std::string x = b.relu(b.conv(b.input("input", Dtype::f32, {-1, 3, 24, 24}), 10, {.bias = true}));
  x = b.conv(b.max_pool(x, 2, 2), 12, {.bias = true});
  x = b.relu(b.conv(x, 20, {.stride = 2, .bias = true}));
  const auto net = b.finish({b.softmax(b.linear(b.flatten(b.global_average_pool(x)), 4))}, {});
  ASSERT_TRUE(net.ok());
  for (const modules::NeckRow& row : modules::necks()) {
    const auto imported = modules::import_classifier(
        *net, "net.onnx", {.cuts = {"early", "middle", "last"}, .neck = row.neck, .classes = 2, .mean = {127.5F}, .deviation = {64}});
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    EXPECT_EQ(imported->features, 10 + 12 + 20);
    heads::Head head{.features = imported->features};
    head.linear = {Tensor(Dtype::f32, {3, head.features}), Tensor::zeros(Dtype::f32, {3})};
    Random random(9);
    for (float& weight : head.linear.weight.values<float>()) weight = static_cast<float>(random.normal());
    const auto whole = heads::append_head(imported->graph, modules::features_value, head);
    ASSERT_TRUE(whole.ok()) << whole.error().message;
    const graph::Graph serving = graph::serving_graph(*whole);
    const std::vector<Tensor> inputs = noise_for(serving, 5, 2);
    auto ours = runtime::Session::create(serving);
    ASSERT_TRUE(ours.ok()) << ours.error().message;
    EXPECT_LT(largest_difference((*ours->run(inputs))[0], answers_of_rival(serving, inputs, true)[0]), wanted_agreement)
        << enum_name(row.neck);
  }
}

TEST(Rival, AFileThatItRefusesIsItsErrorAndTheNextOneStillLoads) {
  SKIP_WITHOUT_RIVAL();
  const TemporaryFolder folder;
  graph::Builder builder(1);
  const std::string x = builder.input("x", Dtype::f32, {-1, 4});
  const auto graph = builder.finish({builder.relu(x)}, {});
  ASSERT_TRUE(write_file(folder / "good.onnx", *graph::serialize_onnx(*graph)).ok());
  ASSERT_TRUE(write_file(folder / "bad.onnx", "no network").ok());
  auto rival = OnnxRuntime::start();
  ASSERT_TRUE(rival.ok()) << rival.error().message;
  const std::vector<Tensor> inputs = noise_for(*graph, 2, 1);
  const auto bad = rival->load(folder / "bad.onnx", *graph, inputs, 1);
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().message, HasSubstr("ONNX Runtime:"));
  EXPECT_TRUE(rival->load(folder / "good.onnx", *graph, inputs, 1).ok());
  const auto answer = rival->answer(*graph, inputs);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_EQ(answer->size(), 1U);
  EXPECT_EQ((*answer)[0].shape(), (Shape{2, 4}));
}

TEST(Rival, BenchPrintsTheRatioAndTheDifference) {
  SKIP_WITHOUT_RIVAL();
  const TemporaryFolder folder;
  graph::Builder builder(1);
  const std::string x = builder.input("x", Dtype::f32, {-1, 3, 16, 16});
  const auto graph = builder.finish({builder.relu(builder.conv(x, 8, {}))}, {});
  ASSERT_TRUE(write_file(folder / "net.onnx", *graph::serialize_onnx(*graph)).ok());
  std::istringstream in;
  std::ostringstream out, err;
  ASSERT_EQ(run({"bench", folder / "net.onnx", "--rival", "--runs", "30", "--threads", "1", "--json"}, in, out, err), 0) << out.str();
  const Json figures = Json::parse(out.str());
  ASSERT_EQ(figures["batches"].size(), 2U);
  for (const Json& batch : figures["batches"]) {
    EXPECT_EQ(batch["rival"]["runs"], 30);
    EXPECT_GT(batch["ratio"], 0);
    EXPECT_LE(batch["lowest_ratio"], batch["highest_ratio"]);
    EXPECT_LT(batch["difference"], wanted_agreement);
  }
  EXPECT_GT(figures["rival"]["load_ms"], 0);
  EXPECT_GT(figures["rival"]["memory"]["growth"], 0);
}

TEST(Difference, IsRelativeToTheScaleAndKnowsWhatIsNotFinite) {
  const auto of = [](std::vector<float> values) { return Tensor::of<float>({2}, values); };
  EXPECT_EQ(largest_difference(of({1, 2}), of({1, 2})), 0);
  EXPECT_NEAR(largest_difference(of({1, 3}), of({1, 4})), 0.25, 1e-9);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(largest_difference(of({nan, 2}), of({nan, 2})), 0);
  EXPECT_TRUE(std::isinf(largest_difference(of({nan, 2}), of({1, 2}))));
  EXPECT_TRUE(std::isinf(largest_difference(of({1, 2}), Tensor::of<float>({1, 2}, {1, 2}))));
  const auto rows = [](std::int64_t count, const std::vector<std::int64_t>& values) {
    return Tensor::of<std::int64_t>({count, 2}, values);
  };
  EXPECT_EQ(largest_difference(rows(3, {0, 7, 1, 4, -1, -1}), rows(2, {0, 7, 1, 4})), 0);
  EXPECT_GT(largest_difference(rows(3, {0, 7, 1, 5, -1, -1}), rows(2, {0, 7, 1, 4})), 0);
  EXPECT_TRUE(std::isinf(largest_difference(rows(3, {0, 7, 1, 4, 1, 3}), rows(2, {0, 7, 1, 4}))));
}

}  // namespace
}  // namespace sightline::cli
