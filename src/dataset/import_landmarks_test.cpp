// Importing pictures with landmarks: what the table gives, and what is wrong in it.
#include <gmock/gmock.h>

#include "dataset/import.h"
#include "dataset/packed_set.h"
#include "dataset/split.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using annotation::Landmark;
using testing::ElementsAre;
using testing::HasSubstr;

std::string png(int seed, int width = 40, int height = 20) { return image::encode_png(scene(width, height, 3, seed)); }

Result<Manifest> import_from(const TestFolder& folder, demand::Data data = {.max_rejected = 1}) {
  data.path = folder.path();
  return import_data(data, {});
}

std::vector<std::string> rejections(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Rejection& rejection : manifest.rejected) all.push_back(rejection.path + ": " + rejection.reason);
  return all;
}

TEST(ImportLandmarks, NamesOfColumnsAreThePoints) {
  const TestFolder folder;
  for (int i = 0; i < 3; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add("points.csv",
             "file,left_eye_x,left_eye_y,left_eye_v,nosex,nosey,split\n0.png,10.5,4,2,20,5.25,\n1.png,3,4,1,,,test\n2.png,9,9,0,1,2,\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "landmarks");
  EXPECT_THAT(manifest->classes, ElementsAre("left_eye", "nose"));
  EXPECT_THAT(manifest->samples[0].annotation.landmarks,
              ElementsAre(Landmark{Landmark::visible, 10.5, 4}, Landmark{Landmark::visible, 20, 5.25}));
  EXPECT_THAT(manifest->samples[1].annotation.landmarks, ElementsAre(Landmark{Landmark::hidden, 3, 4}, Landmark{}));
  EXPECT_THAT(manifest->samples[2].annotation.landmarks, ElementsAre(Landmark{}, Landmark{Landmark::visible, 1, 2}));
  EXPECT_TRUE(holds_landmarks(*manifest));
  EXPECT_FALSE(one_class_each(*manifest));
  EXPECT_THAT(classes_within(*manifest, manifest->samples[1]), ElementsAre(0));
  // As JSON lines and back.
  const auto again = parse_manifest(write_manifest(*manifest), "m");
  ASSERT_TRUE(again.ok()) << again.error().message;
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(again->samples[i].annotation, manifest->samples[i].annotation);
  std::string other = write_manifest(*manifest);
  const std::string points = "[[10.5,4,2],[20,5.25,2]]";
  other.replace(other.find(points), points.size(), "[[10.5,4,2]]");
  EXPECT_THAT(parse_manifest(other, "m").error().message, HasSubstr("1 landmarks, but there are 2 classes"));
  other.replace(other.find("[[10.5,4,2]]"), 12, "[[10.5,4,3]]");
  EXPECT_FALSE(parse_manifest(other, "m").ok());
  Manifest split = *manifest;
  EXPECT_TRUE(assign_splits(split, {}, 1).ok());
}

TEST(ImportLandmarks, PointsOfAPartAreInItsOwnPixels) {
  const TestFolder folder;
  folder.add("car.png", png(1, 60, 40));
  folder.add("points.csv", "path,x,y,w,h,tip_x,tip_y,end_x,end_y\ncar.png,10,20,30,15,12,25,39.5,34\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("tip", "end"));
  EXPECT_EQ(manifest->samples[0].path, "car.png#10,20,30,15");
  EXPECT_EQ(manifest->samples[0].annotation.landmarks[0].x, 2);
  EXPECT_EQ(manifest->samples[0].annotation.landmarks[1].y, 14);
}

TEST(ImportLandmarks, WhatCannotBeIsNamedWithItsLine) {
  const TestFolder folder;
  for (int i = 0; i < 6; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add(
      "points.csv",
      "path,a_x,a_y,b_x,b_y\n0.png,1,2,3,4\n1.png,1,,3,4\n2.png,1,2,x,4\n3.png,,,,\n4.png,40.3,2,99,4\n5.png,-9,1,-9,1\n0.png,1,2,3,5\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(rejections(*manifest),
              testing::ElementsAre(
                  HasSubstr("0.png: listed again as (1, 2) (3, 5), before as (1, 2) (3, 4) (line 8 of points.csv)"),
                  HasSubstr("1.png: a: \"1\", \"\" are not two numbers; leave both empty where nothing is known (line 3 of points.csv)"),
                  HasSubstr("2.png: b: \"x\", \"4\" are not two numbers"), HasSubstr("3.png: no point (line 5 of points.csv)"),
                  HasSubstr("4.png: b at (99, 4) lies outside of the picture, which is 40×20 (line 6 of the table)"),
                  HasSubstr("5.png: a at (-9, 1) lies outside"), HasSubstr("5.png: b at"),
                  HasSubstr("5.png: none of its points lies within it"), HasSubstr("points.csv: the table of points")));
  ASSERT_EQ(manifest->samples.size(), 2U);
  EXPECT_EQ(manifest->samples[1].annotation.landmarks[0].x, 40) << "rounding beyond the edge is cut";
  EXPECT_EQ(manifest->samples[1].annotation.landmarks[1].said, Landmark::unknown);
  const auto clipped = import_from(folder, {.max_rejected = 1, .bad_boxes = demand::BadBoxes::clip});
  ASSERT_TRUE(clipped.ok());
  EXPECT_EQ(clipped->samples.size(), 3U);
  EXPECT_EQ(clipped->samples[1].annotation.landmarks[1].x, 40);
  EXPECT_THAT(import_from(folder, {.max_rejected = 1, .bad_boxes = demand::BadBoxes::stop}).error().message,
              HasSubstr("data.bad_boxes is stop"));
  EXPECT_THAT(import_from(folder, {.max_rejected = 0.01}).error().message, HasSubstr("cannot be used"));
}

TEST(ImportLandmarks, ATableOfClassesIsOneOfClasses) {
  const TestFolder folder;
  for (int i = 0; i < 4; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add("t.csv", "path,label,gps_x,gps_y,end_x,end_y\n0.png,a,1,2,3,4\n1.png,b,1,2,3,4\n2.png,a,1,2,3,4\n3.png,b,1,2,3,4\n");
  EXPECT_EQ(import_from(folder)->format, "csv");
  EXPECT_EQ(import_from(folder, {.format = "landmarks", .max_rejected = 1})->classes.size(), 2U);
}

TEST(PackedSet, LandmarksAreMovedAsThePictureWas) {
  const TestFolder folder;
  for (int i = 0; i < 2; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add("points.csv", "path,a_x,a_y,b_x,b_y\n0.png,10,5,40,20\n1.png,,,0,0\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok());
  const std::string path = folder.path("set.pack");
  ASSERT_TRUE(pack(*manifest, {.width = 80, .height = 80, .channels = 3, .fit = image::Fit::fit, .landmarks = true}, path).ok());
  auto set = PackedSet::open(path);
  ASSERT_TRUE(set.ok()) << set.error().message;
  ASSERT_TRUE(set->has_landmarks());
  // Twice as large, with bars of 20 rows above and below.
  EXPECT_THAT(set->landmarks_of(0), ElementsAre(PackedLandmark{20, 30, 2}, PackedLandmark{80, 60, 2}));
  EXPECT_THAT(set->landmarks_of(1), ElementsAre(PackedLandmark{}, PackedLandmark{0, 20, 2}));
  EXPECT_FALSE(set->has_masks());
}

}  // namespace
}  // namespace sightline::dataset
