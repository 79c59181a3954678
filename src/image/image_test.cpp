#include "image/image.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/random.h"

namespace sightline::image {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// Smooth and without symmetry: survives lossy coding, and shows every flip.
Image picture(int width, int height, int channels, int seed = 0) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const double wave = std::sin((x + seed) * 6.0 / width + c) * 60 + std::cos(y * 4.0 / height + seed) * 40;
        image.pixels.push_back(static_cast<std::uint8_t>(std::lround(120 + wave + 20.0 * x / width)));
      }
    }
  }
  return image;
}

double mean_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels) return 1e9;
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

TEST(Image, RoundTrips) {
  for (const int channels : {1, 3}) {
    const Image source = picture(37, 23, channels);
    const auto png = decode(bytes_of(encode_png(source)));
    ASSERT_TRUE(png.ok()) << png.error().message;
    EXPECT_EQ(png->pixels, source.pixels);
    const auto jpeg = decode(bytes_of(encode_jpeg(source, 95)));
    ASSERT_TRUE(jpeg.ok()) << jpeg.error().message;
    EXPECT_LT(mean_difference(*jpeg, source), 3);
    const auto webp = decode(bytes_of(encode_webp(source, 95)), {.channels = channels});
    ASSERT_TRUE(webp.ok()) << webp.error().message;
    EXPECT_LT(mean_difference(*webp, source), 4);
  }
}

TEST(Image, EncodingWhatHasNoPixelsGivesNothing) {
  EXPECT_EQ(encode_png({}), "");
  EXPECT_EQ(encode_jpeg({}), "");
  EXPECT_EQ(encode_webp({}), "");
}

TEST(Image, FormatsAreKnownByContent) {
  const Image source = picture(8, 8, 3);
  EXPECT_EQ(format_of(bytes_of(encode_png(source))), Format::png);
  EXPECT_EQ(format_of(bytes_of(encode_jpeg(source))), Format::jpeg);
  EXPECT_EQ(format_of(bytes_of(encode_webp(source))), Format::webp);
  EXPECT_EQ(format_of(bytes_of("BMW is a text that begins with BM")), Format::unknown);
  EXPECT_EQ(format_of({}), Format::unknown);
}

TEST(Image, WhatIsNoImageIsSaidInWords) {
  const auto message = [](const std::string& content) { return decode(bytes_of(content)).error().message; };
  EXPECT_EQ(message(""), "not an image (the file is empty)");
  EXPECT_EQ(message("path,label\nä.png,cat\n"), "not an image (text)");
  EXPECT_EQ(message(std::string("\x01\x02\x03\x00", 4)), "not an image (unknown content)");
  EXPECT_THAT(message("GIF89a..."), testing::HasSubstr("GIF files are not read"));
  EXPECT_EQ(decode(bytes_of("GIF89a...")).error().kind, ErrorKind::unsupported);
}

TEST(Image, BombsAreRefusedBeforeAllocation) {
  for (const std::string& content :
       {encode_png(picture(100, 100, 1)), encode_jpeg(picture(100, 100, 3)), encode_webp(picture(100, 100, 3))}) {
    const auto image = decode(bytes_of(content), {.max_pixels = 9999});
    ASSERT_FALSE(image.ok());
    EXPECT_EQ(image.error().kind, ErrorKind::refused);
    EXPECT_TRUE(decode(bytes_of(content), {.max_pixels = 10000}).ok());
  }
  // 65500×65500 in the header of a small JPEG: 4 gigapixels.
  std::string jpeg = encode_jpeg(picture(16, 16, 1));
  const std::size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  for (std::size_t i : {5U, 7U}) {
    jpeg[frame + i] = '\xFF';
    jpeg[frame + i + 1] = '\xDC';
  }
  EXPECT_EQ(decode(bytes_of(jpeg)).error().kind, ErrorKind::refused);
}

TEST(Image, TruncationAtEveryLengthIsAnError) {
  const Image source = picture(33, 17, 3);
  for (const std::string& content : {encode_png(source), encode_jpeg(source), encode_webp(source)}) {
    for (std::size_t length = 0; length < content.size(); ++length) {
      // A copy of its own, so that a sanitizer sees reads beyond the end.
      const std::vector<char> cut(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(length));
      const auto image = decode(std::as_bytes(std::span(cut)));
      ASSERT_FALSE(image.ok()) << name_of(format_of(bytes_of(content))) << " cut to " << length << " of " << content.size();
      static_cast<void>(read_header(std::as_bytes(std::span(cut))));
    }
  }
}

