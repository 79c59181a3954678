// A segmenter trained by the one loop, on pictures that are drawn.
#include <gtest/gtest.h>

#include <functional>

#include "autograd/executor.h"
#include "modules/segmenter.h"
#include "tasks/segment.h"
#include "tasks/segment_metrics.h"
#include "training/toy_masks.h"
#include "training/toy_run.h"

namespace sightline::training {
namespace {

constexpr PictureShape shape{64, 64, 3};

struct Toy : toy::Run {
  std::vector<toy::MaskedScene> scenes;

  explicit Toy(std::size_t training = 32, std::size_t validation = 0) : Run("segment") {
    for (std::size_t i = 0; i < training + validation; ++i) scenes.push_back(toy::draw_discs(shape, i));
    toy::write_masked(folder / "set", shape, scenes, training);
    spec.recipe.side = shape.height;
    write(1, true);
  }
  void write(std::int64_t classes, bool instances) {
    write_graph(modules::build_segmenter({.height = shape.height,
                                          .width = shape.width,
                                          .channels = 3,
                                          .classes = classes,
                                          .instances = instances,
                                          .mean = {127.5F, 127.5F, 127.5F},
                                          .deviation = {64, 64, 64},
                                          .seed = 2}));
  }
};

annotation::Annotation truth_of(const toy::MaskedScene& scene) {
  annotation::Annotation truth;
  truth.mask = Tensor::of<std::uint8_t>({shape.height, shape.width}, scene.mask);
  truth.instances = Tensor::zeros(Dtype::i32, {shape.height, shape.width});
  std::vector<std::int32_t> number(16, 0);
  for (std::size_t i = 0; i < scene.mask.size(); ++i) {
    std::int32_t& own = number[scene.instances[i]];
    if (scene.instances[i] == 0) continue;
    if (own == 0) {
      truth.objects.emplace_back();
      own = static_cast<std::int32_t>(truth.objects.size());
    }
    truth.instances.values<std::int32_t>()[i] = own;
  }
  return truth;
}

TEST(SegmentTraining, LearnsThirtyTwoPicturesByHeart) {
  Toy toy;
  toy.spec.recipe.epochs = 60;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  const double first = toy.events.front()["loss"].get<double>(), last = toy.events.back()["loss"].get<double>();
  EXPECT_LT(last, 0.25 * first);  // borders and depths are shares, so that their loss does not end at 0
  EXPECT_TRUE(toy.events.back()["train_top1"].is_null());
  const auto graph = graph::read_onnx(toy.spec.output + "/model.onnx");
  ASSERT_TRUE(graph.ok());
  auto executor = autograd::Executor::create(*graph);
  ASSERT_TRUE(executor.ok());
  const torch::NoGradGuard no_gradient;
  const auto meter = tasks::segment_meter({"disc"});
  std::vector<std::int64_t> all;
  const image::Placement placement = image::placement_of(shape.width, shape.height, shape.width, shape.height, image::Fit::fit);
  for (toy::MaskedScene& scene : toy.scenes) {
    const torch::Tensor image = torch::from_blob(scene.pixels.data(), {1, shape.height, shape.width, 3}, torch::kByte);
    const auto outputs = executor->forward({image}, {"class_scores", "instance_maps"}, false);
    torch::Tensor scores = outputs[0].contiguous(), maps = outputs[1].contiguous();
    const tasks::Outputs named{{"class_scores", Tensor::view_of(Dtype::f32, {1, 2, shape.height, shape.width}, scores.data_ptr())},
                               {"instance_maps", Tensor::view_of(Dtype::f32, {1, 2, shape.height, shape.width}, maps.data_ptr())}};
    auto answers = tasks::decode_segment(named, std::span(&placement, 1));
    ASSERT_TRUE(answers.ok()) << answers.error().message;
    all.push_back(std::ssize(all));
    meter->add({truth_of(scene), std::move((*answers)[0]), shape.width, shape.height});
  }
  const tasks::Figures figures = meter->figures(all, false);
  EXPECT_GT(figures.count, 100);
  EXPECT_GT(figures.values.at("mIoU"), 0.95);
  EXPECT_GT(figures.values.at("mask_ap50"), 0.9);
}

TEST(SegmentTraining, InterruptedAndGoneOnWithGivesTheSameBits) {
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

TEST(SegmentTraining, WhatDoesNotFitIsNamedBeforeTheFirstStep) {
  const auto message = [](const std::function<void(Toy&)>& spoil, ErrorKind kind) {
    Toy toy(4);
    spoil(toy);
    return toy::refusal(toy, kind);
  };
  const auto says = [](const std::string& text, const char* what) { EXPECT_NE(text.find(what), std::string::npos) << text; };
  says(message([](Toy& toy) { toy.write(2, true); }, ErrorKind::invalid_data), "N×3×64×64, not N×2×64×64");
  says(message([](Toy& toy) { toy.write(1, false); }, ErrorKind::invalid_data), "\"instance_logits\" is missing");
  says(message([](Toy& toy) { toy.spec.recipe.label_smoothing = 0.1; }, ErrorKind::usage), "label_smoothing");
  says(message([](Toy& toy) { toy.spec.leave_out = {"disc"}; }, ErrorKind::invalid_data), "0 training samples");
  says(message([](Toy& toy) { toy.spec.recipe.augmentation = modules::Augmentation::mosaic; }, ErrorKind::usage), "mosaic");
  says(message([](Toy& toy) { toy.spec.task = "segmant"; }, ErrorKind::not_found), "did you mean \"segment\"");
  // Without objects classes are enough.
  Toy plain(4);
  toy::write_masked(plain.spec.data, shape, plain.scenes, 4, false);
  plain.spec.recipe.epochs = 1;
  const auto status = plain.run();
  EXPECT_TRUE(status.ok()) << status.error().message;
}

}  // namespace
}  // namespace sightline::training
