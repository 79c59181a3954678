// Pictures with a mask each: where they are looked for, what their numbers mean, and what is wrong with them.
#include <gmock/gmock.h>

#include <filesystem>

#include "dataset/import.h"
#include "dataset/masks.h"
#include "dataset/packed_set.h"
#include "dataset/test_folder.h"
#include "image/levels.h"

namespace sightline::dataset {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int width = 12, height = 8;

std::string picture(int seed) { return image::encode_png(scene(width, height, 3, seed)); }

// Two boxes of these values on background.
std::string mask(int first, int second, int bits = 8, int wide = width) {
  image::Levels levels{.width = wide, .height = height, .bits = bits, .values = {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < wide; ++x)
      levels.values.push_back(static_cast<std::uint16_t>(y < 3 && x < 4 ? first : y >= 4 && x >= 5 && x < 8 ? second : 0));
  return image::encode_levels(levels);
}

Result<Manifest> import_from(const TestFolder& folder, demand::Data data = {}) {
  data.path = folder.path("data");
  return import_data(data, {});
}

std::vector<std::string> rejections(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Rejection& each : manifest.rejected) all.push_back(each.path + ": " + each.reason);
  return all;
}

void add_pairs(const TestFolder& folder, int count, int first, int second, int bits = 8, const char* masks = "masks") {
  for (int i = 0; i < count; ++i) {
    folder.add(fmt::format("data/images/{}.png", i), picture(i));
    folder.add(fmt::format("data/{}/{}.png", masks, i), mask(first, second, bits));
  }
}

TEST(ImportMasks, OneValueIsOneClass) {
  const TestFolder folder;
  add_pairs(folder, 3, 255, 0);
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "masks");
  EXPECT_THAT(manifest->classes, ElementsAre("foreground"));
  ASSERT_TRUE(manifest->masks);
  EXPECT_FALSE(manifest->masks->instances);
  EXPECT_THAT(manifest->masks->values, ElementsAre(255));
  EXPECT_THAT(manifest->rejected, IsEmpty());
  EXPECT_EQ(manifest->samples[1].mask.path, "masks/1.png");
  annotation::Annotation truth;
  ASSERT_TRUE(read_mask(*manifest, manifest->samples[1], truth).ok());
  EXPECT_EQ(truth.mask.shape(), (Shape{height, width}));
  EXPECT_EQ(truth.mask.values<std::uint8_t>()[0], 1);
  EXPECT_EQ(truth.mask.values<std::uint8_t>()[5], 0);
  EXPECT_FALSE(truth.instances.defined());
  // The manifest says it again.
  const auto read = parse_manifest(write_manifest(*manifest), "m");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->samples[2].mask, manifest->samples[2].mask);
  EXPECT_EQ(read->masks->values, manifest->masks->values);
  // What the file says later is not what was imported.
  folder.add("data/masks/1.png", mask(0, 255));
  EXPECT_THAT(read_mask(*manifest, manifest->samples[1], truth).error().message, HasSubstr("has changed"));
}

TEST(ImportMasks, NumbersAreClassesAndHaveNamesWhereAFileGivesThem) {
  const TestFolder folder;
  add_pairs(folder, 2, 1, 3, 8, "labels");
  auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("class 1", "class 3"));
  folder.add("data/classes.txt", "background\nroad\nroof\ntree\n");
  manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("road", "roof", "tree"));
  EXPECT_THAT(manifest->masks->values, ElementsAre(1, 2, 3));
  annotation::Annotation truth;
  ASSERT_TRUE(read_mask(*manifest, manifest->samples[0], truth).ok());
  EXPECT_EQ(truth.mask.values<std::uint8_t>()[0], 1);
  EXPECT_EQ(truth.mask.values<std::uint8_t>()[4 * width + 5], 3);
  // 255 beside classes is not judged.
  folder.add("data/labels/1.png", mask(2, 255));
  manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  ASSERT_TRUE(read_mask(*manifest, manifest->samples[1], truth).ok());
  EXPECT_EQ(truth.mask.values<std::uint8_t>()[4 * width + 5], annotation::unjudged_pixel);
}

TEST(ImportMasks, SixteenBitsAreObjects) {
  const TestFolder folder;
  add_pairs(folder, 2, 700, 3, 16, "instances");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_TRUE(manifest->masks->instances);
  EXPECT_THAT(manifest->classes, ElementsAre("object"));
  annotation::Annotation truth;
  ASSERT_TRUE(read_mask(*manifest, manifest->samples[0], truth).ok());
  ASSERT_EQ(truth.objects.size(), 2U);
  EXPECT_EQ(truth.objects[0].box, (annotation::Box{5, 4, 8, 8}));  // 3 comes before 700
  EXPECT_EQ(truth.objects[1].box, (annotation::Box{0, 0, 4, 3}));
  EXPECT_EQ(truth.instances.values<std::int32_t>()[0], 2);
  EXPECT_EQ(truth.mask.values<std::uint8_t>()[0], 1);
}

