// A reader trained by the one loop, on lines that are drawn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules/reader.h"
#include "training/toy_run.h"
#include "training/toy_texts.h"

namespace sightline::training {
namespace {

using testing::HasSubstr;

constexpr PictureShape shape{16, 64, 1};

struct Toy : toy::Run {
  explicit Toy(std::size_t training = 32, std::size_t validation = 0, std::int64_t symbols = 3) : Run("read") {
    std::vector<toy::TextLine> lines;
    for (std::size_t i = 0; i < training + validation; ++i) lines.push_back(toy::draw_line(shape, i));
    toy::write_lines(folder / "set", shape, lines, training);
    spec.recipe.side = shape.height;
    spec.recipe.width = shape.width;
    spec.recipe.channels = 1;
    spec.recipe.learning_rate = 0.004;
    spec.recipe.clip = 5;
    write_graph(modules::build_reader(
        {.height = shape.height, .width = shape.width, .channels = 1, .symbols = symbols, .mean = {127.5F}, .deviation = {64}, .seed = 2}));
  }
};

TEST(ReadTraining, LearnsThirtyTwoLinesByHeart) {
  Toy toy;
  toy.spec.recipe.epochs = 200;  // 400 steps: for the first hundreds the loss stays at what the symbols' frequencies explain
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_LT(toy.events.back()["loss"].get<double>(), 0.05);
  EXPECT_EQ(toy.events.back()["train_top1"], 1.0);
}

TEST(ReadTraining, ReadsLinesThatItNeverSaw) {
  Toy toy(200, 60);
  toy.spec.recipe.epochs = 40;
  toy.spec.recipe.augmentation = modules::Augmentation::text;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_GT(toy.events.back()["validation_top1"].get<double>(), 0.9);
}

TEST(ReadTraining, InterruptedAndResumedEndsInTheSameBits) {
  Toy whole(32, 16), torn(32, 16);
  whole.spec.recipe.epochs = torn.spec.recipe.epochs = 4;
  whole.spec.recipe.augmentation = torn.spec.recipe.augmentation = modules::Augmentation::text;
  toy::expect_same_bits(whole, torn);
}

TEST(ReadTraining, RefusesWhatCannotBeRead) {
  const auto refusal = [](Toy& toy) {
    const auto status = toy.run();
    return status.ok() ? std::string("it was trained") : status.error().message;
  };
  Toy other(8, 0, 5);
  EXPECT_THAT(refusal(other), HasSubstr("no reader of 3 symbols"));
  Toy mirrored(8);
  mirrored.spec.recipe.augmentation = modules::Augmentation::flip;
  EXPECT_THAT(refusal(mirrored), HasSubstr("mirrored text"));
  Toy smoothed(8);
  smoothed.spec.recipe.label_smoothing = 0.1;
  EXPECT_THAT(refusal(smoothed), HasSubstr("label_smoothing"));
  Toy longer(8);
  toy::TextLine line = toy::draw_line(shape, 1);
  line.text.assign(9, 0);  // nine equals want 17 columns, and there are 16
  toy::write_lines(longer.folder / "set", shape, {line, line, line, line}, 4);
  EXPECT_THAT(refusal(longer), HasSubstr("wants 17 columns"));
}

}  // namespace
}  // namespace sightline::training