TEST(Image, FlippedBytesNeverCrash) {
  const Image source = picture(21, 19, 3);
  Random random(1);
  for (const std::string& content : {encode_png(source), encode_jpeg(source), encode_webp(source)}) {
    for (int trial = 0; trial < 2000; ++trial) {
      std::vector<char> damaged(content.begin(), content.end());
      for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips)
        damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
      const auto image = decode(std::as_bytes(std::span(damaged)), {.max_pixels = 1 << 20});
      if (!image.ok()) continue;
      ASSERT_EQ(image->pixels.size(), image->row_bytes() * static_cast<std::size_t>(image->height));
    }
  }
}

TEST(Image, ChannelsOnRequest) {
  const Image colour = picture(20, 10, 3);
  for (const std::string& content : {encode_png(colour), encode_jpeg(colour, 100)}) {
    const auto grey = decode(bytes_of(content), {.channels = 1});
    ASSERT_TRUE(grey.ok());
    EXPECT_LT(mean_difference(*grey, convert_channels(colour, 1)), 1.5);
  }
  const auto three = decode(bytes_of(encode_png(convert_channels(colour, 1))), {.channels = 3});
  ASSERT_TRUE(three.ok());
  EXPECT_EQ(three->channels, 3);
  EXPECT_EQ(three->pixels[0], three->pixels[1]);
}

TEST(Image, GreyIsBt601Luma) {
  const Image grey = convert_channels({3, 1, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255}}, 1);
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{76, 150, 29}));
}

TEST(Image, ScaledDecodingKeepsTheSmallestSide) {
  const std::string jpeg = encode_jpeg(picture(400, 200, 3));
  const auto size = [&](int least) {
    const auto image = decode(bytes_of(jpeg), {.jpeg_min_side = least});
    return std::pair{image->width, image->height};
  };
  EXPECT_EQ(size(0), (std::pair{400, 200}));
  EXPECT_EQ(size(101), (std::pair{400, 200}));
  EXPECT_EQ(size(100), (std::pair{200, 100}));
  EXPECT_EQ(size(40), (std::pair{100, 50}));
  EXPECT_EQ(size(1), (std::pair{50, 25}));
}

TEST(Image, ReadNamesTheFile) {
  const auto image = read_image("/nonexistent/x.png");
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().kind, ErrorKind::not_found);
  EXPECT_THAT(image.error().message, testing::HasSubstr("/nonexistent/x.png"));
}

TEST(Resize, HalvingAveragesAreas) {
  const Image half = resize({4, 2, 1, {0, 10, 100, 100, 20, 30, 200, 200}}, 2, 1);
  EXPECT_EQ(half.pixels, (std::vector<std::uint8_t>{15, 150}));
}

TEST(Resize, ShrinkingOneSideAndGrowingTheOtherStillAverages) {
  Image stripes{64, 2, 1, {}};  // alternating columns: anything but an average gives 0 or 255
  for (int i = 0; i < 128; ++i) stripes.pixels.push_back(i % 2 == 0 ? 0 : 255);
  const Image result = resize(stripes, 8, 16);
  for (const std::uint8_t value : result.pixels) EXPECT_NEAR(value, 128, 1);
}

TEST(Resize, FitPadsAndCropCuts) {
  const Image white{40, 20, 1, std::vector<std::uint8_t>(800, 255)};
  const Image fit = resize(white, 20, 20, Fit::fit);
  EXPECT_EQ(fit.pixels[0], 114);
  EXPECT_EQ(fit.pixels[4 * 20], 114);
  EXPECT_EQ(fit.pixels[5 * 20], 255);
  EXPECT_EQ(fit.pixels[14 * 20], 255);
  EXPECT_EQ(fit.pixels[15 * 20], 114);
  Image halves{40, 20, 1, {}};
  for (int i = 0; i < 800; ++i) halves.pixels.push_back(i % 40 < 10 || i % 40 >= 30 ? 0 : 200);
  const Image crop = resize(halves, 10, 10, Fit::crop);
  for (const std::uint8_t value : crop.pixels) EXPECT_EQ(value, 200);
}

TEST(Resize, OddShapesKeepAPixel) {
  for (const Fit fit : {Fit::stretch, Fit::fit, Fit::crop}) {
    const Image thin = resize(picture(1000, 1, 3), 7, 7, fit);
    EXPECT_EQ(thin.pixels.size(), 147U);
    const Image dot = resize(picture(1, 1, 1), 5, 3, fit);
    EXPECT_EQ(dot.pixels.size(), 15U);
  }
  EXPECT_EQ(resize({}, 4, 4).width, 4);
}

