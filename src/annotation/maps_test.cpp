#include "annotation/maps.h"

#include <gtest/gtest.h>

#include "annotation/annotation.h"
#include "base/random.h"

namespace sightline::annotation {
namespace {

using Runs = std::vector<std::int64_t>;
using Mask = std::vector<std::uint8_t>;

// Two rows of three: 0 1 1 / 0 0 1. Down the columns: 0 0, 1 0, 1 1.
TEST(ColumnRuns, GoDownTheColumns) {
  EXPECT_EQ(column_runs(Mask{0, 1, 1, 0, 0, 1}, 2, 3), (Runs{2, 1, 1, 2}));
  EXPECT_EQ(column_runs(Mask{1, 1}, 1, 2), (Runs{0, 2}));  // the first run is always outside
  EXPECT_EQ(column_runs(Mask{0, 0}, 1, 2), (Runs{2}));
}

// Worked by hand after COCO's maskApi: each number in pieces of five bits, lowest first, a sixth bit where more follow, from '0' (48) on.
// 2 → 50 '2'; 1 → '1'; 1 → '1'; the fourth is 2 less the second, 1 → '1'. 40 is 8 + 32 → 'X' (48 + 40), then 1 → '1'. −3 is 11101 with the
// sign in its highest bit → 48 + 29 'M'. 16 would be taken for negative in one piece: 48 + 48 '`', then '0'.
TEST(CocoCounts, AreWhatTheHandSays) {
  EXPECT_EQ(coco_counts(Runs{2, 1, 1, 2}), "2111");
  EXPECT_EQ(coco_counts(Runs{40}), "X1");
  EXPECT_EQ(coco_counts(Runs{5, 9, 7, 6}), "597M");
  EXPECT_EQ(coco_counts(Runs{16}), "`0");
}

Mask drawn(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  Random random(seed);
  Mask mask(static_cast<std::size_t>(rows * columns));
  for (int i = 0; i < 5; ++i) {
    const auto top = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(rows))),
               left = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(columns)));
    for (std::int64_t y = top; y < std::min(rows, top + 9); ++y)
      for (std::int64_t x = left; x < std::min(columns, left + 7); ++x) mask[static_cast<std::size_t>(y * columns + x)] = 1;
  }
  for (std::uint8_t& each : mask) each = random.uniform() < 0.1 ? 1 - each : each;
  return mask;
}

TEST(CocoCounts, ComeBackAsTheyWere) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::int64_t rows = 20 + static_cast<std::int64_t>(seed), columns = 33;
    const Mask mask = drawn(rows, columns, seed);
    const auto back = mask_of_counts(coco_counts(column_runs(mask, rows, columns)), rows, columns);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, mask);
  }
}

TEST(CocoCounts, WhatDoesNotFillThePictureIsRefused) {
  for (const char* counts : {"", "1", "8", "611", "X", "\x7f", " ", "M", "XXXXXXXXX1"})
    EXPECT_FALSE(mask_of_counts(counts, 2, 3).ok()) << counts;
  EXPECT_FALSE(mask_of_counts("6", 0, 3).ok());
  EXPECT_TRUE(mask_of_counts("6", 2, 3).ok());
}

// Twice the signed area of an outline, by Gauss.
std::int64_t twice_area(const std::vector<std::array<int, 2>>& outline) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < outline.size(); ++i) {
    const auto &a = outline[i], &b = outline[(i + 1) % outline.size()];
    sum += static_cast<std::int64_t>(a[0]) * b[1] - static_cast<std::int64_t>(b[0]) * a[1];
  }
  return sum;
}

