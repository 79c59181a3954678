#include "factory/blemishes.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace sightline::factory {
namespace {

Tensor noisy(std::uint64_t seed, std::int64_t side = 64) {
  Tensor picture(Dtype::u8, {1, side, side, 3});
  Random random(seed);
  for (std::uint8_t& level : picture.values<std::uint8_t>()) level = static_cast<std::uint8_t>(100 + random.below(60));
  return picture;
}

std::int64_t changed(const Tensor& a, const Tensor& b) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.count()); ++i)
    count += a.values<std::uint8_t>()[i] != b.values<std::uint8_t>()[i] ? 1 : 0;
  return count;
}

TEST(Blemishes, AreSmallAndTheSameForTheSameSeed) {
  const Tensor picture = noisy(1);
  const std::vector<Tensor> donors{noisy(2), noisy(3)};
  int seen = 0;
  std::set<std::int64_t> sizes;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Tensor drawn = with_blemish(picture, donors, seed);
    ASSERT_EQ(drawn.shape(), picture.shape());
    EXPECT_TRUE(drawn.same_as(with_blemish(picture, donors, seed)));
    const std::int64_t count = changed(picture, drawn);
    EXPECT_LT(count, picture.count() / 4) << seed;
    seen += count > 0 ? 1 : 0;
    sizes.insert(count);
  }
  EXPECT_GE(seen, 55);  // a scratch may begin at the edge and lead out
  EXPECT_GT(sizes.size(), 30U);
}

TEST(Blemishes, ABlankPictureAndTheSmallestHaveThemToo) {
  int seen = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Tensor blank = Tensor::zeros(Dtype::u8, {1, 32, 32, 1});
    seen += changed(blank, with_blemish(blank, {}, seed)) > 0 ? 1 : 0;
  }
  EXPECT_GT(seen, 5);  // what is darker than black, or smeared, is not seen
}

}  // namespace
}  // namespace sightline::factory
