#include "dataset/import_mvtec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "dataset/import.h"
#include "dataset/masks.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string png(int seed) { return image::encode_png(scene(9, 7, 1, seed)); }

TEST(ImportMvtec, GoodPicturesTrainAndKindsAreTested) {
  const TestFolder folder;
  folder.add("train/good/000.png", png(1));
  folder.add("train/good/001.png", png(2));
  folder.add("test/good/000.png", png(3));
  folder.add("test/scratch/000.png", png(4));
  folder.add("test/bent lead/000.png", png(5));
  folder.add("ground_truth/scratch/000_mask.png", png(6));
  folder.add("ground_truth/bent lead/000_mask.png", png(7));
  folder.add("readme.txt", "x");
  const auto manifest = import_data({.path = folder.path()}, {});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "mvtec");
  EXPECT_THAT(manifest->classes, ElementsAre("good", "bent lead", "scratch"));
  EXPECT_TRUE(manifest->given_test);
  std::map<std::string, std::pair<Split, std::int32_t>> seen;
  for (const Sample& sample : manifest->samples) seen[sample.path] = {sample.split, sample.label};
  ASSERT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen["train/good/001.png"], std::pair(Split::train, 0));
  EXPECT_EQ(seen["test/good/000.png"], std::pair(Split::test, 0));
  EXPECT_EQ(seen["test/scratch/000.png"], std::pair(Split::test, 2));
  std::map<std::string, std::string> reasons;
  for (const Rejection& rejection : manifest->rejected) reasons[rejection.path] = rejection.reason;
  EXPECT_EQ(reasons["ground_truth/scratch/000_mask.png"], "the mask of a picture");
  EXPECT_EQ(reasons["readme.txt"], "side file (.txt)");
}

TEST(ImportMvtec, AMaskWithoutItsPictureIsALoss) {
  const TestFolder folder;
  for (int i = 0; i < 3; ++i) folder.add("train/good/" + std::to_string(i) + ".png", png(i));
  folder.add("test/hole/000.png", png(7));
  folder.add("ground_truth/hole/000_mask.png", png(8));
  folder.add("ground_truth/hole/001_mask.png", png(9));
  const auto manifest = import_data({.path = folder.path()}, {});
  ASSERT_FALSE(manifest.ok());
  EXPECT_THAT(manifest.error().message, HasSubstr("a mask whose picture is not there"));
}

TEST(ImportMvtec, OtherFoldersOfClassesAreNot) {
  const auto looks = [](std::vector<std::string> files) {
    return looks_like_mvtec({.root = "/", .labels = {}, .files = std::move(files), .problems = {}});
  };
  EXPECT_TRUE(looks({"ground_truth/a/0_mask.png", "test/a/0.png", "train/good/0.png"}));
  EXPECT_TRUE(looks({"test/a/0.png", "test/good/0.png", "train/good/0.png"}));  // masks may be missing
  EXPECT_FALSE(looks({"test/a/0.png", "train/bad/0.png", "train/good/0.png"}));
  EXPECT_FALSE(looks({"train/good/0.png"}));
  EXPECT_FALSE(looks({"test/a/0.png", "train/good/0.png", "other/good/0.png"}));
  EXPECT_FALSE(looks({"test/a/0.png", "train/good/deep/0.png"}));
}

TEST(ImportMvtec, MasksLieBesideTheTest) {
  EXPECT_EQ(mvtec_mask_of("test/scratch/003.png"), "ground_truth/scratch/003_mask.png");
  EXPECT_EQ(mvtec_mask_of("test/bent lead/a.b.jpg"), "ground_truth/bent lead/a.b_mask.png");
  EXPECT_EQ(mvtec_mask_of("test/good/003.png"), "");
  EXPECT_EQ(mvtec_mask_of("train/good/003.png"), "");
  EXPECT_EQ(mvtec_mask_of("003.png"), "");
}

TEST(ImportMvtec, HasNoColumns) {
  const auto listing = list_mvtec({}, {.group_by = demand::GroupBy::column});
  ASSERT_FALSE(listing.ok());
  EXPECT_THAT(listing.error().message, HasSubstr("has no columns"));
}

}  // namespace
}  // namespace sightline::dataset