TEST(ImportMasks, MayLieBesideThePictures) {
  const TestFolder folder;
  for (int i = 0; i < 3; ++i) {
    folder.add(fmt::format("data/kind_{}/{}.jpg", i % 2, i), image::encode_jpeg(scene(width, height, 1, i)));
    folder.add(fmt::format("data/kind_{}/{}.png", i % 2, i), mask(255, 255));
  }
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "masks");
  EXPECT_EQ(manifest->samples[0].mask.path, "kind_0/0.png");
  // Classes of pictures, of which some have a mask beside them, stay classes unless somebody says otherwise.
  for (int i = 3; i < 12; ++i) folder.add(fmt::format("data/kind_{}/{}.jpg", i % 2, i), image::encode_jpeg(scene(width, height, 1, i)));
  EXPECT_EQ(*detect_format(folder.path("data")), "folders");
  const auto told = import_from(folder, {.format = "masks", .max_rejected = 1});
  ASSERT_TRUE(told.ok()) << told.error().message;
  EXPECT_EQ(told->samples.size(), 3U);
  EXPECT_THAT(rejections(*told), Contains("kind_1/11.jpg: there is no mask for it"));
}

TEST(ImportMasks, WhatIsWrongIsListedWithItsFile) {
  const TestFolder folder;
  add_pairs(folder, 8, 1, 2);
  folder.add("data/classes.txt", "one\ntwo\n");
  folder.add("data/masks/0.png", mask(1, 2, 8, width + 1));
  folder.add("data/masks/1.png", mask(1, 7));
  folder.add("data/masks/2.png", "no picture");
  folder.add("data/masks/3.png", mask(1, 2, 16));
  folder.add("data/masks/4.png", image::encode_png(scene(width, height, 3, 1)));
  std::filesystem::remove(folder.path("data/masks/5.png"));
  folder.add("data/masks/lonely.png", mask(1, 2));
  const auto manifest = import_from(folder, {.max_rejected = 1});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->samples.size(), 2U);
  const auto said = rejections(*manifest);
  EXPECT_THAT(said, Contains("images/0.png: its mask masks/0.png: it is 13×8, and the picture 12×8"));
  EXPECT_THAT(said, Contains("images/1.png: its mask masks/1.png: 7 is the number of no class in classes.txt"));
  EXPECT_THAT(said, Contains(HasSubstr("images/2.png: its mask masks/2.png: ")));
  EXPECT_THAT(said, Contains("images/3.png: its mask masks/3.png: it has 16 bits, most others 8: are its numbers classes or objects?"));
  EXPECT_THAT(said, Contains(HasSubstr("images/4.png: its mask masks/4.png: the mask is in colours")));
  EXPECT_THAT(said, Contains("images/5.png: there is no mask for it"));
  EXPECT_THAT(said, Contains("masks/lonely.png: a mask whose picture is not there"));
  // Seven of nine are more than one in a hundred; and with stop, one is enough.
  EXPECT_THAT(import_from(folder).error().message, HasSubstr("7 of 9 files cannot be used"));
  EXPECT_THAT(import_from(folder, {.max_rejected = 1, .bad_boxes = demand::BadBoxes::stop}).error().message,
              HasSubstr("data.bad_boxes is stop"));
}

TEST(ImportMasks, SoftEdgesAndEmptyMasksAreNoClasses) {
  const TestFolder folder;
  add_pairs(folder, 1, 0, 0);
  EXPECT_THAT(import_from(folder).error().message, HasSubstr("all masks are empty"));
  image::Levels soft{.width = width, .height = height, .bits = 8, .values = {}};
  for (int i = 0; i < width * height; ++i) soft.values.push_back(static_cast<std::uint16_t>(i));
  folder.add("data/masks/0.png", image::encode_levels(soft));
  EXPECT_THAT(import_from(folder).error().message, HasSubstr("different values"));
}

TEST(PackedMasks, LieWhereThePictureWent) {
  const TestFolder folder;
  add_pairs(folder, 2, 9, 700, 16, "instances");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  // 12×8 into 24×24: twice as large, with four rows of grey above and below.
  const PackOptions options{.width = 24, .height = 24, .channels = 3, .fit = image::Fit::fit, .masks = true};
  ASSERT_TRUE(pack(*manifest, options, folder.path("set")).ok());
  const auto set = PackedSet::open(folder.path("set"));
  ASSERT_TRUE(set.ok()) << set.error().message;
  ASSERT_TRUE(set->has_masks() && set->has_instances());
  annotation::Annotation truth;
  ASSERT_TRUE(read_mask(*manifest, manifest->samples[1], truth).ok());
  for (int y = 0; y < 24; ++y)
    for (int x = 0; x < 24; ++x) {
      const auto at = static_cast<std::size_t>(y * 24 + x);
      const bool inside = y >= 4 && y < 20;
      const auto from = static_cast<std::size_t>(inside ? (y - 4) / 2 * width + x / 2 : 0);
      ASSERT_EQ(set->mask_of(1)[at], inside ? truth.mask.values<std::uint8_t>()[from] : annotation::unjudged_pixel) << x << " " << y;
      ASSERT_EQ(set->instances_of(1)[at], inside ? truth.instances.values<std::int32_t>()[from] : 0);
    }
  // What is cut off or damaged is noticed.
  const std::string whole = *read_file(folder.path("set"));
  for (const std::size_t length : {whole.size() - 1, whole.size() - 24 * 24 * 4, whole.size() / 2}) {
    folder.add("cut", whole.substr(0, length));
    EXPECT_FALSE(PackedSet::open(folder.path("cut")).ok()) << length;
  }
  std::string damaged = whole;
  damaged[whole.size() - 2 * 24 * 24 * 2 - 100] = 2;  // within the masks: the instances behind them are two bytes each
  folder.add("damaged", damaged);
  EXPECT_THAT(PackedSet::open(folder.path("damaged")).error().message, HasSubstr("no class"));
  // Without masks in the manifest there is nothing to pack.
  Manifest plain = *manifest;
  plain.masks.reset();
  EXPECT_EQ(pack(plain, options, folder.path("none")).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::dataset
