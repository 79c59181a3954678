// A detector trained by the one loop, on pictures that are drawn.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "autograd/executor.h"
#include "modules/detector.h"
#include "training/toy_objects.h"
#include "training/toy_run.h"

namespace sightline::training {
namespace {

constexpr PictureShape shape{64, 64, 3};

struct Toy : toy::Run {
  std::vector<toy::Scene> scenes;

  explicit Toy(std::size_t training = 32, std::size_t validation = 0) : Run("detect") {
    for (std::size_t i = 0; i < training + validation; ++i) scenes.push_back(toy::draw_scene(shape, i));
    toy::write_scenes(folder / "set", shape, toy::figure_classes, scenes, training);
    spec.recipe.side = shape.height;
    write(3);
  }
  void write(std::int64_t classes) {
    write_graph(modules::build_detector({.height = shape.height,
                                         .width = shape.width,
                                         .channels = 3,
                                         .classes = classes,
                                         .mean = {127.5F, 127.5F, 127.5F},
                                         .deviation = {64, 64, 64},
                                         .seed = 2}));
  }
};

double overlap(const float* box, const dataset::PackedObject& object) {
  const double width = std::min(box[2], object.right) - std::max(box[0], object.left);
  const double height = std::min(box[3], object.bottom) - std::max(box[1], object.top);
  if (width <= 0 || height <= 0) return 0;
  return width * height /
         ((box[2] - box[0]) * (box[3] - box[1]) + (object.right - object.left) * (object.bottom - object.top) - width * height);
}

struct Found {
  int objects = 0, found = 0, wrong = 0;
};
// What the trained graph serves for these scenes, of what scores above a half.
Found found_in(const std::string& model, const std::vector<toy::Scene>& scenes) {
  Found found;
  const auto graph = graph::read_onnx(model);
  EXPECT_TRUE(graph.ok());
  auto executor = autograd::Executor::create(*graph);
  EXPECT_TRUE(executor.ok());
  const torch::NoGradGuard no_gradient;
  for (const toy::Scene& scene : scenes) {
    const torch::Tensor image =
        torch::from_blob(const_cast<std::uint8_t*>(scene.pixels.data()), {1, shape.height, shape.width, shape.channels}, torch::kByte);
    const auto outputs = executor->forward({image}, {"boxes", "scores", "selected"}, false);
    const torch::Tensor boxes = outputs[0].contiguous(), scores = outputs[1].contiguous(), selected = outputs[2].contiguous();
    std::vector<bool> hit(scene.objects.size(), false);
    for (std::int64_t row = 0; row < selected.size(0); ++row) {
      const std::int64_t* chosen = selected.data_ptr<std::int64_t>() + 3 * row;
      if (chosen[0] < 0 || scores.data_ptr<float>()[chosen[1] * scores.size(2) + chosen[2]] < 0.5F) continue;
      bool right = false;
      for (std::size_t i = 0; i < scene.objects.size(); ++i) {
        if (scene.objects[i].label != chosen[1] || overlap(boxes.data_ptr<float>() + 4 * chosen[2], scene.objects[i]) < 0.7) continue;
        right = true;
        hit[i] = true;
      }
      found.wrong += right ? 0 : 1;
    }
    found.objects += static_cast<int>(hit.size());
    found.found += static_cast<int>(std::ranges::count(hit, true));
  }
  return found;
}

TEST(DetectTraining, LearnsThirtyTwoPicturesByHeart) {
  Toy toy;
  toy.spec.recipe.epochs = 50;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  const double first = toy.events.front()["loss"].get<double>(), last = toy.events.back()["loss"].get<double>();
  EXPECT_LT(last, 0.06 * first);
  EXPECT_TRUE(toy.events.back()["train_top1"].is_null());
  const Found found = found_in(toy.spec.output + "/model.onnx", toy.scenes);
  EXPECT_GT(found.objects, 40);
  EXPECT_EQ(found.found, found.objects);
  EXPECT_EQ(found.wrong, 0);
}

TEST(DetectTraining, InterruptedAndGoneOnWithGivesTheSameBits) {
  const auto everything = [](Toy& toy) {
    toy.spec.recipe.epochs = 4;
    toy.spec.recipe.weight_average = 0.9;
    toy.spec.recipe.augmentation = modules::Augmentation::mosaic;
    toy.spec.recipe.backbone_rate = 0.3;
  };
  Toy whole(24, 8), torn(24, 8);
  everything(whole);
  everything(torn);
  toy::expect_same_bits(whole, torn);
  EXPECT_TRUE(whole.events.back()["validation_top1"].is_null());
}

TEST(DetectTraining, WithBf16LearnsAsWell) {
  Toy exact, rounded;
  exact.spec.recipe.epochs = rounded.spec.recipe.epochs = 6;
  rounded.spec.recipe.bf16 = true;
  ASSERT_TRUE(exact.run().ok());
  ASSERT_TRUE(rounded.run().ok());
  const double a = exact.events.back()["loss"].get<double>(), b = rounded.events.back()["loss"].get<double>();
  EXPECT_LT(a, 0.7 * exact.events.front()["loss"].get<double>());
  EXPECT_NEAR(b, a, 0.25 * a);
  EXPECT_NE(exact.model(), rounded.model());
}

TEST(DetectTraining, TheBackboneLearnsAtItsOwnRate) {
  Toy toy;
  toy.spec.recipe.epochs = 1;
  toy.spec.recipe.backbone_rate = 0;
  ASSERT_TRUE(toy.run().ok());
  const auto before = graph::read_onnx(toy.spec.graph), after = graph::read_onnx(toy.spec.output + "/model.onnx");
  ASSERT_TRUE(before.ok() && after.ok());
  int layer = 0;
  for (const graph::Node& node : before->nodes) {
    if (node.op_type != "Conv") continue;
    ++layer;
    const bool same = after->initializers.at(node.inputs[1]).same_as(before->initializers.at(node.inputs[1]));
    EXPECT_EQ(same, layer <= 10) << layer;
  }
  EXPECT_GT(layer, 30);
  for (const char* name : {"bins", "points.steps", "points.centres"})
    EXPECT_TRUE(after->initializers.at(name).same_as(before->initializers.at(name))) << name;
}

TEST(DetectTraining, WhatDoesNotFitIsNamedBeforeTheFirstStep) {
  const auto message = [](const std::function<void(Toy&)>& spoil, ErrorKind kind) {
    Toy toy(4);
    spoil(toy);
    return toy::refusal(toy, kind);
  };
  const auto says = [](const std::string& text, const char* what) { EXPECT_NE(text.find(what), std::string::npos) << text; };
  says(message([](Toy& toy) { toy.write(4); }, ErrorKind::invalid_data), "N×84×4, not N×84×3");
  says(message([](Toy& toy) { toy.spec.recipe.label_smoothing = 0.1; }, ErrorKind::usage), "label_smoothing");
  says(message([](Toy& toy) { toy.spec.leave_out = {"disc"}; }, ErrorKind::usage), "leave_out");
  says(message([](Toy& toy) { toy.spec.task = "detekt"; }, ErrorKind::not_found), "did you mean \"detect\"");
  says(message(
           [](Toy& toy) {
             for (toy::Scene& scene : toy.scenes) scene.objects.clear();
             toy::write_scenes(toy.spec.data, shape, toy::figure_classes, toy.scenes, 4);
           },
           ErrorKind::invalid_data),
       "no object");
  says(message([](Toy& toy) { toy::write_set(toy.spec.data); }, ErrorKind::invalid_data), "8");
  says(message(
           [](Toy& toy) {
             toy.spec.task = "classify";
             toy.spec.recipe.augmentation = modules::Augmentation::mosaic;
           },
           ErrorKind::usage),
       "mosaic");
}

}  // namespace
}  // namespace sightline::training
