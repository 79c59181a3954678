// The compress step on packages whose answer to fewer bits is known: one that loses nothing, and one that integers ruin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "evaluation/compression.h"
#include "factory/build.h"
#include "graph/builder.h"
#include "package/package.h"

namespace sightline::factory {
namespace {

using testing::HasSubstr;

constexpr int side = 8;

// Grey pictures, brighter or darker than 128.
image::Image picture(int label, std::uint64_t seed) {
  Random random(seed);
  image::Image image{.width = side, .height = side, .channels = 1, .pixels = {}};
  const double mean = label == 0 ? 118 : 138;
  for (int i = 0; i < side * side; ++i) image.pixels.push_back(static_cast<std::uint8_t>(mean + random.uniform(-40, 40)));
  return image;
}

// Tells the two apart by their mean. A second channel says nothing; `huge` makes it so large that integers that span both cannot see the
// first one any more.
graph::Graph brightness_net(float huge) {
  graph::Builder b(1);
  const std::string x = b.image_input(side, side, 1, {128}, {64});
  std::string y = b.relu(b.conv(x, 4, {.kernel = 1, .bias = true}));
  y = b.relu(b.conv(y, 4, {.kernel = 1, .bias = true}));
  const std::string scores = b.linear(b.flatten(b.global_average_pool(y)), 2);
  b.rename(b.softmax(b.scale(scores, 1.0F, "inverse_temperature")), "probabilities");
  graph::Graph net = *b.finish({"probabilities"}, {});
  const auto set = [&](const char* op, int number, std::size_t slot, const std::vector<float>& values) {
    for (const graph::Node& node : net.nodes) {
      if (node.op_type != op || number-- > 0) continue;
      std::ranges::copy(values, net.initializers.at(node.inputs[slot]).values<float>().begin());
      return;
    }
    FAIL() << op;
  };
  set("Conv", 0, 1, {1, -1, 0, 0});
  set("Conv", 0, 2, {0, 0, huge, 0});  // channel 2 is constant
  set("Conv", 1, 1, {1, 0, 0, 0, /**/ 0, 1, 0, 0, /**/ 0, 0, 1 / huge, 0, /**/ 0, 0, 0, 1});
  set("Conv", 1, 2, {0, 0, 0, 0});
  set("Gemm", 0, 1, {-20, 20, 0, 0, /**/ 20, -20, 0, 0});
  set("Gemm", 0, 2, {0, 0});
  return net;
}

class Compress : public testing::Test {
 protected:
  static constexpr int train = 40, validation = 400;

  void SetUp() override {
    auto opened = store::Workspace::open(folder_ / "ws");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    workspace_ = std::make_unique<store::Workspace>(*std::move(opened));
    manifest_.root = folder_ / "images";
    manifest_.format = "folders";
    manifest_.classes = {"dark", "bright"};
    ASSERT_TRUE(make_directories(manifest_.root).ok());
    for (int i = 0; i < train + validation; ++i) {
      dataset::Sample sample{.path = fmt::format("{}.png", i), .label = i % 2, .width = side, .height = side, .channels = 1};
      sample.split = i < train ? dataset::Split::train : dataset::Split::validation;
      const std::string png = image::encode_png(picture(sample.label, static_cast<std::uint64_t>(i)));
      sample.digest = sha256_of(png);
      std::ofstream(manifest_.root + "/" + sample.path, std::ios::binary) << png;  // not synced: there are many
      manifest_.samples.push_back(sample);
    }
  }

  // package and split as the line would leave them, then compress.
  evaluation::Compression run(float huge, const std::string& precision, bool expect_run = true) {
    BuildContext build{.workspace = workspace_.get()};
    build.demand.name = "brightness";
    build.demand.compress.precision = precision;
    build.threads = 1;
    line::Step split{.name = "split", .version = 1};
    split.outputs = {"manifest"};
    split.body = [&](line::StepContext& context) { return context.put("manifest", dataset::write_manifest(manifest_)); };
    line::Step package{.name = "package", .version = 1};
    package.parameters = {{"huge", huge}};
    package.outputs = {"package"};
    package.body = [&](line::StepContext& context) -> Result<void> {
      package::Contents contents{.name = "brightness", .graph = brightness_net(huge), .labels = manifest_.classes};
      contents.preprocessing = {.width = side, .height = side, .channels = 1};
      contents.golden = {{"dark", picture(0, 900)}, {"bright", picture(1, 901)}};
      SIGHTLINE_TRY(const std::string parent, context.fresh_folder("package"));
      SIGHTLINE_CHECK(package::write_package(contents, parent + "/brightness"));
      return context.put_folder("package", parent + "/brightness");
    };
    line::Line line(*workspace_, "brightness", {split, package, compress_step(build)});
    const auto status = line.run();
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    if (!status.ok()) return {};
    EXPECT_EQ(line.ran_anything(), expect_run);
    package_ = *line.output("compress", "package");
    uncompressed_ = *line.output("package", "package");
    figures_ = line.record("compress")->figures;
    const auto text = workspace_->blobs().get(*line.output("compress", "compression"));
    return *struct_from_json<evaluation::Compression>(*parse_json(*text, "compression"), "compression");
  }

