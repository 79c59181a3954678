#include "tasks/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "annotation/maps.h"
#include "tasks/instance_maps.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using testing::HasSubstr;

std::map<std::string, std::pair<Dtype, Shape>> signatures() {
  return {{"class_scores", {Dtype::f32, {-1, 3, 64, 96}}}, {"instance_maps", {Dtype::f32, {-1, 2, 64, 96}}}};
}

TEST(Segment, OutputsAreHeldToTheContract) {
  EXPECT_TRUE(check_segment_outputs(signatures(), 2).ok());
  const auto message = [](const auto& change, std::size_t classes = 2) {
    auto outputs = signatures();
    change(outputs);
    const auto result = check_segment_outputs(outputs, classes);
    if (result.ok()) return std::string("accepted");
    EXPECT_EQ(result.error().kind, ErrorKind::unsupported);
    return result.error().message;
  };
  EXPECT_EQ(message([](auto& outputs) { outputs.erase("instance_maps"); }), "accepted");
  EXPECT_THAT(message([](auto& outputs) { outputs.erase("class_scores"); }), HasSubstr("no output \"class_scores\""));
  EXPECT_THAT(message([](auto& outputs) { outputs["class_scores"].first = Dtype::u8; }), HasSubstr("\"class_scores\" is u8"));
  EXPECT_THAT(message([](auto& outputs) { outputs["class_scores"].second = {-1, 3, 64}; }), HasSubstr("N×3×64"));
  EXPECT_THAT(message([](auto& outputs) { outputs["instance_maps"].second = {-1, 2, 64, 64}; }), HasSubstr("\"instance_maps\""));
  EXPECT_THAT(message([](auto& outputs) { outputs["instance_maps"].second = {-1, 3, 64, 96}; }), HasSubstr("\"instance_maps\""));
  EXPECT_THAT(message([](auto&) {}, 3), HasSubstr("there are 3 classes"));
}

// Scores of two classes on 8×8 that say what `at` says of each place with this certainty.
template <class At>
Tensor scores_of(At at, float certainty = 0.8F) {
  Tensor scores = Tensor::filled({1, 3, 8, 8}, (1 - certainty) / 2);
  for (std::int64_t y = 0; y < 8; ++y)
    for (std::int64_t x = 0; x < 8; ++x) scores.values<float>()[static_cast<std::size_t>((at(x, y) * 8 + y) * 8 + x)] = certainty;
  return scores;
}

TEST(Segment, MasksComeBackIntoThePicturesFrame) {
  // A picture of 16×8 letterboxed into 8×8: half size, two rows of grey above and below, where the network says class 2.
  const image::Placement placement = image::placement_of(16, 8, 8, 8, image::Fit::fit);
  const Outputs outputs{{"class_scores", scores_of([](std::int64_t x, std::int64_t y) { return y < 2 || y > 5 ? 2 : x < 4 ? 1 : 0; })}};
  const auto answers = decode_segment(outputs, std::span(&placement, 1));
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  const Annotation& answer = (*answers)[0];
  ASSERT_EQ(answer.mask.shape(), (Shape{8, 16}));
  EXPECT_FALSE(answer.instances.defined());
  for (std::int64_t y = 0; y < 8; ++y)
    for (std::int64_t x = 0; x < 16; ++x)
      EXPECT_EQ(answer.mask.values<std::uint8_t>()[static_cast<std::size_t>(y * 16 + x)], x < 8 ? 1 : 0) << x << " " << y;
}

TEST(Segment, WhatIsNoNumberIsRefused) {
  const image::Placement placement = image::placement_of(8, 8, 8, 8, image::Fit::fit);
  Outputs outputs{{"class_scores", scores_of([](std::int64_t, std::int64_t) { return 0; })}};
  EXPECT_FALSE(decode_segment(outputs, std::vector{placement, placement}).ok());
  outputs.at("class_scores").values<float>()[70] = std::numeric_limits<float>::quiet_NaN();
  const auto answers = decode_segment(outputs, std::span(&placement, 1));
  ASSERT_FALSE(answers.ok());
  EXPECT_EQ(answers.error().kind, ErrorKind::invalid_data);
}

