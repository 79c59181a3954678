#include "image/letters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace sightline::image {
namespace {

constexpr const char* file = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

TEST(Letters, AreAsHighAsIsAskedForAndCutAtTheirInk) {
  const auto font = Font::open(file);
  ASSERT_TRUE(font.ok()) << font.error().message;
  for (const int height : {12, 40, 128}) {
    const auto letter = font->letter("H", height);
    ASSERT_TRUE(letter.ok()) << letter.error().message;
    EXPECT_NEAR(letter->height, height, 1);
    EXPECT_EQ(letter->pixels.size(), static_cast<std::size_t>(letter->width) * static_cast<std::size_t>(letter->height));
    // An H has ink at its four corners and none between its feet.
    const auto at = [&](int x, int y) { return letter->pixels[static_cast<std::size_t>(y * letter->width + x)]; };
    EXPECT_GT(at(1, letter->height - 2), 100);
    EXPECT_EQ(at(letter->width / 2, letter->height - 2), 0);
  }
  EXPECT_GT(font->letter("H", 64, 6)->width, font->letter("H", 64)->width + 3);
  EXPECT_TRUE(font->letter(" ", 30)->pixels.empty());
}

TEST(Letters, SayWhatIsMissing) {
  const auto font = Font::open(file);
  ASSERT_TRUE(font.ok());
  EXPECT_TRUE(font->has("Ä"));
  EXPECT_FALSE(font->has("京"));
  EXPECT_FALSE(font->has("AB"));
  EXPECT_FALSE(font->has("\xff"));
  EXPECT_EQ(font->letter("京", 30).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(Font::open("/no/such.ttf").error().kind, ErrorKind::not_found);
  EXPECT_EQ(Font::open("docs/layers.txt").error().kind, ErrorKind::invalid_data);
}

}  // namespace
}  // namespace sightline::image
