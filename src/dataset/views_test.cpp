#include "dataset/views.h"

#include <gtest/gtest.h>

#include <set>

#include "dataset/drawn_pictures.h"
#include "dataset/picture_set.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

std::vector<ViewSource> two_sources() {
  return {{.name = "grey", .share = 1, .pictures = {scene(40, 30, 1, 1), scene(28, 28, 1, 2)}},
          {.name = "colour", .share = 2, .pictures = {scene(300, 200, 3, 3)}},
          {.name = "drawn", .share = 1, .pictures = {}}};
}

TEST(DrawnPictures, AreTheSameForTheSameNumbersAndOtherwiseDiffer) {
  std::set<std::vector<std::uint8_t>> seen;
  for (std::uint64_t i = 0; i < 40; ++i) {
    Random one(7, i), again(7, i);
    const image::Image picture = draw_picture(one, 48);
    ASSERT_EQ(picture.width, 48);
    ASSERT_EQ(picture.pixels.size(), 48U * 48 * 3);
    EXPECT_EQ(picture.pixels, draw_picture(again, 48).pixels) << i;
    seen.insert(picture.pixels);
  }
  EXPECT_EQ(seen.size(), 40U);
}

TEST(Views, DependOnSeedAndIndexAloneWhateverWasDrawnBefore) {
  const auto sources = two_sources();
  const image::Image tenth = draw_view(sources, 32, 5, 10);
  for (std::uint64_t i = 0; i < 60; ++i) {
    std::size_t source = 9;
    const image::Image view = draw_view(sources, 32, 5, i, &source);
    ASSERT_EQ(view.pixels.size(), 32U * 32 * 3) << i;
    EXPECT_EQ(source, source_of_view(sources, 5, i));
  }
  EXPECT_EQ(draw_view(sources, 32, 5, 10).pixels, tenth.pixels);
  EXPECT_NE(draw_view(sources, 32, 6, 10).pixels, tenth.pixels);
}

TEST(Views, SourcesHaveTheirShares) {
  const auto sources = two_sources();
  std::vector<int> counts(3, 0);
  for (std::uint64_t i = 0; i < 4000; ++i) ++counts[source_of_view(sources, 1, i)];
  EXPECT_NEAR(counts[0], 1000, 120);
  EXPECT_NEAR(counts[1], 2000, 120);
  EXPECT_NEAR(counts[2], 1000, 120);
}

// A set that is left out of training must be in no other set's views.
TEST(Views, OfOneSourceHoldNothingOfAnother) {
  auto sources = two_sources(), others = two_sources();
  others[1].pictures = {scene(90, 90, 3, 77)};
  for (std::uint64_t i = 0; i < 120; ++i) {
    std::size_t source = 0;
    const image::Image view = draw_view(sources, 24, 3, i, &source);
    if (source == 1) continue;
    EXPECT_EQ(view.pixels, draw_view(others, 24, 3, i).pixels) << i;
  }
}

TEST(PictureSet, ListsFoldersByListAndSpreadsEvenly) {
  const TestFolder folder;
  for (int i = 0; i < 10; ++i) folder.add(fmt::format("set/{}/{}.png", i % 2, i), image::encode_png(scene(20, 10, i % 2 == 0 ? 1 : 3, i)));
  folder.add("set/readme.txt", "none of them");
  const auto all = list_picture_set(folder.path("set"), {}, 0);
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->samples.size(), 10U);
  const auto few = list_picture_set(folder.path("set"), {}, 5);
  ASSERT_TRUE(few.ok());
  EXPECT_EQ(few->samples, (std::vector<std::string>{"0/0.png", "0/4.png", "0/8.png", "1/3.png", "1/7.png"}));
  EXPECT_NE(few->digest, all->digest);
  folder.add("list", "3\n7.png\n\n");
  const auto named = list_picture_set(folder.path("set"), folder.path("list"), 0);
  ASSERT_TRUE(named.ok()) << named.error().message;
  EXPECT_EQ(named->samples, (std::vector<std::string>{"1/3.png", "1/7.png"}));
  const auto pictures = read_picture_set(*all, 16, 1);
  ASSERT_TRUE(pictures.ok());
  EXPECT_EQ((*pictures)[0].width, 16);
  EXPECT_EQ((*pictures)[0].height, 8);
  EXPECT_EQ((*pictures)[0].channels, 1);
}

TEST(PictureSet, SaysWhatIsMissing) {
  const TestFolder folder;
  EXPECT_EQ(list_picture_set(folder.path("nowhere"), {}, 0).error().kind, ErrorKind::not_found);
  folder.add("set/a.png", image::encode_png(scene(8, 8, 1, 1)));
  folder.add("list", "a\nb\n");
  const auto missing = list_picture_set(folder.path("set"), folder.path("list"), 0);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("names b"), std::string::npos) << missing.error().message;
  folder.add("empty/readme.txt", "nothing");
  EXPECT_EQ(list_picture_set(folder.path("empty"), {}, 0).error().kind, ErrorKind::invalid_data);
}

}  // namespace
}  // namespace sightline::dataset
