// A landmarker trained by the one loop, on pictures that are drawn.
#include <gtest/gtest.h>

#include <functional>

#include "autograd/executor.h"
#include "modules/landmarker.h"
#include "tasks/landmarks.h"
#include "training/toy_landmarks.h"
#include "training/toy_masks.h"
#include "training/toy_run.h"

namespace sightline::training {
namespace {

constexpr PictureShape shape{64, 64, 3};

struct Toy : toy::Run {
  std::vector<toy::Pointed> scenes;

  explicit Toy(std::size_t training = 32, std::size_t validation = 0) : Run("landmarks") {
    for (std::size_t i = 0; i < training + validation; ++i) scenes.push_back(toy::draw_bar(shape, i));
    toy::write_pointed(folder / "set", shape, scenes, training);
    spec.recipe.side = shape.height;
    write(3);
  }
  void write(std::int64_t landmarks) {
    write_graph(modules::build_landmarker({.height = shape.height,
                                           .width = shape.width,
                                           .channels = 3,
                                           .landmarks = landmarks,
                                           .mean = {127.5F, 127.5F, 127.5F},
                                           .deviation = {64, 64, 64},
                                           .seed = 2}));
  }
};

TEST(LandmarkTraining, LearnsThirtyTwoPicturesByHeart) {
  Toy toy;
  toy.spec.recipe.epochs = 60;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_LT(toy.events.back()["loss"].get<double>(), 0.05 * toy.events.front()["loss"].get<double>());
  const auto graph = graph::read_onnx(toy.spec.output + "/model.onnx");
  ASSERT_TRUE(graph.ok());
  auto executor = autograd::Executor::create(*graph);
  ASSERT_TRUE(executor.ok());
  const torch::NoGradGuard no_gradient;
  const image::Placement placement = image::placement_of(shape.width, shape.height, shape.width, shape.height, image::Fit::fit);
  const std::map<std::string, std::string> metadata;
  double off = 0, count = 0;
  for (toy::Pointed& scene : toy.scenes) {
    const torch::Tensor image = torch::from_blob(scene.pixels.data(), {1, shape.height, shape.width, 3}, torch::kByte);
    torch::Tensor maps = executor->forward({image}, {"heat_maps"}, false)[0].contiguous();
    const tasks::Outputs named{{"heat_maps", Tensor::view_of(Dtype::f32, {1, 3, 16, 16}, maps.data_ptr())}};
    const auto answers = tasks::decode_landmarks(named, std::span(&placement, 1), {toy::point_names, metadata});
    ASSERT_TRUE(answers.ok()) << answers.error().message;
    for (std::size_t k = 0; k < 3; ++k, ++count)
      off += std::hypot((*answers)[0].landmarks[k].x - static_cast<double>(scene.landmarks[k].x),
                        (*answers)[0].landmarks[k].y - static_cast<double>(scene.landmarks[k].y));
  }
  EXPECT_LT(off / count, 0.7);  // of 64 pixels
}

TEST(LandmarkTraining, InterruptedAndGoneOnWithGivesTheSameBits) {
  const auto everything = [](Toy& toy) {
    toy.spec.recipe.epochs = 4;
    toy.spec.recipe.weight_average = 0.9;
    toy.spec.recipe.augmentation = modules::Augmentation::strong;
    toy.spec.recipe.backbone_rate = 0.3;
  };
  Toy whole(24, 8), torn(24, 8);
  everything(whole);
  everything(torn);
  toy::expect_same_bits(whole, torn);
}

TEST(LandmarkTraining, WhatDoesNotFitIsNamedBeforeTheFirstStep) {
  const auto message = [](const std::function<void(Toy&)>& spoil, ErrorKind kind) {
    Toy toy(4);
    spoil(toy);
    return toy::refusal(toy, kind);
  };
  const auto says = [](const std::string& text, const char* what) { EXPECT_NE(text.find(what), std::string::npos) << text; };
  says(message([](Toy& toy) { toy.write(2); }, ErrorKind::invalid_data), "N×2×16×16, not N×3×16×16");
  says(message([](Toy& toy) { toy.spec.recipe.label_smoothing = 0.1; }, ErrorKind::usage), "label_smoothing");
  says(message([](Toy& toy) { toy.spec.recipe.augmentation = modules::Augmentation::mosaic; }, ErrorKind::usage), "mosaic");
  // Pictures of the right size, and no points.
  says(message(
           [](Toy& toy) {
             toy::write_masked(toy.spec.data, shape, {toy::draw_discs(shape, 1), toy::draw_discs(shape, 2)}, 2);
           },
           ErrorKind::invalid_data),
       "no landmarks");
}

}  // namespace
}  // namespace sightline::training
