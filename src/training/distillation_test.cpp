#include <gtest/gtest.h>

#include "base/files.h"
#include "dataset/packed_set.h"
#include "graph/builder.h"
#include "training/loss.h"
#include "training/toy_set.h"
#include "training/training.h"

namespace sightline::training {
namespace {

constexpr std::int64_t width = 6;

// The toy set with a teacher's numbers beside each picture: a function of the texture.
void write_views(const std::string& toy, const std::string& path) {
  const auto set = dataset::PackedSet::open(toy);
  ASSERT_TRUE(set.ok());
  const Tensor pixels = set->pixels();
  std::vector<dataset::Split> splits;
  for (const std::uint8_t split : set->splits()) splits.push_back(static_cast<dataset::Split>(split));
  const std::vector<std::int32_t> labels(set->labels().begin(), set->labels().end());
  const auto file = dataset::PackedWriter::open(
      path, {.height = toy::side, .width = toy::side, .channels = 1, .targets = width, .classes = set->classes()}, labels, splits);
  ASSERT_TRUE(file.ok());
  const auto bytes = static_cast<std::size_t>(toy::side * toy::side);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    std::vector<float> target;
    for (std::int64_t k = 0; k < width; ++k) target.push_back(k == 5 ? 3.0F : static_cast<float>((labels[i] + 1) * (k + 1) % 4));
    ASSERT_TRUE(
        file->write(static_cast<std::int64_t>(i), {reinterpret_cast<const std::uint8_t*>(pixels.data()) + i * bytes, bytes}, target).ok());
  }
}

graph::Graph student() {
  graph::Builder builder(5);
  std::string x = builder.image_input(toy::side, toy::side, 1, {125}, {60});
  x = builder.relu(builder.batch_norm(builder.conv(x, 16, {})));
  x = builder.relu(builder.batch_norm(builder.conv(x, 16, {.stride = 2})));
  builder.rename(builder.linear(builder.flatten(builder.global_average_pool(x)), width), "logits");
  return *builder.finish({"logits"}, {"logits"});
}

struct Distilled {
  toy::Folder folder;
  modules::TrainingSpec spec;
  std::vector<Json> epochs;
  Distilled() {
    toy::write_set(folder / "toy");
    write_views(folder / "toy", folder / "set");
    EXPECT_TRUE(write_file(folder / "graph.onnx", *graph::serialize_onnx(student())).ok());
    spec = {.graph = folder / "graph.onnx", .data = folder / "set", .output = folder / "out", .checkpoint = folder / "checkpoint"};
    spec.recipe.side = toy::side;
    spec.recipe.channels = 1;
    spec.recipe.epochs = 4;
    spec.recipe.batch = 32;
    spec.recipe.optimizer = modules::Optimizer::adamw;
    spec.recipe.learning_rate = 0.02;
    spec.recipe.label_smoothing = 0;
    spec.seed = 7;
    spec.threads = 1;
  }
  Result<void> run() {
    return train(spec, [&](const Json& event) {
      if (event["event"] == "epoch") epochs.push_back(event);
    });
  }
};

TEST(DistillationLoss, IsSquaredDifferencePlusAngleOnStandardisedTargets) {
  const std::vector<float> targets{1, 5, 3, 5, 5, 5, 9, 5};  // rows of two; the second number never varies; the last row takes no part
  const std::vector<std::int64_t> chosen{0, 1, 2};
  const TargetScale scale = scale_of(targets, 2, chosen);
  EXPECT_FLOAT_EQ(scale.mean[0].item<float>(), 3);
  EXPECT_FLOAT_EQ(scale.inverse_deviation[0].item<float>(), 1 / std::sqrt(8.0F / 3));
  EXPECT_EQ(scale.inverse_deviation[1].item<float>(), 0);
  const float wanted = 2 / std::sqrt(8.0F / 3);  // of the row (5, 5): (wanted, 0)
  const torch::Tensor predicted = torch::tensor({{wanted, wanted}});
  const double loss = distillation_loss(predicted, torch::tensor({{5.0F, 5.0F}}), scale).item<double>();
  EXPECT_NEAR(loss, wanted * wanted / 2 + 1 - std::sqrt(0.5), 1e-5);
  // A number that lies a thousand deviations away counts as six.
  EXPECT_NEAR(distillation_loss(torch::tensor({{6.0F, 0.0F}}), torch::tensor({{3000.0F, 5.0F}}), scale).item<double>(), 0, 1e-5);
}

TEST(Distillation, LearnsTheTargetsAndReportsNoTop1) {
  Distilled toy;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_EQ(toy.epochs.size(), 4U);
  EXPECT_LT(toy.epochs[3]["validation_loss"].get<double>(), 0.5 * toy.epochs[0]["validation_loss"].get<double>());
  EXPECT_TRUE(toy.epochs[3]["train_top1"].is_null());
  EXPECT_TRUE(toy.epochs[3]["validation_top1"].is_null());
}

TEST(Distillation, WithBf16LearnsAsWell) {
  Distilled exact, rounded;
  rounded.spec.recipe.bf16 = true;
  ASSERT_TRUE(exact.run().ok());
  ASSERT_TRUE(rounded.run().ok());
  EXPECT_NEAR(rounded.epochs[3]["validation_loss"].get<double>(), exact.epochs[3]["validation_loss"].get<double>(), 0.05);
  EXPECT_NE(*read_file(rounded.spec.output + "/model.onnx"), *read_file(exact.spec.output + "/model.onnx"));
}

TEST(Distillation, LeavesOutASetWhollyAndRefusesAnUnknownOne) {
  Distilled all, part;
  part.spec.leave_out = {"squares"};
  ASSERT_TRUE(all.run().ok());
  ASSERT_TRUE(part.run().ok());
  EXPECT_NE(*read_file(part.spec.output + "/model.onnx"), *read_file(all.spec.output + "/model.onnx"));
  EXPECT_EQ((*read_json_file(part.spec.output + "/history.json"))["schedule"]["steps_per_epoch"],
            5);  // 160 of 240 samples in batches of 32
  part.spec.leave_out = {"circles"};
  EXPECT_EQ(part.run().error().kind, ErrorKind::usage);
}

TEST(Distillation, RefusesWhatIsForLabels) {
  Distilled toy;
  toy.spec.recipe.label_smoothing = 0.1;
  EXPECT_EQ(toy.run().error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::training
