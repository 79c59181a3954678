// A real package, written and opened, over real files: pictures of one colour each, and a net that answers by colour.
#include "evaluation/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/random.h"
#include "evaluation/report.h"
#include "graph/builder.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr float kInverseTemperature = 0.5F;
constexpr int kSide = 12, kTest = 90, kTrain = 6;

// probabilities = softmax(0.5 × 4 × mean of the normalised channels): the strongest channel wins.
graph::Graph colour_net() {
  graph::Builder builder(1);
  std::string x = builder.image_input(kSide, kSide, 3, {127.5F, 127.5F, 127.5F}, {127.5F, 127.5F, 127.5F});
  x = builder.linear(builder.flatten(builder.global_average_pool(x)), 3);
  builder.rename(x, "logits");
  const std::string answer = builder.softmax(builder.scale("logits", kInverseTemperature, "inverse_temperature"));
  builder.rename(answer, "probabilities");
  auto graph = builder.finish({"probabilities"}, {});
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  for (auto& [name, value] : graph->initializers) {
    if (value.shape() == Shape{3, 3}) value = Tensor::of<float>({3, 3}, {4, 0, 0, 0, 4, 0, 0, 0, 4});
  }
  return *graph;
}

image::Image coloured(int channel, std::uint64_t seed) {
  Random random(seed);
  image::Image picture{20, 16, 3, std::vector<std::uint8_t>(20 * 16 * 3)};
  for (std::size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<std::uint8_t>((i % 3 == static_cast<std::size_t>(channel) ? 190 : 60) + random.below(60));
  return picture;
}

// One folder for all tests of this file: data, package and the opened model.
class Evaluating : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = std::filesystem::temp_directory_path() / ("sightline-evaluation-" + std::to_string(getpid()));
    std::filesystem::create_directories(root_ / "data");
    manifest_ = new dataset::Manifest;
    manifest_->root = (root_ / "data").string();
    manifest_->format = "folders";
    manifest_->classes = {"red", "green", "blue"};
    for (int i = 0; i < kTest + kTrain; ++i) {
      dataset::Sample sample;
      sample.path = "picture-" + std::to_string(i) + ".png";
      sample.label = i % 3;
      sample.split = i < kTest ? dataset::Split::test : dataset::Split::train;
      // Every tenth test picture shows the next colour: a wrong label that the model will stumble over.
      const int shown = i < kTest && i % 10 == 0 ? (sample.label + 1) % 3 : sample.label;
      ASSERT_TRUE(write_file(manifest_->root + "/" + sample.path, image::encode_png(coloured(shown, static_cast<std::uint64_t>(i)))).ok());
      manifest_->samples.push_back(sample);
    }
    package::Contents contents;
    contents.name = "colours";
    contents.graph = colour_net();
    contents.labels = {
        "blue",
        "green",
        "red",
    };
    // The net's outputs are red, green, blue; the labels of the package are in another order than the manifest's on purpose.
    for (auto& [name, value] : contents.graph.initializers) {
      if (value.shape() == Shape{3, 3}) value = Tensor::of<float>({3, 3}, {0, 0, 4, 0, 4, 0, 4, 0, 0});
    }
    contents.preprocessing = {.width = kSide, .height = kSide, .channels = 3};
    contents.golden = {{"red", coloured(0, 500)}, {"blue", coloured(2, 501)}};
    const auto written = package::write_package(contents, package_folder());
    ASSERT_TRUE(written.ok()) << written.error().message;
    auto opened = package::Model::open(package_folder(), {.threads = 1});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    model_ = new package::Model(*std::move(opened));
  }
  static void TearDownTestSuite() {
    delete model_;
    delete manifest_;
    model_ = nullptr;
    manifest_ = nullptr;
    std::filesystem::remove_all(root_);
  }
  void SetUp() override { ASSERT_NE(model_, nullptr) << "the package could not be made"; }

  static std::string package_folder() { return (root_ / "colours").string(); }
  static constexpr Options kOptions{.threads = 2, .latency_runs = 30, .progress = false};

  static inline std::filesystem::path root_;
  static inline dataset::Manifest* manifest_ = nullptr;
  static inline package::Model* model_ = nullptr;
};

TEST_F(Evaluating, MeasuresThePackageOnTheTestSplit) {
  const auto got = evaluate(*model_, *manifest_, package_folder(), kOptions);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->model, "colours");
  EXPECT_EQ(got->split, "test");
  EXPECT_THAT(got->classes, testing::ElementsAre("blue", "green", "red"));
  EXPECT_EQ(got->figures.count, kTest);
  EXPECT_NEAR(got->figures.top1, 0.9, 1e-12);  // every tenth label is wrong
  EXPECT_EQ(got->figures.top5, 1);
  EXPECT_EQ(got->figures.confusion[2][1], 3);  // red that shows green: pictures 0, 30, 60
  EXPECT_LT(got->intervals.at("top1").low, 0.9);
  EXPECT_GT(got->intervals.at("top1").high, 0.9);
  EXPECT_NEAR(got->temperature, 2, 1e-6);
  EXPECT_EQ(got->reliability_before.size(), 15U);
  EXPECT_NE(got->calibration_error_before, got->figures.calibration_error);
  ASSERT_EQ(got->worst.size(), 9U);
  for (std::size_t i = 0; i < got->worst.size(); ++i) {
    EXPECT_NE(got->worst[i].given, got->worst[i].predicted);
    EXPECT_GT(got->worst[i].probability, got->worst[i].given_probability);
    if (i > 0) {
      EXPECT_GE(got->worst[i - 1].probability, got->worst[i].probability);
    }
  }
  EXPECT_EQ(got->latency.count, 30);
  EXPECT_EQ(got->latency.threads, 2);
  EXPECT_GT(got->latency.p50, 0);
  EXPECT_LE(got->latency.p50, got->latency.p95);
  EXPECT_LE(got->latency.p95, got->latency.p99);
  EXPECT_EQ(got->size_bytes, *package::shipped_size(package_folder()));
  EXPECT_GT(got->peak_memory_bytes, 1'000'000U);
  EXPECT_GT(got->images_per_second, 0);
}

