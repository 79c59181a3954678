// A restorer trained by the one loop, on pictures that are drawn and degraded.
#include <gtest/gtest.h>

#include <functional>

#include "modules/restorer.h"
#include "tasks/degradation.h"
#include "tasks/restore_metrics.h"
#include "training/augment_sharp.h"
#include "training/restore_loss.h"
#include "training/toy_run.h"
#include "training/toy_sharp.h"

namespace sightline::training {
namespace {

struct Toy : toy::Run {
  std::vector<std::vector<std::uint8_t>> pictures;

  explicit Toy(std::size_t training = 32, std::size_t validation = 0, int channels = 1, int side = 96) : Run("restore") {
    const PictureShape shape{side, side, channels};
    for (std::size_t i = 0; i < training + validation; ++i) pictures.push_back(toy::draw_sharp(shape, i));
    toy::write_sharp(folder / "set", shape, pictures, training);
    spec.recipe.batch = 8;
    spec.recipe.weight_decay = 0;
    spec.recipe.clip = 1;
    write({.noise = {25}}, 1, channels);
  }
  void write(const tasks::Degradation& stated, std::int64_t scale, std::int64_t channels) {
    auto graph = modules::build_restorer({.height = 80, .width = 80, .channels = channels, .scale = scale, .maps = 16, .seed = 2});
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    const auto degradation = tasks::settled(stated);
    ASSERT_TRUE(degradation.ok()) << degradation.error().message;
    graph->metadata[tasks::restoration_key] = json_text(to_json(tasks::Restoration{.degradation = *degradation}));
    write_graph(graph);
  }
};

TEST(RestoreTraining, LearnsThirtyTwoPicturesByHeart) {
  Toy toy;
  toy.spec.recipe.epochs = 80;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  const double first = toy.events.front()["loss"].get<double>(), last = toy.events.back()["loss"].get<double>();
  // The loss has the logarithm of a variance in it, and falls below 0. The noise itself must be learned by heart: blind, 32 dB would do.
  EXPECT_LT(last, first - 0.1);
  EXPECT_TRUE(toy.events.back()["train_top1"].is_null());
}

TEST(RestoreTraining, LearnsToTakeNoiseOutOfWhatItNeverSaw) {
  Toy toy(48, 16);
  toy.spec.recipe.epochs = 25;
  toy.spec.recipe.augmentation = modules::Augmentation::flip;
  toy.spec.recipe.weight_average = 0.98;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  // Absolute differences on the scale of half the range: noise of 25 levels is 0.156 of it, less where it is cut.
  const double noise = 0.15, last = toy.events.back()["validation_loss"].get<double>();
  EXPECT_LT(last, 0.5 * noise);
  EXPECT_GT(last, 0);
}

TEST(RestoreTraining, InterruptedAndGoneOnWithGivesTheSameBits) {
  const auto everything = [](Toy& toy) {
    toy.spec.recipe.epochs = 4;
    toy.spec.recipe.weight_average = 0.9;
    toy.spec.recipe.augmentation = modules::Augmentation::flip;
    toy.write({.kind = tasks::RestoreKind::deblur, .blur = {3, 7}, .photons = {200}, .jpeg = {60, 95}}, 1, 3);
  };
  Toy whole(24, 8, 3), torn(24, 8, 3);
  everything(whole);
  everything(torn);
  toy::expect_same_bits(whole, torn);
}

TEST(RestoreTraining, MakesPicturesLarger) {
  for (const int scale : {2, 4}) {
    Toy toy(8, 4, 1, 160);
    toy.write({.kind = tasks::RestoreKind::super_resolve, .scale = scale}, scale, 1);
    toy.spec.recipe.augmentation = modules::Augmentation::flip;
    const auto status = toy.run();
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_GT(toy.events.back()["validation_loss"].get<double>(), 0);
  }
}

TEST(RestoreTraining, WhatDoesNotFitIsNamedBeforeTheFirstStep) {
  const auto message = [](const std::function<void(Toy&)>& spoil, ErrorKind kind) {
    Toy toy(4);
    spoil(toy);
    return toy::refusal(toy, kind);
  };
  const auto says = [](const std::string& text, const char* what) { EXPECT_NE(text.find(what), std::string::npos) << text; };
  says(message([](Toy& toy) { toy.write({.kind = tasks::RestoreKind::super_resolve}, 1, 1); }, ErrorKind::invalid_data),
       "2 times as large");
  says(message([](Toy& toy) { toy.write({.kind = tasks::RestoreKind::deblur, .blur = {30}}, 1, 1); }, ErrorKind::invalid_data),
       "want squares of 126 or more");
  says(message([](Toy& toy) { toy.write({}, 1, 3); }, ErrorKind::invalid_data), "u8");
  says(message([](Toy& toy) { toy.spec.recipe.label_smoothing = 0.1; }, ErrorKind::usage), "label_smoothing");
  says(message([](Toy& toy) { toy.spec.recipe.augmentation = modules::Augmentation::strong; }, ErrorKind::usage), "must be sharp");
}

TEST(AugmentSharp, TheDegradedCropLiesWhereTheSharpOneDoes) {
  const PictureShape shape{96, 96, 3}, crop{32, 32, 3};
  const std::vector<std::uint8_t> picture = toy::draw_sharp(shape, 5);
  std::vector<std::uint8_t> degraded(crop.bytes()), sharp(crop.bytes()), again(crop.bytes()), other(crop.bytes());
  for (const auto kind : {modules::Augmentation::none, modules::Augmentation::flip})
    for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
      const SharpTiles noisy{shape, *tasks::settled({.noise = {2}})};
      augment_sharp(kind, noisy, crop, picture, degraded, sharp, 1, epoch, 3);
      double sum = 0;
      for (std::size_t i = 0; i < sharp.size(); ++i) sum += std::abs(sharp[i] - degraded[i]);
      EXPECT_LT(sum / static_cast<double>(sharp.size()), 3);  // moved by a pixel or mirrored it would be far more
      augment_sharp(kind, noisy, crop, picture, again, other, 1, epoch, 3);
      EXPECT_EQ(again, degraded);
      augment_sharp(kind, noisy, crop, picture, again, other, 1, epoch + 1, 3);
      if (kind == modules::Augmentation::none)
        EXPECT_EQ(again, degraded);
      else
        EXPECT_NE(again, degraded);
    }
  // What is around the crop is seen through the blur: a flat picture stays flat up to its edge.
  const std::vector<std::uint8_t> flat(shape.bytes(), 90);
  const SharpTiles blurry{shape, *tasks::settled({.kind = tasks::RestoreKind::deblur, .blur = {15}, .noise = {0}})};
  augment_sharp(modules::Augmentation::flip, blurry, crop, flat, degraded, sharp, 1, 0, 0);
  for (const std::uint8_t value : degraded) EXPECT_NEAR(value, 90, 1);
}

TEST(RestoreLoss, AreTheWorkedNumbersAndTheGradientIsOfTheDeviationAlone) {
  const torch::Tensor picture = torch::zeros({1, 1, 1, 2}, torch::requires_grad()), wanted = torch::tensor({0.5F, 0.0F}).view({1, 1, 1, 2});
  EXPECT_NEAR(charbonnier_loss(picture, wanted).item<double>(), (std::sqrt(0.25 + 1e-6) + 1e-3) / 2 - 1e-3, 1e-6);
  const torch::Tensor log_variance = torch::full({1, 1, 1, 2}, std::log(0.25F), torch::requires_grad());
  const torch::Tensor loss = deviation_loss(picture, log_variance, wanted);
  EXPECT_NEAR(loss.item<double>(), 0.5 * (std::log(0.25) + 0.5), 1e-6);
  loss.backward();
  EXPECT_FALSE(picture.grad().defined());
  EXPECT_NEAR(log_variance.grad()[0][0][0][0].item<double>(), 0, 1e-6);     // off by just its deviation
  EXPECT_NEAR(log_variance.grad()[0][0][0][1].item<double>(), 0.25, 1e-6);  // nothing is off here: too unsure
}

}  // namespace
}  // namespace sightline::training
