// The loops against the same in double.
#include "runtime/channel_loops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace sightline::runtime {
namespace {

std::vector<float> some_numbers(std::size_t count, double size) {
  Random random(3);
  std::vector<float> numbers(count);
  for (float& v : numbers) v = static_cast<float>(size * random.normal());
  return numbers;
}

std::int64_t count_of(const auto& values) { return static_cast<std::int64_t>(values.size()); }

TEST(ChannelLoops, SwishIsExactWhereItMatters) {
  std::vector<float> x = some_numbers(1000, 6);
  for (const float v : {0.0F, -0.0F, 1e-30F, -1e-30F, 20.0F, -20.0F, 88.0F, -88.0F, 1e4F, -1e4F, 1e30F, -1e30F}) x.push_back(v);
  std::vector<float> y = x;
  swish(y.data(), count_of(y));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto v = static_cast<double>(x[i]);
    EXPECT_NEAR(static_cast<double>(y[i]), v / (1 + std::exp(-v)), 2e-7 * std::max(1.0, std::abs(v)) * (v < -44 ? 1e-5 : 1)) << v;
  }
}

TEST(ChannelLoops, RowsAreDotProducts) {
  for (const std::size_t inner : {1U, 63U, 64U, 200U, 1280U}) {
    constexpr std::size_t rows = 5;
    const std::vector<float> weight = some_numbers(rows * inner, 1), x = some_numbers(inner, 1);
    std::vector<float> y(rows);
    multiply_rows(weight.data(), x.data(), y.data(), rows, count_of(x));
    for (std::size_t row = 0; row < rows; ++row) {
      double wanted = 0, size = 0;
      for (std::size_t k = 0; k < inner; ++k) {
        wanted += static_cast<double>(weight[row * inner + k]) * static_cast<double>(x[k]);
        size += std::abs(static_cast<double>(weight[row * inner + k]) * static_cast<double>(x[k]));
      }
      EXPECT_NEAR(static_cast<double>(y[row]), wanted, 1e-6 * size) << inner;
    }
  }
}

TEST(ChannelLoops, RectifyHasASlopeForEach) {
  const std::vector<float> x = some_numbers(77, 2), slopes = some_numbers(77, 1);
  std::vector<float> y = x;
  rectify(y.data(), slopes.data(), count_of(y));
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_FLOAT_EQ(y[i], x[i] < 0 ? slopes[i] * x[i] : x[i]);
}

template <class T>
void expect_integers(const std::vector<float>& x, float factor, std::int32_t zero) {
  std::vector<T> y(x.size());
  quantize(x.data(), factor, zero, y.data(), count_of(x));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double wanted =
        std::clamp(static_cast<double>(std::nearbyint(x[i] * factor)) + zero, static_cast<double>(std::numeric_limits<T>::min()),
                   static_cast<double>(std::numeric_limits<T>::max()));
    EXPECT_EQ(static_cast<double>(y[i]), wanted) << x[i];
  }
}

TEST(ChannelLoops, IntegersAreRoundedToEvenAndSaturated) {
  std::vector<float> x = some_numbers(500, 100);
  for (int i = -600; i <= 600; ++i) x.push_back(0.5F * static_cast<float>(i));
  for (const float v : {1e9F, -1e9F, 3e38F, -3e38F}) x.push_back(v);
  for (const std::int32_t zero : {0, 128, 255}) expect_integers<std::uint8_t>(x, 1, zero);
  for (const std::int32_t zero : {0, -128, 127, 5}) expect_integers<std::int8_t>(x, 1, zero);
  expect_integers<std::uint8_t>(x, 0.25F, 7);
}

TEST(ChannelLoops, SwishAndRoundingAreOnePass) {
  std::vector<float> x = some_numbers(700, 8);
  for (const float v : {0.0F, 1e30F, -1e30F}) x.push_back(v);
  std::vector<float> y = x;
  swish(y.data(), count_of(y));
  std::vector<std::uint8_t> apart(x.size()), together(x.size());
  std::vector<std::int8_t> signed_apart(x.size()), signed_together(x.size());
  quantize(y.data(), 9, 20, apart.data(), count_of(x));
  quantize_swish(x.data(), 9, 20, together.data(), count_of(x));
  quantize(y.data(), 9, -5, signed_apart.data(), count_of(x));
  quantize_swish(x.data(), 9, -5, signed_together.data(), count_of(x));
  EXPECT_EQ(together, apart);
  EXPECT_EQ(signed_together, signed_apart);
}

TEST(ChannelLoops, PlanesAreInterleaved) {
  const std::vector<float> x = some_numbers(3 * 53, 50);
  const float* const planes[] = {x.data(), x.data() + 53, x.data() + 106};
  std::vector<std::int8_t> apart(x.size()), mixed(x.size());
  quantize(x.data(), 0.5F, 3, apart.data(), count_of(x));
  quantize_planes(planes, 0.5F, 3, mixed.data(), 53);
  for (std::size_t i = 0; i < 53; ++i)
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(mixed[3 * i + c], apart[c * 53 + i]);
}

