// What can be said of a picture without knowing what it shows. Whole numbers only, so that every machine says the same.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "image/image.h"

namespace sightline::image {
namespace {

constexpr std::size_t side = 32;        // of the picture that is hashed
constexpr std::size_t frequencies = 9;  // 0..8

// cosine[u][x] = cos(pi (2x+1) u / 64) in units of 2^-13, rounded symmetrically: a flat picture has all coefficients exactly 0.
std::array<std::array<std::int32_t, side>, frequencies> cosine_table() {
  std::array<std::array<std::int32_t, side>, frequencies> table{};
  for (std::size_t u = 0; u < frequencies; ++u) {
    for (std::size_t x = 0; x < side; ++x) {
      const double angle = std::numbers::pi * static_cast<double>((2 * x + 1) * u) / (2.0 * side);
      table[u][x] = static_cast<std::int32_t>(std::lround(std::cos(angle) * 8192.0));
    }
  }
  return table;
}

}  // namespace

std::uint64_t perceptual_hash(const Image& source) {
  static const auto cosine = cosine_table();
  if (source.pixels.empty()) return 0;
  // Shrinking commutes with the (linear) change to grey but for rounding, and is cheaper on one channel.
  const Image small = resize(convert_channels(source, 1), side, side);

  std::array<std::array<std::int32_t, side>, frequencies> across{};  // [u][y]
  for (std::size_t y = 0; y < side; ++y) {
    const std::uint8_t* row = small.pixels.data() + y * side;
    for (std::size_t u = 0; u < frequencies; ++u) {
      std::int32_t sum = 0;
      for (std::size_t x = 0; x < side; ++x) sum += row[x] * cosine[u][x];
      across[u][y] = sum;
    }
  }
  // The 64 lowest frequencies but the mean, which says nothing of the shape: the 8×8 block, with (8, 0) in the mean's place.
  std::array<std::int64_t, 64> coefficients{};
  for (std::size_t v = 0; v < 8; ++v) {
    for (std::size_t u = 0; u < 8; ++u) {
      const std::size_t column = u == 0 && v == 0 ? 8 : u;
      std::int64_t sum = 0;
      for (std::size_t y = 0; y < side; ++y) sum += static_cast<std::int64_t>(across[column][y]) * cosine[v][y];
      coefficients[8 * v + u] = sum;
    }
  }
  std::array<std::int64_t, 64> sorted = coefficients;
  std::nth_element(sorted.begin(), sorted.begin() + 31, sorted.end());
  const std::int64_t median = sorted[31];
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < 64; ++i) hash |= static_cast<std::uint64_t>(coefficients[i] > median ? 1 : 0) << i;
  return hash;
}

int hamming_distance(std::uint64_t a, std::uint64_t b) { return std::popcount(a ^ b); }

Statistics statistics_of(const Image& source) {
  if (source.pixels.empty()) return {};
  const Image converted = source.channels == 1 ? Image{} : convert_channels(source, 1);
  const Image& grey = source.channels == 1 ? source : converted;
  const auto width = static_cast<std::size_t>(grey.width), height = static_cast<std::size_t>(grey.height);
  const auto mean_and_variance = [](std::int64_t sum, std::int64_t squares, std::size_t count) {
    const double mean = static_cast<double>(sum) / static_cast<double>(count);
    return std::pair{mean, std::max(0.0, static_cast<double>(squares) / static_cast<double>(count) - mean * mean)};
  };

  std::int64_t sum = 0, squares = 0;
  for (std::size_t y = 0; y < height; ++y) {
    const std::uint8_t* row = grey.pixels.data() + y * width;
    std::int64_t row_sum = 0, row_squares = 0;
    for (std::size_t x = 0; x < width; ++x) {
      row_sum += row[x];
      row_squares += row[x] * row[x];
    }
    sum += row_sum;
    squares += row_squares;
  }
  Statistics statistics;
  const auto [mean, variance] = mean_and_variance(sum, squares, width * height);
  statistics.mean = mean;
  statistics.deviation = std::sqrt(variance);
  if (width < 3 || height < 3) return statistics;

  sum = squares = 0;
  for (std::size_t y = 1; y + 1 < height; ++y) {
    const std::uint8_t* row = grey.pixels.data() + y * width;
    std::int64_t row_sum = 0, row_squares = 0;
    for (std::size_t x = 1; x + 1 < width; ++x) {
      const int laplacian = row[x - 1] + row[x + 1] + row[x - width] + row[x + width] - 4 * row[x];
      row_sum += laplacian;
      row_squares += laplacian * laplacian;
    }
    sum += row_sum;
    squares += row_squares;
  }
  statistics.sharpness = mean_and_variance(sum, squares, (width - 2) * (height - 2)).second;
  return statistics;
}

}  // namespace sightline::image
