#include "dataset/packed_tiles.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "dataset/import.h"
#include "dataset/packed_set.h"

namespace sightline::dataset {
namespace {

image::Image gradient(int width, int height, int seed) {
  image::Image picture{.width = width, .height = height, .channels = 1, .pixels = {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) picture.pixels.push_back(static_cast<std::uint8_t>((x + 3 * y + 31 * seed) % 256));
  return picture;
}

struct Pictures {
  TemporaryFolder folder;
  Manifest manifest;

  Pictures() {
    int seed = 0;
    for (const auto& [name, width, height] : {std::tuple{"a.png", 100, 50}, {"b.png", 32, 32}, {"c.png", 20, 70}}) {
      EXPECT_TRUE(make_directories(folder / "data").ok());
      EXPECT_TRUE(write_file(folder / (std::string("data/") + name), image::encode_png(gradient(width, height, seed++))).ok());
    }
    auto imported = import_data({.path = folder / "data"}, {}, nullptr, false, true);
    EXPECT_TRUE(imported.ok()) << imported.error().message;
    manifest = *std::move(imported);
    manifest.samples[1].split = Split::validation;
  }
};

TEST(PackedTiles, PicturesAreCutAtTheirOwnSize) {
  Pictures pictures;
  ASSERT_EQ(pictures.manifest.samples.size(), 3U);
  ASSERT_TRUE(pack_tiles(pictures.manifest, {.side = 32, .channels = 1}, pictures.folder / "set").ok());
  const auto set = PackedSet::open(pictures.folder / "set");
  ASSERT_TRUE(set.ok()) << set.error().message;
  // 4×2 of the first (100 and 50 pixels), one of the second, 1×3 of the third, which is too narrow.
  ASSERT_EQ(set->pixels().shape(), (Shape{8 + 1 + 3, 32, 32, 1}));
  EXPECT_EQ(set->indices_of(Split::validation), std::vector<std::int64_t>{8});
  const auto values = set->pixels().values<std::uint8_t>();
  const image::Image first = gradient(100, 50, 0);
  EXPECT_EQ(values[0], first.pixels[0]);
  EXPECT_EQ(values[33], first.pixels[101]);
  // The last piece of the first picture ends in its corner.
  EXPECT_EQ(values[8 * 32 * 32 - 1], first.pixels.back());
  // Mirrored beyond column 19 of the third.
  const auto third = values.subspan(9 * 32 * 32, 32);
  EXPECT_EQ(third[20], third[18]);
  EXPECT_EQ(third[31], third[7]);
}

TEST(PackedTiles, ThoseThatWouldBeTooManyAreLeftOutEvenly) {
  Pictures pictures;
  ASSERT_TRUE(pack_tiles(pictures.manifest, {.side = 32, .channels = 1, .most_bytes = 6 * 32 * 32}, pictures.folder / "set").ok());
  const auto set = PackedSet::open(pictures.folder / "set");
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->pixels().dim(0), 4 + 1 + 1);
}

TEST(PackedTiles, TestPicturesAreNotInIt) {
  Pictures pictures;
  pictures.manifest.samples[0].split = Split::test;
  ASSERT_TRUE(pack_tiles(pictures.manifest, {.side = 32, .channels = 3}, pictures.folder / "set").ok());
  const auto set = PackedSet::open(pictures.folder / "set");
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->pixels().shape(), (Shape{4, 32, 32, 3}));
}

TEST(PackedTiles, AChangedPictureIsNoticed) {
  Pictures pictures;
  ASSERT_TRUE(write_file(pictures.folder / "data/b.png", image::encode_png(gradient(32, 32, 9))).ok());
  const auto status = pack_tiles(pictures.manifest, {.side = 32, .channels = 1}, pictures.folder / "set");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("b.png has changed"), std::string::npos) << status.error().message;
}

}  // namespace
}  // namespace sightline::dataset