// Two squares of class 1 that touch, at the picture's own size, with the maps that would be right.
Annotation two_objects() {
  std::vector<std::int32_t> truth(64, 0);
  for (std::size_t y = 2; y < 6; ++y)
    for (std::size_t x = 0; x < 8; ++x) truth[y * 8 + x] = x < 4 ? 1 : 2;
  const InstanceMaps maps = maps_of_instances(truth, 8, 8);
  Outputs outputs{
      {"class_scores", scores_of([&](std::int64_t x, std::int64_t y) { return truth[static_cast<std::size_t>(y * 8 + x)] != 0 ? 1 : 0; })},
      {"instance_maps", Tensor(Dtype::f32, {1, 2, 8, 8})}};
  const auto both = outputs.at("instance_maps").values<float>();
  std::ranges::copy(maps.border, both.begin());
  std::ranges::copy(maps.depth, both.begin() + 64);
  const image::Placement placement = image::placement_of(8, 8, 8, 8, image::Fit::fit);
  auto answers = decode_segment(outputs, std::span(&placement, 1));
  EXPECT_TRUE(answers.ok());
  return std::move((*answers)[0]);
}

TEST(Segment, ObjectsThatTouchAreToldApart) {
  const Annotation answer = two_objects();
  ASSERT_EQ(answer.objects.size(), 2U);
  EXPECT_EQ(answer.objects[0].box, (annotation::Box{0, 2, 4, 6}));
  EXPECT_EQ(answer.objects[1].box, (annotation::Box{4, 2, 8, 6}));
  EXPECT_EQ(answer.objects[0].label, 0);
  EXPECT_NEAR(answer.objects[0].score, 0.8, 1e-6);
}

TEST(Segment, TellsMasksInFormsThatOthersRead) {
  const Told told = tell_segment(two_objects(), {"cell", "dirt"});
  ASSERT_EQ(told.json.at("classes").size(), 1U);
  const Json& cell = told.json.at("classes")[0];
  EXPECT_EQ(cell.at("name"), "cell");
  EXPECT_EQ(cell.at("pixels"), 32);
  EXPECT_DOUBLE_EQ(cell.at("share").get<double>(), 0.5);
  EXPECT_EQ(cell.at("rle").at("size"), Json::parse("[8,8]"));
  ASSERT_EQ(told.json.at("objects").size(), 2U);
  const Json& second = told.json.at("objects")[1];
  EXPECT_EQ(second.at("polygons"), Json::parse("[[4,2,8,2,8,6,4,6]]"));
  EXPECT_EQ(second.at("pixels"), 16);
  const auto pixels = annotation::mask_of_counts(second.at("rle").at("counts").get<std::string>(), 8, 8);
  ASSERT_TRUE(pixels.ok());
  EXPECT_EQ((*pixels)[2 * 8 + 4], 1);
  EXPECT_EQ((*pixels)[2 * 8 + 3], 0);
  EXPECT_EQ(told.rows, (std::vector<std::vector<std::string>>{{"cell", "50.00%", "2"}}));
  Annotation classes = two_objects();
  classes.instances = {};
  classes.objects.clear();
  const Told plain = tell_segment(classes, {"cell", "dirt"});
  EXPECT_FALSE(plain.json.contains("objects"));
  EXPECT_EQ(plain.json.at("classes")[0].at("polygons"), Json::parse("[[0,2,8,2,8,6,0,6]]"));
}

TEST(Segment, DrawsWhatIsThereAndLeavesTheRest) {
  const Annotation answer = two_objects();
  image::Image picture{.width = 8, .height = 8, .channels = 3, .pixels = std::vector<std::uint8_t>(192, 100)};
  const image::Image before = picture;
  draw_segment_truth(picture, answer, {"cell", "dirt"});
  const auto at = [](const image::Image& image, int x, int y) { return image.pixels[static_cast<std::size_t>((y * 8 + x) * 3)]; };
  EXPECT_EQ(at(picture, 3, 0), 100) << "background stays";
  EXPECT_EQ(at(picture, 1, 3), 100) << "lines alone";
  EXPECT_EQ(at(picture, 3, 3), image::class_colour(0).red) << "the border between two";
  picture = before;
  draw_segment(picture, answer, {"cell", "dirt"});
  EXPECT_EQ(at(picture, 1, 3), static_cast<std::uint8_t>(std::lround(0.6 * 100 + 0.4 * image::class_colour(0).red)));
}

}  // namespace
}  // namespace sightline::tasks