TEST(Outlines, GoAroundPixels) {
  using Outline = std::vector<std::array<int, 2>>;
  EXPECT_EQ(outlines(Mask{0, 1, 1, 0, 0, 1}, 2, 3), (std::vector<Outline>{{{1, 0}, {3, 0}, {3, 2}, {2, 2}, {2, 1}, {1, 1}}}));
  // Two that touch at a corner are two; a ring has one outline, its hole is not shown.
  EXPECT_EQ(outlines(Mask{1, 0, 0, 1}, 2, 2).size(), 2U);
  const auto ring = outlines(Mask{1, 1, 1, 1, 0, 1, 1, 1, 1}, 3, 3);
  ASSERT_EQ(ring.size(), 1U);
  EXPECT_EQ(twice_area(ring[0]), 18);
  EXPECT_TRUE(outlines(Mask(6, 0), 2, 3).empty());
}

// A piece without holes is its outline: the area by Gauss is the number of its pixels. A pixel between two that touch at its corner too.
TEST(Outlines, EncloseAsManyPixelsAsThereAre) {
  const Mask steps{1, 1, 0, 0, 0,  //
                   0, 1, 1, 0, 1,  //
                   0, 0, 1, 1, 1};
  const auto found = outlines(steps, 3, 5);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(twice_area(found[0]), 2 * 8);
}

TEST(Maps, StandInJsonAsRuns) {
  Tensor map = Tensor::zeros(Dtype::i32, {2, 4});
  map.values<std::int32_t>()[5] = map.values<std::int32_t>()[6] = 300;
  const Json json = to_json(map);
  EXPECT_EQ(json.at("runs"), "0 5 300 2 0 1");
  Tensor back;
  ASSERT_TRUE(from_json(json, back, "map").ok());
  EXPECT_TRUE(back.same_as(map));
  EXPECT_TRUE(to_json(Tensor()).is_null());
  ASSERT_TRUE(from_json(nullptr, back, "map").ok());
  EXPECT_FALSE(back.defined());
  for (const char* runs : {"", "0 7", "0 9", "0 8 1", "0 -8", "-1 8", "x 8", "0 8 "}) {
    Json broken = json;
    broken["runs"] = runs;
    EXPECT_EQ(from_json(broken, back, "map").ok(), false) << runs;
  }
  Json huge = json;
  huge["width"] = 1'000'000'000;
  EXPECT_FALSE(from_json(huge, back, "map").ok());
  Json bytes = json;
  bytes["type"] = "u8";
  EXPECT_FALSE(from_json(bytes, back, "map").ok()) << "300 is no byte";
}

TEST(Maps, ObjectsThatScoreLittleLeaveTheInstances) {
  Annotation said;
  said.objects = {{.label = 0, .score = 0.2}, {.label = 0, .score = 0.9}};
  said.instances = Tensor::of<std::int32_t>({1, 4}, {1, 2, 0, 7});
  const Annotation sure = at_least(said, 0.5);
  ASSERT_EQ(sure.objects.size(), 1U);
  EXPECT_TRUE(sure.instances.same_as(Tensor::of<std::int32_t>({1, 4}, {0, 1, 0, 0})));
  EXPECT_TRUE(said.instances.same_as(Tensor::of<std::int32_t>({1, 4}, {1, 2, 0, 7}))) << "the given one stays";
}

TEST(Maps, MasksMayDifferAtBordersOnly) {
  Annotation expected, got;
  expected.mask = Tensor::zeros(Dtype::u8, {100, 100});
  got.mask = Tensor::zeros(Dtype::u8, {100, 100});
  for (int i = 0; i < 15; ++i) got.mask.values<std::uint8_t>()[i] = 1;
  EXPECT_EQ(difference(expected, got, 1e-4), "");
  for (int i = 0; i < 40; ++i) got.mask.values<std::uint8_t>()[i] = 1;
  EXPECT_EQ(difference(expected, got, 1e-4), "0.40% of the mask's pixels are others");
  EXPECT_EQ(difference(expected, got, 0.03), "");
  EXPECT_NE(difference(expected, Annotation(), 0.03), "");
}

}  // namespace
}  // namespace sightline::annotation