TEST(PerceptualHash, NearForTheSamePictureFarForOthers) {
  Random random(3);
  Image scene = picture(128, 96, 3);
  for (int shape = 0; shape < 12; ++shape) {
    const int left = static_cast<int>(random.below(100)), top = static_cast<int>(random.below(70));
    const auto value = static_cast<std::uint8_t>(random.below(256));
    for (int y = top; y < top + 25; ++y) {
      for (int x = left; x < left + 28; ++x) {
        for (int c = 0; c < 3; ++c) scene.pixels[static_cast<std::size_t>((y * 128 + x) * 3 + c)] = value;
      }
    }
  }
  const std::uint64_t hash = perceptual_hash(scene);
  EXPECT_LE(hamming_distance(hash, perceptual_hash(*decode(bytes_of(encode_jpeg(scene, 60))))), 4);
  EXPECT_LE(hamming_distance(hash, perceptual_hash(resize(scene, 64, 48))), 4);
  EXPECT_LE(hamming_distance(hash, perceptual_hash(convert_channels(scene, 1))), 1);
  EXPECT_GE(hamming_distance(hash, perceptual_hash(picture(128, 96, 3, 40))), 15);
}

TEST(PerceptualHash, FlatPicturesAreAllTheSame) {
  for (const int value : {0, 77, 255}) {
    EXPECT_EQ(perceptual_hash({50, 40, 1, std::vector<std::uint8_t>(2000, static_cast<std::uint8_t>(value))}), 0U);
  }
  EXPECT_EQ(perceptual_hash({}), 0U);
}

TEST(Statistics, AreThoseOfTheGreyPicture) {
  const Statistics flat = statistics_of({8, 8, 3, std::vector<std::uint8_t>(192, 90)});
  EXPECT_DOUBLE_EQ(flat.mean, 90);
  EXPECT_DOUBLE_EQ(flat.deviation, 0);
  EXPECT_DOUBLE_EQ(flat.sharpness, 0);
  Image checks{8, 8, 1, {}};
  for (int i = 0; i < 64; ++i) checks.pixels.push_back((i + i / 8) % 2 == 0 ? 0 : 100);
  const Statistics sharp = statistics_of(checks);
  EXPECT_DOUBLE_EQ(sharp.mean, 50);
  EXPECT_DOUBLE_EQ(sharp.deviation, 50);
  EXPECT_DOUBLE_EQ(sharp.sharpness, 400.0 * 400.0);  // the Laplacian is +-400
  EXPECT_DOUBLE_EQ(statistics_of({1, 1, 1, {7}}).sharpness, 0);
  EXPECT_DOUBLE_EQ(statistics_of({}).mean, 0);
}

TEST(DrawText, MarksThePictureAndStaysInside) {
  Image grey{60, 30, 1, std::vector<std::uint8_t>(1800, 128)};
  draw_text(grey, 2, 2, "ä7");
  EXPECT_EQ(grey.channels, 3);
  EXPECT_EQ(grey.pixels.size(), 5400U);
  EXPECT_TRUE(std::any_of(grey.pixels.begin(), grey.pixels.end(), [](int v) { return v > 200; }));
  draw_text(grey, -500, 900, "outside");
  Image none;
  draw_text(none, 0, 0, "nothing to draw on");
}

TEST(DrawText, LettersCanBeReadOnTheirBackground) {
  for (const Colour background : {Colour{240, 228, 66}, Colour{0, 0, 90}}) {
    Image target{80, 30, 3, std::vector<std::uint8_t>(7200, 128)};
    draw_text(target, 0, 0, "###", 0.5, background);
    EXPECT_EQ(target.pixels[0], background.red);
    const auto [darkest, lightest] = std::minmax_element(target.pixels.begin(), target.pixels.end());
    EXPECT_TRUE(background.red > 128 ? *darkest < 20 : *lightest > 235);
  }
}

TEST(DrawText, TheSizeIsThatOfTheBar) {
  const Colour bar{200, 10, 10};
  const TextSize size = text_size("42", 1);
  Image target{100, 100, 3, std::vector<std::uint8_t>(30000, 0)};
  draw_text(target, 0, 0, "42", 1, bar);
  const auto red = [&](int x, int y) { return target.pixels[static_cast<std::size_t>(y * 100 + x) * 3]; };
  EXPECT_EQ(red(size.width - 1, size.height - 1), 200);
  EXPECT_EQ(red(size.width, size.height - 1), 0);
  EXPECT_EQ(red(size.width - 1, size.height), 0);
}

