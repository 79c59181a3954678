#include "dataset/gzip.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace sightline::dataset {
namespace {

std::string noise(std::size_t bytes) {
  Random random(bytes);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

TEST(Gzip, WhatIsPackedComesBack) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string(3'000'000, 'x'), noise(100'000), noise(70) + std::string(5000, 'y')}) {
    const std::string packed = gzip(text);
    EXPECT_TRUE(is_gzip(packed));
    EXPECT_EQ(packed, gzip(text));
    const auto back = gunzip(packed, "t", 10'000'000);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, text);
  }
  EXPECT_LT(gzip(std::string(3'000'000, 'x')).size(), 10'000U);
  EXPECT_FALSE(is_gzip("{\"a\":1}"));
}

TEST(Gzip, DamageAndBombsAreErrors) {
  const std::string packed = gzip(noise(5000));
  for (std::size_t cut = 0; cut < packed.size(); cut += 97)
    EXPECT_EQ(gunzip(packed.substr(0, cut), "t", 10'000).error().kind, ErrorKind::invalid_data) << cut;
  std::string flipped = packed;
  flipped[packed.size() - 3] = static_cast<char>(flipped[packed.size() - 3] ^ 1);  // the checksum
  EXPECT_EQ(gunzip(flipped, "t", 10'000).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(gunzip(packed + "x", "t", 10'000).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(gunzip(gzip(std::string(50'000'000, '\0')), "bomb", 1'000'000).error().kind, ErrorKind::refused);
}

}  // namespace
}  // namespace sightline::dataset