TEST(ChannelLoops, HalvesOfBf16GoToEven) {
  std::vector<float> x = some_numbers(300, 3);
  x.push_back(std::bit_cast<float>(0x3F808000U));  // between two, the lower is even
  x.push_back(std::bit_cast<float>(0x3F818000U));  // the upper is
  std::vector<std::uint16_t> halves(x.size());
  narrow(x.data(), halves.data(), count_of(x));
  EXPECT_EQ(halves[300], 0x3F80);
  EXPECT_EQ(halves[301], 0x3F82);
  std::vector<float> back(x.size()), sum = x;
  widen(halves.data(), back.data(), count_of(x));
  add_widened(halves.data(), sum.data(), count_of(x));
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(back[i], x[i], std::abs(x[i]) / 256);
    EXPECT_EQ(sum[i], x[i] + back[i]);
  }
}

TEST(ChannelLoops, ScaledIntegersAreAddedAndScaledByChannel) {
  std::vector<std::uint8_t> bytes(91);
  std::vector<std::int8_t> characters(91);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * 37);
    characters[i] = static_cast<std::int8_t>(bytes[i]);
  }
  std::vector<float> sum(91, 1.0F), other(91, 1.0F);
  add_scaled(bytes.data(), 0.5F, 9, sum.data(), 91);
  add_scaled(characters.data(), 0.5F, -9, other.data(), 91);
  const std::vector<float> factors = some_numbers(13, 1);
  std::vector<std::uint8_t> scaled(91), from_signed(91);
  std::vector<std::int8_t> to_signed(91), both_signed(91);
  scale_channels(bytes.data(), factors.data(), 10, scaled.data(), 7, 13);
  scale_channels(characters.data(), factors.data(), 10, from_signed.data(), 7, 13);
  scale_channels(bytes.data(), factors.data(), 10, to_signed.data(), 7, 13);
  scale_channels(characters.data(), factors.data(), 10, both_signed.data(), 7, 13);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FLOAT_EQ(sum[i], 1 + 0.5F * static_cast<float>(bytes[i] - 9));
    EXPECT_FLOAT_EQ(other[i], 1 + 0.5F * static_cast<float>(characters[i] + 9));
    const int of_byte = static_cast<int>(std::nearbyint(static_cast<float>(bytes[i]) * factors[i % 13])) + 10;
    const int of_character = static_cast<int>(std::nearbyint(static_cast<float>(characters[i]) * factors[i % 13])) + 10;
    EXPECT_EQ(scaled[i], std::clamp(of_byte, 0, 255));
    EXPECT_EQ(from_signed[i], std::clamp(of_character, 0, 255));
    EXPECT_EQ(to_signed[i], std::clamp(of_byte, -128, 127));
    EXPECT_EQ(both_signed[i], std::clamp(of_character, -128, 127));
  }
}

TEST(ChannelLoops, PlanesAndChannelsOfBf16) {
  const std::vector<float> x = some_numbers(3 * 41, 5), factors = some_numbers(41, 1);
  const float* const planes[] = {x.data(), x.data() + 41, x.data() + 82};
  std::vector<std::uint16_t> apart(x.size()), mixed(x.size()), scaled(x.size()), wanted(x.size());
  narrow(x.data(), apart.data(), count_of(x));
  narrow_planes(planes, mixed.data(), 41);
  for (std::size_t i = 0; i < 41; ++i)
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(mixed[3 * i + c], apart[c * 41 + i]);
  scale_channels(apart.data(), factors.data(), scaled.data(), 3, 41);
  std::vector<float> wide(x.size());
  widen(apart.data(), wide.data(), count_of(x));
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] *= factors[i % 41];
  narrow(wide.data(), wanted.data(), count_of(x));
  EXPECT_EQ(scaled, wanted);
}

TEST(ChannelLoops, TheGreatestOfNineIsThatOfTheNumbers) {
  std::vector<float> x = some_numbers(9 * 70, 3);
  for (std::size_t i = 0; i < 9; ++i) x[70 * i + 1] = -std::abs(x[70 * i + 1]);  // all of one place are negative
  std::vector<std::uint16_t> halves(x.size()), result(70);
  narrow(x.data(), halves.data(), count_of(x));
  widen(halves.data(), x.data(), count_of(x));
  std::array<const std::uint16_t*, 9> nine{};
  for (std::size_t i = 0; i < 9; ++i) nine[i] = halves.data() + 70 * i;
  greatest_of_nine(nine.data(), result.data(), 70);
  std::vector<float> got(70);
  widen(result.data(), got.data(), 70);
  for (std::size_t i = 0; i < 70; ++i) {
    float most = x[i];
    for (std::size_t k = 1; k < 9; ++k) most = std::max(most, x[70 * k + i]);
    EXPECT_EQ(got[i], most);
  }
}

}  // namespace
}  // namespace sightline::runtime
