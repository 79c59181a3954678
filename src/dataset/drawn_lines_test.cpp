#include "dataset/drawn_lines.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/files.h"
#include "base/text.h"
#include "dataset/degrade.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using testing::HasSubstr;

double mean_of(const image::Image& picture) {
  return std::accumulate(picture.pixels.begin(), picture.pixels.end(), 0.0) / static_cast<double>(picture.pixels.size());
}

TEST(DrawnLines, AreTheSameWhoeverDrawsThemInWhateverOrder) {
  for (const LineLayout& layout : line_layouts()) {
    auto one = LineArtist::open(layout.name), other = LineArtist::open(layout.name);
    ASSERT_TRUE(one.ok()) << one.error().message;
    const auto first = one->draw(7, 0), second = one->draw(7, 1);
    const auto again = other->draw(7, 1);
    ASSERT_TRUE(first.ok() && second.ok() && again.ok());
    EXPECT_EQ(second->text, again->text);
    EXPECT_EQ(second->picture.pixels, again->picture.pixels);
    EXPECT_NE(first->picture.pixels, second->picture.pixels);
    EXPECT_NE(other->draw(8, 1)->picture.pixels, second->picture.pixels);
  }
}

TEST(DrawnLines, SayWhatTheirLayoutAllows) {
  auto chinese = LineArtist::open("cn"), brazilian = LineArtist::open("br");
  ASSERT_TRUE(chinese.ok() && brazilian.ok());
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto plate = chinese->draw(1, i);
    ASSERT_TRUE(plate.ok()) << plate.error().message;
    const auto characters = characters_of(plate->text);
    ASSERT_EQ(characters.size(), 7U) << plate->text;
    EXPECT_EQ(characters[0].size(), 3U);
    EXPECT_EQ(plate->text.find_first_of("IO"), std::string::npos) << "Chinese plates have neither";
    EXPECT_EQ(plate->picture.width, 94);
    EXPECT_EQ(plate->picture.height, 24);
    const auto other = brazilian->draw(1, i);
    ASSERT_TRUE(other.ok());
    ASSERT_EQ(other->text.size(), 7U);
    EXPECT_TRUE(std::isupper(other->text[2]) && std::isdigit(other->text[3])) << other->text;
  }
}

TEST(DrawnLines, WritesPicturesAndTheirTable) {
  const TestFolder folder;
  ASSERT_TRUE(draw_lines({"eu", "words"}, 5, 3, folder.path("set")).ok());
  const std::string table = *read_file(folder.path("set/labels.csv"));
  EXPECT_EQ(std::ranges::count(table, '\n'), 11);
  EXPECT_THAT(table, HasSubstr("images/eu_00004.jpg,"));
  EXPECT_TRUE(image::read_image(folder.path("set/images/words_00000.jpg")).ok());
  EXPECT_EQ(draw_lines({"eu"}, 5, 3, folder.path("set")).error().kind, ErrorKind::conflict);
  EXPECT_THAT(draw_lines({"eur"}, 5, 3, folder.path("other")).error().message, HasSubstr("did you mean \"eu\""));
}

TEST(Degrade, LaysAPlaneWhereItsCornersLie) {
  // Red, green, blue and white quarters, turned by a quarter: red lies top right then.
  image::Image thing{20, 20, 3, {}};
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 20; ++x) {
      const int part = (y >= 10 ? 2 : 0) + (x >= 10 ? 1 : 0);
      const auto value = [&](int k) { return static_cast<std::uint8_t>(part == k || part == 3 ? 255 : 0); };
      thing.pixels.insert(thing.pixels.end(), {value(0), value(1), value(2)});
    }
  const image::Image ground{40, 40, 3, std::vector<std::uint8_t>(4800, 7)};
  const image::Image laid = lay_over(thing, ground, {{{30, 10}, {30, 30}, {10, 30}, {10, 10}}});
  const auto at = [&](int x, int y) {
    const std::size_t i = (static_cast<std::size_t>(y) * 40 + static_cast<std::size_t>(x)) * 3;
    return std::array<int, 3>{laid.pixels[i], laid.pixels[i + 1], laid.pixels[i + 2]};
  };
  EXPECT_EQ(at(25, 15), (std::array<int, 3>{255, 0, 0}));
  EXPECT_EQ(at(25, 25), (std::array<int, 3>{0, 255, 0}));
  EXPECT_EQ(at(15, 15), (std::array<int, 3>{0, 0, 255}));
  EXPECT_EQ(at(5, 5), (std::array<int, 3>{7, 7, 7}));
  // Corners that cross span nothing.
  EXPECT_EQ(lay_over(thing, ground, {{{0, 0}, {10, 10}, {10, 0}, {0, 10}}}).pixels, ground.pixels);
}

TEST(Degrade, LightBlurNoiseAndShadowAreWhatTheySay) {
  const image::Image grey{60, 40, 3, std::vector<std::uint8_t>(7200, 100)};
  Random random(5);
  EXPECT_EQ(degrade(grey, {}, random).pixels, grey.pixels);
  EXPECT_NEAR(mean_of(degrade(grey, {.gain = 1.5}, random)), 150, 0.5);
  EXPECT_NEAR(mean_of(degrade(grey, {.gain = 1, .haze = 30}, random)), 130, 0.5);
  EXPECT_NEAR(mean_of(degrade(grey, {.shadow = 0.5}, random)), 75, 3);
  const image::Image noisy = degrade(grey, {.noise = 8}, random);
  double squares = 0;
  for (const std::uint8_t value : noisy.pixels) squares += (value - 100.0) * (value - 100.0);
  EXPECT_NEAR(std::sqrt(squares / 7200), 8, 0.4);
  // A bright column spreads over its neighbours, and nothing is lost.
  image::Image line = grey;
  for (int y = 0; y < 40; ++y)
    for (std::size_t k = 0; k < 3; ++k) line.pixels[(static_cast<std::size_t>(y) * 60 + 30) * 3 + k] = 250;
  for (const Degradation& how : {Degradation{.defocus = 1.5}, Degradation{.motion = 5}}) {
    const image::Image soft = degrade(line, how, random);
    EXPECT_NEAR(mean_of(soft), mean_of(line), 0.6);
    EXPECT_LT(soft.pixels[(20 * 60 + 30) * 3], 160);
    EXPECT_GT(soft.pixels[(20 * 60 + 32) * 3], 105);
  }
}

}  // namespace
}  // namespace sightline::dataset
