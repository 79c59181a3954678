#include "tasks/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using annotation::Object;
using testing::HasSubstr;

std::map<std::string, std::pair<Dtype, Shape>> signatures() {
  return {{"boxes", {Dtype::f32, {-1, 2100, 4}}}, {"scores", {Dtype::f32, {-1, 3, 2100}}}, {"selected", {Dtype::i64, {-1, 3}}}};
}

TEST(Detect, OutputsThatFitAreAccepted) {
  EXPECT_TRUE(check_detect_outputs(signatures(), 3).ok());
  auto more = signatures();
  more["class_logits"] = {Dtype::f32, {-1, 2100, 3}};  // others may be there
  EXPECT_TRUE(check_detect_outputs(more, 3).ok());
}

TEST(Detect, OutputsThatDoNotFitAreNamed) {
  const auto message = [](const auto& change, std::size_t classes = 3) {
    auto outputs = signatures();
    change(outputs);
    const auto result = check_detect_outputs(outputs, classes);
    if (result.ok()) return std::string("accepted");
    EXPECT_EQ(result.error().kind, ErrorKind::unsupported);
    return result.error().message;
  };
  EXPECT_THAT(message([](auto& outputs) { outputs.erase("selected"); }), HasSubstr("no output \"selected\""));
  EXPECT_THAT(message([](auto& outputs) { outputs["boxes"].first = Dtype::f16; }), HasSubstr("output \"boxes\" is f16"));
  EXPECT_THAT(message([](auto& outputs) { outputs["boxes"].second = {-1, 2100, 5}; }), HasSubstr("output \"boxes\" is N×2100×5"));
  EXPECT_THAT(message([](auto& outputs) { outputs["scores"].second = {-1, 2100}; }), HasSubstr("output \"scores\" is f32 N×2100"));
  EXPECT_THAT(message([](auto& outputs) { outputs["scores"].second = {-1, 2100, 3}; }), HasSubstr("do not fit together"));
  EXPECT_THAT(message([](auto& outputs) { outputs["selected"].second = {-1, 4}; }), HasSubstr("output \"selected\" is N×4"));
  EXPECT_THAT(message([](auto&) {}, 4), HasSubstr("there are 4 classes"));
}

// Two pictures, 2 classes, 3 points.
Outputs answers(const std::vector<std::int64_t>& selected) {
  Outputs outputs;
  outputs["boxes"] = Tensor::of<float>({2, 3, 4}, {10, 20, 30, 60, -8, 4, 20, 30, 100, 100, 140, 140,  //
                                                   0,  16, 64, 48, 0,  0, 64, 10, 30,  30,  30,  40});
  outputs["scores"] = Tensor::of<float>({2, 2, 3}, {0.5F, 0.25F, 0.75F, 0.125F, 0.5F, 0.0625F,  //
                                                    0.5F, 0.5F, 0.5F, 0.25F, 0.25F, 0.25F});
  outputs["selected"] = Tensor::of<std::int64_t>({static_cast<std::int64_t>(selected.size() / 3), 3}, selected);
  return outputs;
}
// The first picture as it is (64×64), the second 128×64 letterboxed into 64×64.
std::vector<image::Placement> placements() {
  return {image::placement_of(64, 64, 64, 64, image::Fit::fit), image::placement_of(128, 64, 64, 64, image::Fit::fit)};
}

TEST(Detect, AnswersComeBackIntoThePicturesFrame) {
  const auto decoded = decode_detect(answers({0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0}), placements());
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  ASSERT_EQ(decoded->size(), 2U);
  const auto& first = (*decoded)[0].objects;
  ASSERT_EQ(first.size(), 3U);
  EXPECT_EQ(first[0], (Object{.label = 0, .box = {10, 20, 30, 60}, .score = 0.5}));  // best first
  EXPECT_EQ(first[1], (Object{.label = 0, .box = {0, 4, 20, 30}, .score = 0.25}));   // cut at the edge
  EXPECT_EQ(first[2], (Object{.label = 1, .box = {10, 20, 30, 60}, .score = 0.125}));
  const auto& second = (*decoded)[1].objects;
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0], (Object{.label = 1, .box = {0, 0, 128, 64}, .score = 0.25}));  // half size, 16 rows of grey above
}

TEST(Detect, WhatIsNotThereIsNoObject) {
  // Outside of the picture; in the padding; without width; unused rows.
  const auto decoded = decode_detect(answers({0, 0, 2, 1, 0, 1, 1, 0, 2, -1, -1, -1, -1, -1, -1}), placements());
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE((*decoded)[0].objects.empty());
  EXPECT_TRUE((*decoded)[1].objects.empty());
  EXPECT_TRUE(decode_detect(answers({}), placements()).ok());
  // No numbers.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Outputs broken = answers({0, 0, 0, 0, 0, 1});
  broken["scores"].values<float>()[0] = nan;
  broken["boxes"].values<float>()[6] = nan;
  const auto cleaned = decode_detect(broken, placements());
  ASSERT_TRUE(cleaned.ok());
  EXPECT_TRUE((*cleaned)[0].objects.empty());
}

