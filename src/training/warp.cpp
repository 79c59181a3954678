#include "training/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "base/random.h"

namespace sightline::training {
namespace {

constexpr std::uint8_t grey = 114;
constexpr int fine = 256;  // places between two pixels

// The two pixels that a place lies between, and the second one's weight in 1/256ths.
struct Between {
  int first = 0, second = 0, weight = 0;
  bool outside = false;
};
Between between(double from, int last) {
  const int fixed = static_cast<int>(std::lround(std::clamp<double>(from, 0, last) * fine));
  const int first = fixed / fine;
  // Half a pixel beyond the last centre the picture ends.
  return {first, std::min(first + 1, last), fixed % fine, from < -0.5 || from > last + 0.5};
}

}  // namespace

void mirror(const PictureShape& shape, const std::uint8_t* source, std::uint8_t* target) {
  const auto width = static_cast<std::size_t>(shape.width);
  const auto channels = static_cast<std::size_t>(shape.channels);
  for (int y = 0; y < shape.height; ++y, source += width * channels, target += width * channels) {
    if (channels == 1) {
      std::reverse_copy(source, source + width, target);
      continue;
    }
    for (std::size_t x = 0; x < width; ++x) std::memcpy(target + x * channels, source + (width - 1 - x) * channels, channels);
  }
}

void warp(const PictureShape& shape, const Affine& affine, Outside outside, const Part& part, const std::uint8_t* source,
          std::uint8_t* target) {
  const int channels = shape.channels;
  const double centre_x = (shape.width - 1) / 2.0;
  const double centre_y = (shape.height - 1) / 2.0;
  const int last_x = shape.width - 1;
  const int last_y = shape.height - 1;
  // Where nothing is turned, a column comes from a column.
  const bool straight = affine.xy == 0 && affine.yx == 0;
  const auto column_of = [&](int x, int y) {
    return between(affine.xx * (x - centre_x) + affine.xy * (y - centre_y) + centre_x + affine.shift_x, last_x);
  };
  const auto row_of = [&](int x, int y) {
    return between(affine.yx * (x - centre_x) + affine.yy * (y - centre_y) + centre_y + affine.shift_y, last_y);
  };
  std::vector<Between> columns;
  if (straight)
    for (int x = part.left; x < part.right; ++x) columns.push_back(column_of(x, 0));
  for (int y = part.top; y < part.bottom; ++y) {
    std::uint8_t* to = target + (static_cast<std::ptrdiff_t>(y) * shape.width + part.left) * channels;
    const Between straight_row = row_of(0, y);
    for (int x = part.left; x < part.right; ++x, to += channels) {
      const Between column = straight ? columns[static_cast<std::size_t>(x - part.left)] : column_of(x, y);
      const Between row = straight ? straight_row : row_of(x, y);
      if (outside == Outside::grey && (column.outside || row.outside)) {
        std::fill_n(to, channels, grey);
        continue;
      }
      const auto at = [&](int line, int place) { return source + (static_cast<std::ptrdiff_t>(line) * shape.width + place) * channels; };
      const std::uint8_t* a = at(row.first, column.first);
      const std::uint8_t* b = at(row.first, column.second);
      const std::uint8_t* c = at(row.second, column.first);
      const std::uint8_t* d = at(row.second, column.second);
      for (int k = 0; k < channels; ++k) {
        const int upper = a[k] * (fine - column.weight) + b[k] * column.weight;
        const int lower = c[k] * (fine - column.weight) + d[k] * column.weight;
        to[k] = static_cast<std::uint8_t>((upper * (fine - row.weight) + lower * row.weight + fine * fine / 2) / (fine * fine));
      }
    }
  }
}

Nearest::Nearest(const PictureShape& shape, const Affine& affine) : shape_(shape), affine_(affine) {}

std::ptrdiff_t Nearest::source_of(int x, int y) const {
  const double centre_x = (shape_.width - 1) / 2.0, centre_y = (shape_.height - 1) / 2.0, half = 0.5;
  const double across = affine_.xx * (x - centre_x) + affine_.xy * (y - centre_y) + centre_x + affine_.shift_x;
  const double down = affine_.yx * (x - centre_x) + affine_.yy * (y - centre_y) + centre_y + affine_.shift_y;
  const auto column = static_cast<std::ptrdiff_t>(std::floor(across + half)), row = static_cast<std::ptrdiff_t>(std::floor(down + half));
  if (column < 0 || column >= shape_.width || row < 0 || row >= shape_.height) return -1;
  return row * shape_.width + column;
}

void change_tones(const PictureShape& shape, double contrast, double brightness, std::uint8_t* pixels) {
  std::uint8_t tones[256];
  for (int i = 0; i < 256; ++i)
    tones[i] = static_cast<std::uint8_t>(std::lround(std::clamp((i - 127.5) * contrast + 127.5 + 255 * brightness, 0.0, 255.0)));
  for (std::size_t i = 0; i < shape.bytes(); ++i) pixels[i] = tones[pixels[i]];
}

void soften(const PictureShape& shape, int x, int y, std::uint8_t* pixels) {
  const auto along = [&](int count, std::ptrdiff_t step, int reach, std::uint8_t* first, std::vector<std::uint8_t>& line) {
    line.resize(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) line[static_cast<std::size_t>(i)] = first[i * step];
    for (int i = 0; i < count; ++i) {
      int sum = reach;  // half of the divisor: rounds
      for (int k = -reach; k <= reach; ++k) sum += line[static_cast<std::size_t>(std::clamp(i + k, 0, count - 1))];
      first[i * step] = static_cast<std::uint8_t>(sum / (2 * reach + 1));
    }
  };
  std::vector<std::uint8_t> line;
  const std::ptrdiff_t row = std::ptrdiff_t{shape.width} * shape.channels;
  for (int k = 0; k < shape.channels; ++k) {
    for (int i = 0; x > 0 && i < shape.height; ++i) along(shape.width, shape.channels, x, pixels + i * row + k, line);
    for (int i = 0; y > 0 && i < shape.width; ++i) along(shape.height, row, y, pixels + std::ptrdiff_t{i} * shape.channels + k, line);
  }
}

void add_noise(const PictureShape& shape, double deviation, std::uint64_t seed, std::uint8_t* pixels) {
  Random random(seed);
  for (std::size_t i = 0; i < shape.bytes(); ++i) {
    // The sum of four uniform numbers is nearly normal, and costs one draw.
    const std::uint64_t bits = random.next();
    int sum = 0;
    for (unsigned part = 0; part < 4; ++part) sum += static_cast<int>(bits >> (16 * part) & 0xffffU);
    const double normal = (sum / 65535.0 - 2) * std::numbers::sqrt3;
    pixels[i] = static_cast<std::uint8_t>(std::lround(std::clamp(pixels[i] + deviation * normal, 0.0, 255.0)));
  }
}

void blank(const PictureShape& shape, const Part& part, std::uint8_t* pixels) {
  const int channels = shape.channels;
  const std::size_t area = static_cast<std::size_t>(shape.width) * static_cast<std::size_t>(shape.height);
  for (int k = 0; k < channels; ++k) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < area; ++i) sum += pixels[i * static_cast<std::size_t>(channels) + static_cast<std::size_t>(k)];
    const auto mean = static_cast<std::uint8_t>(sum / area);
    for (int y = std::max(0, part.top); y < std::min(shape.height, part.bottom); ++y)
      for (int x = std::max(0, part.left); x < std::min(shape.width, part.right); ++x)
        pixels[(static_cast<std::ptrdiff_t>(y) * shape.width + x) * channels + k] = mean;
  }
}

}  // namespace sightline::training