  package::Precision shipped() {
    const std::string folder = folder_ / fmt::format("shipped-{}", opened_++);
    EXPECT_TRUE(workspace_->blobs().materialize(package_, folder).ok());
    const auto model = package::Model::open(folder);
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    return model.ok() ? model->precision() : package::Precision::f32;
  }

  TemporaryFolder folder_;
  std::unique_ptr<store::Workspace> workspace_;
  dataset::Manifest manifest_;
  Digest package_, uncompressed_;
  Json figures_;
  int opened_ = 0;
};

TEST_F(Compress, WhatLosesNothingShipsAsIntegers) {
  const evaluation::Compression outcome = run(1, "int8");
  EXPECT_EQ(outcome.precision, "int8");
  ASSERT_EQ(outcome.candidates.size(), 2U);
  EXPECT_GT(outcome.candidates[0].metric, 0.95);
  EXPECT_LE(outcome.candidates[1].interval.high, 0.5);
  EXPECT_GT(outcome.candidates[1].latency_ms, 0);
  EXPECT_GT(outcome.candidates[1].size_bytes, 0U);
  EXPECT_EQ(outcome.calibration_images, train);
  EXPECT_EQ(outcome.validation_images, validation);
  EXPECT_EQ(shipped(), package::Precision::int8);
  EXPECT_EQ(figures_.at("precision"), "int8");
  EXPECT_THAT(figures_.at("reasons").dump(), HasSubstr("kept"));
  // Nothing changed: nothing runs. And the same from scratch gives the same package.
  const Digest first = package_;
  run(1, "int8", false);
  EXPECT_EQ(package_, first);
  auto again = store::Workspace::open(folder_ / "ws2");
  ASSERT_TRUE(again.ok());
  workspace_ = std::make_unique<store::Workspace>(*std::move(again));
  run(1, "int8");
  EXPECT_EQ(package_, first);
}

// The planted fault: integers cannot tell the classes apart any more. It must be noticed.
TEST_F(Compress, WhatIntegersRuinIsRefused) {
  const evaluation::Compression outcome = run(3e4F, "int8");
  ASSERT_EQ(outcome.candidates.size(), 2U);
  EXPECT_GT(outcome.candidates[0].metric, 0.95);
  EXPECT_GT(outcome.candidates[1].loss, 20);
  EXPECT_THAT(outcome.candidates[1].sentence, HasSubstr("refused: it loses"));
  EXPECT_EQ(outcome.precision, "f32");
  EXPECT_EQ(package_, uncompressed_);
  EXPECT_EQ(shipped(), package::Precision::f32);
}

TEST_F(Compress, TheLayerThatIntegersRuinStaysRealInAMixedNet) {
  const evaluation::Compression outcome = run(3e4F, "mixed");
  ASSERT_EQ(outcome.candidates.size(), 2U);
  EXPECT_EQ(outcome.precision, "mixed") << outcome.candidates[1].sentence;
  EXPECT_LE(outcome.candidates[1].interval.high, 0.5);
  EXPECT_EQ(shipped(), package::Precision::mixed);
}

TEST_F(Compress, AutoTriesInOrderAndSaysWhatItLeftOut) {
  const evaluation::Compression outcome = run(3e4F, "auto");
  ASSERT_GE(outcome.candidates.size(), 3U);
  EXPECT_EQ(outcome.candidates[1].precision, "int8");
  EXPECT_FALSE(outcome.candidates[1].kept);
  EXPECT_EQ(outcome.candidates[2].precision, "mixed");
  const bool tried = std::ranges::any_of(outcome.candidates, [](const auto& each) { return each.precision == "bf16"; });
  const bool said = std::ranges::any_of(outcome.remarks, [](const auto& each) { return each.starts_with("bf16 was not tried"); });
  EXPECT_NE(tried, said);
}

TEST_F(Compress, F32GoesOnAsItCame) {
  const evaluation::Compression outcome = run(1, "f32");
  EXPECT_EQ(outcome.precision, "f32");
  EXPECT_TRUE(outcome.candidates.empty());
  EXPECT_EQ(package_, uncompressed_);
}

TEST_F(Compress, WithoutValidationImagesNothingIsTried) {
  for (dataset::Sample& sample : manifest_.samples) sample.split = dataset::Split::train;
  const evaluation::Compression outcome = run(1, "auto");
  EXPECT_EQ(package_, uncompressed_);
  EXPECT_THAT(outcome.sentence, HasSubstr("no validation images"));
}

}  // namespace
}  // namespace sightline::factory
