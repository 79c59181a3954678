// COCO's keypoints in and out.
#include "dataset/import_keypoints.h"

#include <gmock/gmock.h>

#include "dataset/convert.h"
#include "dataset/import.h"
#include "dataset/packed_pieces.h"
#include "dataset/split.h"
#include "dataset/test_folder.h"
#include "image/levels.h"

namespace sightline::dataset {
namespace {

using annotation::Landmark;
using testing::ElementsAre;
using testing::HasSubstr;

// Two people in one picture, one alone, one of whom nothing is said, a crowd, and two that are wrong.
constexpr const char* people = R"({
 "info": {"year": 2026},
 "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}, {"id": 9, "file_name": "b.png", "width": 40, "height": 30}],
 "categories": [{"id": 1, "name": "person", "supercategory": "being", "keypoints": ["left_eye", "right_eye", "nose"], "skeleton": [[1, 2]]}],
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10.5, 5, 20, 30.25], "area": 600, "iscrowd": 0, "num_keypoints": 2, "keypoints": [14, 12.5, 2, 22, 12, 1, 0, 0, 0]},
  {"id": 2, "image_id": 7, "category_id": 1, "bbox": [50, 10, 20, 40], "area": 800, "iscrowd": 0, "num_keypoints": 3, "keypoints": [48, 20, 2, 60, 20, 2, 55, 58, 2]},
  {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0, "num_keypoints": 0, "keypoints": [0, 0, 0, 0, 0, 0, 0, 0, 0]},
  {"id": 4, "image_id": 7, "category_id": 1, "bbox": [0, 0, 80, 20], "area": 1600, "iscrowd": 1, "num_keypoints": 1, "keypoints": [3, 3, 2, 0, 0, 0, 0, 0, 0]},
  {"id": 5, "image_id": 9, "category_id": 1, "bbox": [0, 0, 40, 30], "area": 1200, "iscrowd": 0, "num_keypoints": 1, "keypoints": [20, 10, 2, 0, 0, 0, 0, 0, 0]},
  {"id": 6, "image_id": 9, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0, "keypoints": [1, 2, 2]},
  {"id": 8, "image_id": 9, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0, "keypoints": [1, 2, 7, 0, 0, 0, 0, 0, 0]}]})";

struct Keypoints : testing::Test {
  TestFolder folder;
  void SetUp() override {
    folder.add("images/a.png", image::encode_png(scene(80, 60, 3, 1)));
    folder.add("images/b.png", image::encode_png(scene(40, 30, 3, 2)));
    folder.add("annotations/person_keypoints_all.json", people);
  }
  Result<Manifest> imported() const {
    demand::Data data{.path = folder.path(), .max_rejected = 1};
    data.format = "landmarks";
    return import_data(data, {});
  }
};

TEST_F(Keypoints, EveryPersonIsAPartOfThePicture) {
  const auto manifest = imported();
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("left_eye", "right_eye", "nose"));
  ASSERT_EQ(manifest->samples.size(), 3U);
  const auto sample = [&](const std::string& path) {
    const auto found = std::ranges::find(manifest->samples, path, &Sample::path);
    EXPECT_NE(found, manifest->samples.end()) << path;
    return *found;
  };
  EXPECT_THAT(sample("images/a.png#10,5,21,31").annotation.landmarks,
              ElementsAre(Landmark{Landmark::visible, 4, 7.5}, Landmark{Landmark::hidden, 12, 7}, Landmark{}));
  // A point beside the box makes the part larger.
  EXPECT_THAT(sample("images/a.png#48,10,22,48").annotation.landmarks,
              ElementsAre(Landmark{Landmark::visible, 0, 10}, Landmark{Landmark::visible, 12, 10}, Landmark{Landmark::visible, 7, 48}));
  EXPECT_EQ(sample("images/b.png#0,0,40,30").width, 40);
  std::string reasons;
  for (const Rejection& rejection : manifest->rejected) reasons += rejection.reason + "\n";
  EXPECT_THAT(reasons, HasSubstr("nothing is said of its points (/annotations/2)"));
  EXPECT_THAT(reasons, HasSubstr("a crowd (/annotations/3)"));
  EXPECT_THAT(reasons, HasSubstr("3 values, not three numbers for each of 3 points (/annotations/5)"));
  EXPECT_THAT(reasons, HasSubstr("the v of point 0 is none of 0"));
  // The two in one picture stay together.
  Manifest split = *manifest;
  ASSERT_TRUE(assign_splits(split, {}, 1).ok());
  EXPECT_EQ(split.samples[0].group, split.samples[1].group);
  EXPECT_NE(split.samples[0].group, split.samples[2].group);
}

TEST_F(Keypoints, ComeBackFromCocoToCocoAsTheyStood) {
  demand::Data data{.path = folder.path()};
  auto collection = read_collection(data);
  ASSERT_TRUE(collection.ok()) << collection.error().message;
  const std::vector<TextFile> files = write_collection(convert(*std::move(collection), BoxFormat::coco).collection);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(Json::parse(files[0].text), Json::parse(people));
}

