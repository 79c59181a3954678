#include "dataset/good_pictures.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "dataset/import.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string png(int seed, int width = 9, int height = 7) { return image::encode_png(scene(width, height, 1, seed)); }
demand::SplitPlan plan() { return {.validation = 0.25, .test = 0.25, .group_by = demand::GroupBy::none}; }

Result<Manifest> import_good(const std::string& folder, std::optional<std::string> good = {}) {
  return import_data({.path = folder, .good = std::move(good)}, plan(), nullptr, true);
}
std::array<int, 3> counts(const Manifest& manifest, bool good) {
  std::array<int, 3> result{};
  for (const Sample& sample : manifest.samples)
    if ((sample.label == 0) == good) ++result[static_cast<std::size_t>(sample.split)];
  return result;
}
void add_many(const TestFolder& folder, const std::string& name, int count, int seed) {
  for (int i = 0; i < count; ++i) folder.add(fmt::format("{}/{:02}.png", name, i), png(seed + i));
}

TEST(GoodPictures, TheGoodClassComesFirstAndTheOthersAreTestedOnly) {
  const TestFolder folder;
  add_many(folder, "bent", 5, 100);
  add_many(folder, "Good", 24, 200);
  add_many(folder, "cracked", 4, 300);
  auto manifest = import_good(folder.path());
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("Good", "bent", "cracked"));
  const auto status = assign_good_splits(*manifest, plan(), 3);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_THAT(counts(*manifest, false), ElementsAre(0, 0, 9));
  const auto good = counts(*manifest, true);
  EXPECT_EQ(good[0] + good[1] + good[2], 24);
  EXPECT_GE(good[0], least_good_to_learn);
  EXPECT_EQ(good[2], 6);
  for (const Sample& sample : manifest->samples) {
    const auto truth = truth_of(*manifest, sample);
    EXPECT_EQ(truth.score, sample.path.starts_with("Good") ? 0 : 1);
    EXPECT_EQ(manifest->classes[static_cast<std::size_t>(truth.label)], sample.path.substr(0, sample.path.find('/')));
    EXPECT_FALSE(truth.mask.defined());
  }
}

TEST(GoodPictures, WhichClassIsGoodIsAskedWhereNamesDoNotTell) {
  const TestFolder folder;
  add_many(folder, "tiles", 3, 1);
  add_many(folder, "broken", 3, 50);
  const auto unknown = import_good(folder.path());
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().message, AllOf(HasSubstr("no class is called good"), HasSubstr("data.good"), HasSubstr("broken, tiles")));
  const auto named = import_good(folder.path(), "tiles");
  ASSERT_TRUE(named.ok()) << named.error().message;
  EXPECT_EQ(named->classes.front(), "tiles");
  EXPECT_THAT(import_good(folder.path(), "tile").error().message, HasSubstr("did you mean \"tiles\""));
  add_many(folder, "ok", 2, 70);
  add_many(folder, "normal", 2, 80);
  EXPECT_THAT(import_good(folder.path()).error().message, HasSubstr("normal, ok are all called like good"));
}

TEST(GoodPictures, LoosePicturesAreGoodOnes) {
  const TestFolder folder;
  for (int i = 0; i < 20; ++i) folder.add(fmt::format("{:02}.png", i), png(i));
  folder.add("readme.txt", "x");
  auto manifest = import_good(folder.path());
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "pictures");
  EXPECT_THAT(manifest->classes, ElementsAre("good"));
  EXPECT_TRUE(assign_good_splits(*manifest, plan(), 1).ok());
  EXPECT_FALSE(import_data({.path = folder.path()}, plan()).ok());  // two classes are wanted elsewhere
  EXPECT_THAT(*list_classes({.path = folder.path()}), ElementsAre("good"));
}

TEST(GoodPictures, TooFewAndNoneAndMisplacedOnesAreTold) {
  const TestFolder few;
  add_many(few, "good", 9, 1);
  add_many(few, "bad", 3, 50);
  auto manifest = import_good(few.path());
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(assign_good_splits(*manifest, plan(), 1).error().message, AllOf(HasSubstr("too few good pictures"), HasSubstr("8, 4 and 1")));
  const TestFolder none;
  add_many(none, "scratch", 3, 1);
  add_many(none, "dent", 3, 50);
  EXPECT_THAT(import_good(none.path()).error().message, HasSubstr("no class is called good"));
  const TestFolder misplaced;
  add_many(misplaced, "train/good", 20, 1);
  add_many(misplaced, "train/dent", 2, 30);
  add_many(misplaced, "test/good", 3, 40);
  add_many(misplaced, "test/dent", 3, 50);
  misplaced.add("ground_truth/dent/00_mask.png", png(1));
  manifest = import_good(misplaced.path());
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(
      assign_good_splits(*manifest, plan(), 1).error().message,
      AllOf(HasSubstr("2 pictures that are not good in the training part"), HasSubstr("train/dent/00.png"), HasSubstr("move them")));
}

TEST(GoodPictures, MasksReachTheTruthAndThoseOfAnotherSizeDoNot) {
  const TestFolder folder;
  add_many(folder, "train/good", 20, 1);
  add_many(folder, "test/good", 3, 40);
  add_many(folder, "test/dent", 3, 50);
  image::Image mask{.width = 9, .height = 7, .channels = 1, .pixels = std::vector<std::uint8_t>(63, 0)};
  mask.pixels[10] = 255;
  folder.add("ground_truth/dent/00_mask.png", image::encode_png(mask));
  folder.add("ground_truth/dent/01_mask.png", png(3, 8, 7));
  const auto stopped = import_good(folder.path());
  ASSERT_FALSE(stopped.ok());
  EXPECT_THAT(stopped.error().message,
              AllOf(HasSubstr("1 of 3 masks"), HasSubstr("the mask is 8×7"), HasSubstr("9×7"), HasSubstr("01_mask.png")));
  const auto manifest = import_data({.path = folder.path(), .max_rejected = 1}, plan(), nullptr, true);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  int masks = 0;
  for (const Sample& sample : manifest->samples) {
    const auto truth = truth_of(*manifest, sample);
    if (!truth.mask.defined()) continue;
    ++masks;
    EXPECT_EQ(sample.path, "test/dent/00.png");
    EXPECT_EQ(truth.mask.values<std::uint8_t>()[10], 1);
    EXPECT_EQ(std::ranges::count(truth.mask.values<std::uint8_t>(), std::uint8_t{1}), 1);
  }
  EXPECT_EQ(masks, 1);
  const auto told = std::ranges::find(manifest->rejected, std::string("ground_truth/dent/01_mask.png"), &Rejection::path);
  ASSERT_NE(told, manifest->rejected.end());
  EXPECT_THAT(told->reason, HasSubstr("bring it to that size"));
}

}  // namespace
}  // namespace sightline::dataset
