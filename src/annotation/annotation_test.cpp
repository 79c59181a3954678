#include "annotation/annotation.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace sightline::annotation {
namespace {

Object object(std::int32_t label, Box box, double score = 1) { return {.label = label, .box = box, .score = score}; }

TEST(Annotation, OverlapIsTheSharedPartOfTheUnion) {
  EXPECT_DOUBLE_EQ(overlap({0, 0, 10, 10}, {5, 0, 15, 10}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(overlap({0, 0, 10, 10}, {0, 0, 10, 10}), 1);
  EXPECT_EQ(overlap({0, 0, 10, 10}, {10, 0, 20, 10}), 0);
  EXPECT_EQ(overlap({0, 0, 0, 10}, {0, 0, 0, 10}), 0);  // nothing has area
  EXPECT_EQ(Box({5, 0, 3, 10}).area(), 0);
}

TEST(Annotation, DifferenceNamesWhatIsMissingNewOrScoredDifferently) {
  const Annotation expected{{object(0, {10, 10, 50, 50}, 0.9), object(1, {100, 0, 140, 20}, 0.5), object(1, {0, 0, 5, 5}, 0.2)}};
  EXPECT_EQ(difference(expected, expected, 1e-4), "");
  Annotation got = expected;
  got.objects.pop_back();  // below what anybody is held to
  std::swap(got.objects[0], got.objects[1]);
  EXPECT_EQ(difference(expected, got, 1e-4), "");
  got.objects[1].score = 0.8;
  EXPECT_NE(difference(expected, got, 1e-4).find("has score 0.8"), std::string::npos);
  EXPECT_EQ(difference(expected, got, 0.15), "");
  got = expected;
  got.objects[0].label = 1;
  EXPECT_NE(difference(expected, got, 1e-4).find("missing"), std::string::npos);
  got = expected;
  got.objects.push_back(object(0, {200, 200, 240, 240}, 0.6));
  EXPECT_NE(difference(expected, got, 1e-4).find("new"), std::string::npos);
  got = expected;
  got.objects[0].box.right = 60;
  EXPECT_NE(difference(expected, got, 1e-4).find("missing"), std::string::npos);
}

TEST(Annotation, WhatIsSaidOfTheWholePictureIsCompared) {
  Annotation one{.score = 0.7}, other{.score = 0.7};
  EXPECT_EQ(difference(one, other, 0.01), "");
  EXPECT_EQ(one, other);
  other.score = 0.75;
  EXPECT_EQ(difference(one, other, 0.01), "the picture's score is 0.75 instead of 0.7");
  other = one;
  other.mask = Tensor::zeros(Dtype::u8, {2, 3});
  EXPECT_NE(one, other);
  one.mask = Tensor::zeros(Dtype::u8, {2, 3});
  EXPECT_EQ(one, other);
  one.mask.values<std::uint8_t>()[4] = 1;
  EXPECT_NE(one, other);
}

TEST(Annotation, LandmarksMayMoveByAShareOfWhatTheyCover) {
  const Annotation expected{.landmarks = {{Landmark::visible, 10, 20, 0.9}, {Landmark::visible, 110, 40, 0.8}}};
  Annotation got = expected;
  got.landmarks[1].x = 110.5;  // of 100 pixels
  EXPECT_EQ(difference(expected, got, 0.006), "");
  EXPECT_EQ(difference(expected, got, 0.004), "landmark 1 is at (110.50, 40.00) instead of (110.00, 40.00)");
  got = expected;
  got.landmarks[0].score = 0.7;
  EXPECT_EQ(difference(expected, got, 0.1), "landmark 0 has a score of 0.7 instead of 0.9");
  got.landmarks.pop_back();
  EXPECT_EQ(difference(expected, got, 0.1), "1 landmarks instead of 2");
}

TEST(Annotation, RestoredPicturesMayDifferByAShareOfTheirRange) {
  Annotation expected;
  expected.restored = Tensor::zeros(Dtype::u8, {2, 2, 1});
  Annotation got = expected;
  got.restored = Tensor::zeros(Dtype::u8, {2, 2, 1});
  got.restored.values<std::uint8_t>()[0] = 51;  // a fifth of the range at one of four: a tenth in the root mean square
  EXPECT_EQ(difference(expected, got, 0.11), "");
  EXPECT_EQ(difference(expected, got, 0.09), "the restored picture is 0.1 of its range from what it was");
  EXPECT_NE(difference(expected, Annotation(), 1), "");
}

TEST(Annotation, JsonHoldsWhatGoldenSamplesAreComparedBy) {
  Annotation said{.objects = {object(2, {1, 2, 3, 4}, 0.5)}, .label = 1, .score = 0.75};
  const auto read = struct_from_json<Annotation>(to_json(said));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, said);
  EXPECT_EQ(difference(said, *read, 1e-9), "");
}

TEST(Annotation, WhatIsLessSureIsLeftOutAndClassesHaveNames) {
  const Annotation said{{object(0, {0, 0, 1, 1}, 0.29), object(1, {0, 0, 1, 1}, 0.3)}};
  EXPECT_EQ(at_least(said, sure_score).objects.size(), 1U);
  EXPECT_EQ(name_of_class({"cell", "disc"}, 1), "disc");
  EXPECT_EQ(name_of_class({"cell"}, 7), "7");
  EXPECT_EQ(name_of_class({"cell"}, -1), "-1");
}

TEST(Annotation, MapsAsTextAreMeansOfTheirCells) {
  const Tensor map = Tensor::of<float>({2, 4}, {0, 0.2F, 1, 1, 0.4F, 0.6F, 1, 2});
  EXPECT_EQ(text_of_map(map, 4), "2 4 0033ffff6699ffff");
  EXPECT_EQ(text_of_map(map, 2), "2 2 1aff80ff");
  EXPECT_EQ(text_of_map({}, 4), "");
  const auto read = map_of_text("2 2 1aff80ff");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->shape(), (Shape{2, 2}));
  EXPECT_FLOAT_EQ(read->values<float>()[2], 128 / 255.0F);
  EXPECT_FALSE(map_of_text("")->defined());
  for (const char* bad : {"2", "2 2", "2 2 1aff80", "2 2 1aff80fg", "0 0 ", "-1 2 ffff", "9999 9999 00", "x"})
    EXPECT_FALSE(map_of_text(bad).ok()) << bad;
}

}  // namespace
}  // namespace sightline::annotation