TEST_F(Keypoints, ATableOfPointsBecomesCocoAndComesBack) {
  const TestFolder table;
  table.add("a.png", image::encode_png(scene(80, 60, 3, 1)));
  table.add("b.png", image::encode_png(scene(40, 30, 3, 2)));
  table.add("points.csv",
            "path,x,y,w,h,left_x,left_y,left_v,right_x,right_y,right_v\na.png,10,5,20,30,12.5,9,2,20,10,1\na.png,40,5,20,30,44,9,2,,,0\n"
            "b.png,0,0,40,30,1,2,2,3,4.25,2\n");
  demand::Data data{.path = table.path()};
  auto collection = read_collection(data);
  ASSERT_TRUE(collection.ok()) << collection.error().message;
  const std::vector<TextFile> files = write_collection(convert(*std::move(collection), BoxFormat::coco).collection);
  ASSERT_EQ(files.size(), 1U);
  const Json written = Json::parse(files[0].text);
  EXPECT_EQ(written["categories"][0]["keypoints"], Json::parse(R"(["left", "right"])"));
  ASSERT_EQ(written["annotations"].size(), 3U);
  EXPECT_EQ(written["images"].size(), 2U);
  EXPECT_EQ(written["annotations"][0]["keypoints"], Json::parse("[12.5, 9, 2, 20, 10, 1]"));
  EXPECT_EQ(written["annotations"][1]["num_keypoints"], 1);

  const auto before = import_data({.path = table.path(), .max_rejected = 1}, {});
  table.add(files[0].path, files[0].text);
  demand::Data coco{.path = table.path(), .max_rejected = 1};
  coco.format = "landmarks";
  coco.labels = files[0].path;
  const auto after = import_data(coco, {});
  ASSERT_TRUE(before.ok() && after.ok()) << (after.ok() ? "" : after.error().message);
  ASSERT_EQ(after->samples.size(), before->samples.size());
  for (std::size_t i = 0; i < before->samples.size(); ++i) {
    EXPECT_EQ(after->samples[i].path, before->samples[i].path);
    EXPECT_EQ(after->samples[i].annotation, before->samples[i].annotation);
  }
}

TEST_F(Keypoints, ThingsWithOtherPointsAreRefused) {
  std::string two = people;
  two.replace(two.find("\"skeleton\""), 0, "\"extra\": 0, ");
  const std::string more = R"({"id": 2, "name": "dog", "keypoints": ["tail"]}, )";
  two.replace(two.find("{\"id\": 1, \"name\": \"person\""), 0, more);
  folder.add("annotations/person_keypoints_all.json", two);
  EXPECT_THAT(imported().error().message, HasSubstr("has other keypoints"));
}

TEST(PackedPieces, HoldEveryPlaceOfPictureAndMask) {
  const TestFolder folder;
  image::Levels mask{.width = 40, .height = 20, .bits = 16, .values = std::vector<std::uint16_t>(800)};
  for (std::size_t i = 0; i < 800; ++i) mask.values[i] = i % 40 < 25 ? 0 : 3;
  const image::Image picture = scene(40, 20, 3, 4);
  folder.add("images/a.png", image::encode_png(picture));
  folder.add("instances/a.png", image::encode_levels(mask));
  const auto manifest = import_data({.path = folder.path()}, {});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  const std::string path = folder.path() + "/packed";
  const PackOptions options{.width = 32, .height = 32, .channels = 3, .masks = true};
  ASSERT_TRUE(pack_pieces(*manifest, options, path).ok());
  const auto packed = PackedSet::open(path);
  ASSERT_TRUE(packed.ok()) << packed.error().message;
  ASSERT_EQ(packed->pixels().dim(0), 2);  // at 0 and at 8
  for (int piece = 0; piece < 2; ++piece)
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x) {
        const auto at = static_cast<std::size_t>(y * 32 + x);
        const auto said = packed->mask_of(piece)[at];
        const auto object = packed->instances_of(piece)[at];
        if (y >= 20) {
          ASSERT_EQ(said, annotation::unjudged_pixel);
          ASSERT_EQ(object, 0);
          continue;
        }
        const int left = 8 * piece;
        ASSERT_EQ(object != 0, left + x >= 25) << piece << " " << x;
        ASSERT_EQ(said, left + x >= 25 ? 1 : 0);
        ASSERT_EQ(packed->pixels().values<std::uint8_t>()[static_cast<std::size_t>(piece) * 32 * 32 * 3 + 3 * at],
                  picture.pixels[static_cast<std::size_t>((y * 40 + left + x) * 3)]);
      }
  EXPECT_EQ(pack_pieces(*manifest, {.width = 32, .height = 32, .channels = 3}, path).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::dataset
