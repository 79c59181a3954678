#include "image/levels.h"

#include <gmock/gmock.h>

#include <array>

#include "image/image.h"

namespace sightline::image {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(LevelsTest, NumbersAreReadAsTheyWereWritten) {
  for (const int bits : {8, 16}) {
    Levels levels{.width = 5, .height = 3, .bits = bits, .values = {}};
    for (int i = 0; i < 15; ++i) levels.values.push_back(static_cast<std::uint16_t>(bits == 8 ? i * 17 : i * 4369));
    const auto read = decode_levels(bytes_of(encode_levels(levels)));
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->bits, bits);
    EXPECT_EQ(read->width, 5);
    EXPECT_EQ(read->values, levels.values);
  }
}

// Four pixels, 0 1 2 3 in two bits each, of a palette in which all are the same grey: signature, IHDR, PLTE, IDAT (stored), IEND.
TEST(LevelsTest, PlacesInAPaletteAreNumbers) {
  constexpr std::array<std::uint8_t, 94> file{
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
      0x04, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x84, 0x52, 0xe7, 0x5e, 0x00, 0x00, 0x00, 0x0c, 0x50,
      0x4c, 0x54, 0x45, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0x09, 0xf9, 0xb4, 0xb4, 0xba,
      0x00, 0x00, 0x00, 0x0d, 0x49, 0x44, 0x41, 0x54, 0x78, 0x01, 0x01, 0x02, 0x00, 0xfd, 0xff, 0x00, 0x1b, 0x00, 0x1d,
      0x00, 0x1c, 0x1d, 0x49, 0x23, 0xd5, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const auto read = decode_levels(std::as_bytes(std::span(file)));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->values, (std::vector<std::uint16_t>{0, 1, 2, 3}));
  const Image grey{.width = 2, .height = 1, .channels = 3, .pixels = {7, 7, 7, 200, 200, 200}};
  const auto same = decode_levels(bytes_of(encode_png(grey)));
  ASSERT_TRUE(same.ok()) << same.error().message;
  EXPECT_EQ(same->values, (std::vector<std::uint16_t>{7, 200}));
}

TEST(LevelsTest, WhatHasNoNumbersIsRefused) {
  const Image colours{.width = 1, .height = 1, .channels = 3, .pixels = {1, 2, 3}};
  const auto coloured = decode_levels(bytes_of(encode_png(colours)));
  ASSERT_FALSE(coloured.ok());
  EXPECT_EQ(coloured.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(coloured.error().message, testing::HasSubstr("colours"));
  const auto lossy = decode_levels(bytes_of(encode_jpeg(colours)));
  ASSERT_FALSE(lossy.ok());
  EXPECT_EQ(lossy.error().kind, ErrorKind::invalid_data);
  std::string whole = encode_levels({.width = 40, .height = 40, .values = std::vector<std::uint16_t>(1600, 3)});
  for (std::size_t length = 0; length < whole.size(); length += 5) {
    const auto cut = decode_levels(bytes_of(whole.substr(0, length)));
    EXPECT_FALSE(cut.ok()) << length;
  }
}

}  // namespace
}  // namespace sightline::image
