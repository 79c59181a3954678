#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

namespace sightline {
namespace {

// The first numbers of seed 1234567 as rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64 publishes them.
TEST(RandomTest, IsSplitMix64) {
  Random random(1234567);
  for (const std::uint64_t wanted :
       {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL, 4593380528125082431ULL, 16408922859458223821ULL})
    EXPECT_EQ(random.next(), wanted);
}

TEST(RandomTest, StreamsAreReproducibleAndDiffer) {
  std::set<std::uint64_t> first_numbers;
  for (std::uint64_t a = 0; a < 30; ++a) {
    for (std::uint64_t b = 0; b < 30; ++b) {
      Random one(7, a, b), two(7, a, b);
      const std::uint64_t value = one.next();
      EXPECT_EQ(value, two.next());
      first_numbers.insert(value);
    }
  }
  EXPECT_EQ(first_numbers.size(), 900U);
  EXPECT_NE(Random(7, 1).next(), Random(8, 1).next());
}

TEST(RandomTest, BoundsHoldAndAreFilledEvenly) {
  Random random(3);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts.at(random.below(6));
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);  // five standard deviations
  for (int i = 0; i < 1'000; ++i) {
    const double value = random.uniform(-2, 3);
    EXPECT_GE(value, -2);
    EXPECT_LT(value, 3);
    EXPECT_EQ(random.below(1), 0U);
  }
}

TEST(RandomTest, NormalHasItsMoments) {
  Random random(5);
  double sum = 0, squares = 0;
  constexpr int count = 40'000;
  for (int i = 0; i < count; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / count, 0, 0.03);
  EXPECT_NEAR(squares / count, 1, 0.05);
}

TEST(RandomTest, ShufflesAreReproduciblePermutations) {
  std::vector<int> values(100);
  std::iota(values.begin(), values.end(), 0);
  std::vector<int> once = values, again = values;
  Random(9).shuffle(once);
  Random(9).shuffle(again);
  EXPECT_EQ(once, again);
  EXPECT_NE(once, values);
  std::sort(once.begin(), once.end());
  EXPECT_EQ(once, values);
}

}  // namespace
}  // namespace sightline