TEST_F(Evaluating, TheTemperatureIsUndoneForBefore) {
  const auto answers = answer(*model_, *manifest_, dataset::Split::test, false);
  ASSERT_TRUE(answers.ok());
  ASSERT_EQ(answers->probabilities.shape(), (Shape{kTest, 3}));
  EXPECT_EQ(answers->samples.front(), 0);
  EXPECT_EQ(answers->labels.front(), 2);  // red, in the model's order
  const auto got = evaluate(*model_, *manifest_, package_folder(), kOptions);
  ASSERT_TRUE(got.ok());
  const Tensor sharper = tasks::apply_temperature(answers->probabilities, kInverseTemperature);
  EXPECT_NEAR(got->calibration_error_before, tasks::measure(sharper, answers->labels, got->classes).calibration_error, 1e-9);
}

TEST_F(Evaluating, AnswersAreTheSameEachTime) {
  const auto once = answer(*model_, *manifest_, dataset::Split::test, false, 1);
  const auto again = answer(*model_, *manifest_, dataset::Split::test, false, 4);
  ASSERT_TRUE(once.ok() && again.ok());
  EXPECT_TRUE(once->probabilities.same_as(again->probabilities));
}

TEST_F(Evaluating, SurvivesItsJson) {
  const auto got = evaluate(*model_, *manifest_, package_folder(), kOptions);
  ASSERT_TRUE(got.ok());
  const auto again = struct_from_json<Evaluation>(to_json(*got));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_json(*again), to_json(*got));
}

TEST_F(Evaluating, ABareOnnxFileIsWeighedAsAFile) {
  const std::string onnx = package_folder() + "/1/model.onnx";
  const auto got = evaluate(*model_, *manifest_, onnx, kOptions);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->size_bytes, std::filesystem::file_size(onnx));
  EXPECT_FALSE(evaluate(*model_, *manifest_, package_folder() + "/missing", kOptions).ok());
}

TEST_F(Evaluating, ClassesThatTheModelDoesNotKnowAreListed) {
  dataset::Manifest other = *manifest_;
  other.classes = {"red", "green", "violet"};
  const auto got = evaluate(*model_, other, package_folder(), kOptions);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().kind, ErrorKind::invalid_data);
  EXPECT_THAT(got.error().message, HasSubstr("does not know \"violet\""));
  EXPECT_THAT(got.error().message, HasSubstr("\"blue\""));
}

TEST_F(Evaluating, ClassesThatTheDataLackAreNoError) {
  dataset::Manifest other = *manifest_;
  std::erase_if(other.samples, [](const dataset::Sample& sample) { return sample.label == 2; });
  other.classes.pop_back();
  const auto got = evaluate(*model_, other, package_folder(), kOptions);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->figures.per_class[0].count, 0);  // blue
  EXPECT_GT(got->figures.macro_f1, 0.8);
}

TEST_F(Evaluating, SaysWhatIsWrongWithTheData) {
  dataset::Manifest other = *manifest_;
  other.samples[3].path = "gone.png";
  auto got = evaluate(*model_, other, package_folder(), kOptions);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().message, HasSubstr("gone.png"));

  other = *manifest_;
  other.samples[3].label = 7;
  got = evaluate(*model_, other, package_folder(), kOptions);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().message, HasSubstr("label 7"));

  Options validation = kOptions;
  validation.split = dataset::Split::validation;
  got = evaluate(*model_, *manifest_, package_folder(), validation);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().message, HasSubstr("validation split"));
}

TEST_F(Evaluating, TheReportShowsItsPictures) {
  auto got = evaluate(*model_, *manifest_, package_folder(), kOptions);
  ASSERT_TRUE(got.ok());
  got->worst.back().path = "gone.png";
  ReportInput input;
  input.demand.name = "colours";
  input.manifest = manifest_;
  input.evaluation = *got;
  input.verdict = gate(input.demand, *got, std::nullopt);
  const auto html = write_report(input);
  ASSERT_TRUE(html.ok()) << html.error().message;
  EXPECT_THAT(*html, HasSubstr("data:image/png;base64,iVBORw0KGgo"));
  EXPECT_THAT(*html, HasSubstr("9 of 90 answers are wrong"));
  EXPECT_THAT(*html, HasSubstr("no longer readable"));
}

}  // namespace
}  // namespace sightline::evaluation