TEST(DrawRectangle, TheLineLiesInThePixelsThatTheBoxTouches) {
  Image target{20, 20, 1, std::vector<std::uint8_t>(400, 0)};
  draw_rectangle(target, 3.5, 4, 9.2, 12, {.colour = {255, 0, 0}});
  ASSERT_EQ(target.channels, 3);
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 20; ++x) {
      const bool inside = x >= 3 && x <= 9 && y >= 4 && y <= 11, within = x > 3 && x < 9 && y > 4 && y < 11;
      EXPECT_EQ(target.pixels[static_cast<std::size_t>(y * 20 + x) * 3], inside && !within ? 255 : 0) << x << ", " << y;
    }
  }
}

TEST(DrawRectangle, WhatIsOutsideIsCutOff) {
  Image target{8, 8, 3, std::vector<std::uint8_t>(192, 7)};
  const Image before = target;
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [left, top, right, bottom] :
       {std::array{20.0, 20.0, 30.0, 30.0}, std::array{-1e30, -1e30, 1e30, 1e30}, std::array{-inf, -inf, inf, inf},
        std::array{5.0, 5.0, 5.0, 9.0}, std::array{nan, 0.0, 4.0, 4.0}}) {
    draw_rectangle(target, left, top, right, bottom, {.colour = {255, 0, 0}, .width = 2});
    EXPECT_EQ(target.pixels, before.pixels) << left;
  }
  draw_rectangle(target, -5, 2, 30, 30, {.colour = {255, 0, 0}, .width = 2});
  EXPECT_EQ(target.pixels[2 * 24], 255);  // the top edge, cut at both sides
  EXPECT_EQ(target.pixels[4 * 24], 7);
  Image none;
  draw_rectangle(none, 0, 0, 1, 1, {});
}

TEST(Maps, AreEnlargedBetweenCentresAndShrunkByAreas) {
  const std::vector<float> two{0, 1};
  EXPECT_EQ(resize_map(two, 2, 1, 4, 1), (std::vector<float>{0, 0.25F, 0.75F, 1}));
  EXPECT_EQ(resize_map(std::vector<float>{0, 1, 2, 3}, 2, 2, 1, 1), (std::vector<float>{1.5F}));
  EXPECT_TRUE(resize_map(two, 2, 1, 0, 3).empty());
}

TEST(Maps, HeatLeavesThePictureWhereItIsNoneAndRisesInLightness) {
  Image target{2, 1, 1, {90, 90}};
  draw_heat_map(target, std::vector<float>{0, 1}, 2, 1);
  ASSERT_EQ(target.channels, 3);
  EXPECT_EQ(target.pixels[0], 90);
  EXPECT_EQ(target.pixels[3], 212);  // 0.25 · 90 + 0.75 · 253
  double before = -1;
  for (double value = 0; value <= 1; value += 0.125) {
    const Colour colour = heat_colour(value);
    const double luma = 0.299 * colour.red + 0.587 * colour.green + 0.114 * colour.blue;
    EXPECT_GT(luma, before);
    before = luma;
  }
  EXPECT_EQ(heat_colour(std::numeric_limits<double>::quiet_NaN()), heat_colour(0));
  EXPECT_EQ(heat_colour(7), heat_colour(1));
}

TEST(Maps, AnOutlineLiesInsideOfTheMask) {
  Image target{7, 7, 3, std::vector<std::uint8_t>(147, 9)};
  std::vector<std::uint8_t> mask(49, 0);
  for (std::size_t y = 1; y < 6; ++y)
    for (std::size_t x = 1; x < 6; ++x) mask[y * 7 + x] = 255;
  draw_outline(target, mask, {.colour = {255, 0, 0}});
  for (std::size_t y = 0; y < 7; ++y) {
    for (std::size_t x = 0; x < 7; ++x) {
      const bool inside = mask[y * 7 + x] != 0, deep = x > 1 && x < 5 && y > 1 && y < 5;
      EXPECT_EQ(target.pixels[(y * 7 + x) * 3], inside && !deep ? 255 : 9) << x << ", " << y;
    }
  }
  const Image before = target;
  draw_outline(target, std::vector<std::uint8_t>(3, 1), {});  // of another size
  EXPECT_EQ(target.pixels, before.pixels);
}

TEST(ClassColour, TwentyOneClassesLookDifferent) {
  for (std::size_t a = 0; a < 21; ++a) {
    for (std::size_t b = 0; b < a; ++b) EXPECT_NE(class_colour(a), class_colour(b));
  }
  EXPECT_EQ(class_colour(21), class_colour(0));
}

}  // namespace
}  // namespace sightline::image