TEST(Detect, TheHundredBestAreKept) {
  Outputs outputs;
  std::vector<float> boxes, scores;
  std::vector<std::int64_t> selected;
  for (int i = 0; i < 150; ++i) {
    boxes.insert(boxes.end(), {0, 0, 10, 10});
    scores.push_back(static_cast<float>(i / 10) / 16);
    selected.insert(selected.end(), {0, 0, i});
  }
  outputs["boxes"] = Tensor::of<float>({1, 150, 4}, boxes);
  outputs["scores"] = Tensor::of<float>({1, 1, 150}, scores);
  outputs["selected"] = Tensor::of<std::int64_t>({150, 3}, selected);
  const std::vector<image::Placement> placement{image::placement_of(64, 64, 64, 64, image::Fit::fit)};
  const auto decoded = decode_detect(outputs, placement);
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ((*decoded)[0].objects.size(), 100U);
  EXPECT_EQ((*decoded)[0].objects.front().score, 14.0 / 16);
  EXPECT_EQ((*decoded)[0].objects.back().score, 5.0 / 16);
}

TEST(Detect, RowsThatNameWhatIsNotThereAreErrors) {
  for (const std::vector<std::int64_t>& row : {std::vector<std::int64_t>{2, 0, 0}, {0, 2, 0}, {0, 0, 3}, {0, -1, 0}, {-1, 0, 0}}) {
    const auto decoded = decode_detect(answers(row), placements());
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.error().kind, ErrorKind::invalid_data);
    EXPECT_THAT(decoded.error().message, HasSubstr("row 0 of output \"selected\""));
  }
  const std::vector<image::Placement> two = placements();
  const auto fewer = decode_detect(answers({}), std::span(two).first(1));
  ASSERT_FALSE(fewer.ok());
  EXPECT_THAT(fewer.error().message, HasSubstr("1 picture in the batch"));
  Outputs missing = answers({});
  missing.erase("boxes");
  EXPECT_EQ(decode_detect(missing, placements()).error().kind, ErrorKind::unsupported);
}

std::array<int, 3> pixel(const image::Image& picture, int x, int y) {
  const std::size_t at = static_cast<std::size_t>(y) * picture.row_bytes() + static_cast<std::size_t>(x) * 3;
  return {picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]};
}
std::array<int, 3> parts(image::Colour colour) { return {colour.red, colour.green, colour.blue}; }

image::Image grey(int width, int height) {
  image::Image picture{width, height, 3, {}};
  picture.pixels.assign(picture.row_bytes() * static_cast<std::size_t>(height), 128);
  return picture;
}

TEST(Detect, FoundBoxesAreWholeLinesInTheColourOfTheirClass) {
  image::Image picture = grey(320, 240);
  const Annotation annotation{
      {{.label = 1, .box = {100, 100, 200, 180}, .score = 0.9}, {.label = 0, .box = {90, 100, 200, 180}, .score = 0.2}}};
  draw_detect(picture, annotation, {"a", "b"});
  for (int y = 101; y < 179; ++y) EXPECT_EQ(pixel(picture, 199, y), parts(image::class_colour(1))) << y;  // the better one lies on top
  EXPECT_EQ(pixel(picture, 90, 150), parts(image::class_colour(0)));
  EXPECT_EQ(pixel(picture, 150, 140), (std::array<int, 3>{128, 128, 128}));  // nothing inside
  EXPECT_EQ(pixel(picture, 101, 98), parts(image::class_colour(1)));         // the label's bar above
}

TEST(Detect, TruthIsDashedAndLabelledBelow) {
  image::Image picture = grey(320, 240);
  draw_detect_truth(picture, {{{.label = 0, .box = {100, 100, 200, 180}}}}, {"a"});
  int coloured = 0, dark = 0;
  for (int y = 100; y < 180; ++y) {
    coloured += pixel(picture, 199, y) == parts(image::class_colour(0)) ? 1 : 0;
    dark += pixel(picture, 199, y) == std::array<int, 3>{24, 24, 24} ? 1 : 0;
  }
  EXPECT_EQ(coloured + dark, 80);
  EXPECT_EQ(coloured, 40);
  EXPECT_EQ(pixel(picture, 101, 181), (std::array<int, 3>{24, 24, 24}));
}

TEST(Detect, SmallPicturesKeepTheirBoxesAndLoseTheLabels) {
  image::Image picture = grey(24, 24);
  draw_detect(picture, {{{.label = 0, .box = {4, 10, 20, 20}, .score = 0.5}}}, {"platelets"});
  EXPECT_EQ(pixel(picture, 4, 15), parts(image::class_colour(0)));
  EXPECT_EQ(pixel(picture, 5, 8), (std::array<int, 3>{128, 128, 128}));
}

TEST(Detect, TheRowOfTheTableIsWhole) {
  const auto task = find_task("detect");
  ASSERT_TRUE(task.ok());
  EXPECT_STREQ((*task)->metrics.front().name, "mAP50");
  ASSERT_NE((*task)->meter, nullptr);
  // What a demand may target is measured.
  const auto meter = (*task)->meter({"a"});
  meter->add({.truth = {{{.box = {0, 0, 9, 9}}}}, .prediction = {{{.box = {0, 0, 9, 9}, .score = 0.5}}}, .width = 9, .height = 9});
  const std::vector<std::int64_t> chosen{0};
  const Figures figures = meter->figures(chosen, false);
  for (const Metric& metric : (*task)->metrics) EXPECT_EQ(figures.values.count(metric.name), 1U) << metric.name;
}

}  // namespace
}  // namespace sightline::tasks
