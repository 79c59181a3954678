#include "autograd/channel_loops.h"

#include <algorithm>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SIGHTLINE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SIGHTLINE_CLONES
#endif

namespace sightline::autograd {
namespace {

// Single-precision sums run over few rows before they join the double ones.
constexpr std::int64_t block = 256;

enum class Mask { none, recomputed, stored };

SIGHTLINE_CLONES void moments_of_block(const float* __restrict x, std::int64_t rows, std::int64_t channels, const float* __restrict shift,
                                       float* __restrict sum, float* __restrict square) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float d = x[c] - shift[c];
      sum[c] += d;
      square[c] += d * d;
    }
  }
}

SIGHTLINE_CLONES void normalise_plain(const float* __restrict x, std::int64_t rows, std::int64_t channels, const float* __restrict factor,
                                      const float* __restrict offset, float least, float* __restrict y) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels, y += channels)
    for (std::int64_t c = 0; c < channels; ++c) y[c] = std::max(x[c] * factor[c] + offset[c], least);
}

SIGHTLINE_CLONES void normalise_shortcut(const float* __restrict x, const float* __restrict shortcut, std::int64_t rows,
                                         std::int64_t channels, const float* __restrict factor, const float* __restrict offset, float least,
                                         float* __restrict y) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels, y += channels, shortcut += channels)
    for (std::int64_t c = 0; c < channels; ++c) y[c] = std::max(x[c] * factor[c] + offset[c] + shortcut[c], least);
}

// One function per mask (VALUE: the gradient at `at`, of channel `c`), so that each is compiled for every instruction set.
#define SIGHTLINE_GRADIENT_LOOPS(NAME, VALUE)                                                                                       \
  SIGHTLINE_CLONES void sums_##NAME(const NormGradient& g, std::int64_t begin, std::int64_t end, std::int64_t channels,             \
                                    const float* __restrict mean, float* __restrict sum, float* __restrict product) {               \
    const float* __restrict dy = g.dy;                                                                                              \
    const float* __restrict x = g.x;                                                                                                \
    [[maybe_unused]] const float* __restrict y = g.y;                                                                               \
    [[maybe_unused]] const float* __restrict factor = g.factor;                                                                     \
    [[maybe_unused]] const float* __restrict offset = g.offset;                                                                     \
    for (std::int64_t row = begin; row < end; ++row) {                                                                              \
      for (std::int64_t c = 0; c < channels; ++c) {                                                                                 \
        const std::int64_t at = row * channels + c;                                                                                 \
        const float value = VALUE;                                                                                                  \
        sum[c] += value;                                                                                                            \
        product[c] += value * (x[at] - mean[c]);                                                                                    \
      }                                                                                                                             \
    }                                                                                                                               \
  }                                                                                                                                 \
  SIGHTLINE_CLONES void gradient_##NAME(const NormGradient& g, std::int64_t rows, std::int64_t channels, const float* __restrict a, \
                                        const float* __restrict b, const float* __restrict k, float* __restrict dx) {               \
    const float* __restrict dy = g.dy;                                                                                              \
    const float* __restrict x = g.x;                                                                                                \
    [[maybe_unused]] const float* __restrict y = g.y;                                                                               \
    [[maybe_unused]] const float* __restrict factor = g.factor;                                                                     \
    [[maybe_unused]] const float* __restrict offset = g.offset;                                                                     \
    for (std::int64_t row = 0; row < rows; ++row) {                                                                                 \
      for (std::int64_t c = 0; c < channels; ++c) {                                                                                 \
        const std::int64_t at = row * channels + c;                                                                                 \
        const float value = VALUE;                                                                                                  \
        dx[at] = a[c] * value + (b[c] * x[at] + k[c]);                                                                              \
      }                                                                                                                             \
    }                                                                                                                               \
  }                                                                                                                                 \
  SIGHTLINE_CLONES void both_##NAME(const NormGradient& g, std::int64_t rows, std::int64_t channels, const float* __restrict a,     \
                                    const float* __restrict b, const float* __restrict k, float* __restrict dx,                     \
                                    float* __restrict masked) {                                                                     \
    const float* __restrict dy = g.dy;                                                                                              \
    const float* __restrict x = g.x;                                                                                                \
    [[maybe_unused]] const float* __restrict y = g.y;                                                                               \
    [[maybe_unused]] const float* __restrict factor = g.factor;                                                                     \
    [[maybe_unused]] const float* __restrict offset = g.offset;                                                                     \
    for (std::int64_t row = 0; row < rows; ++row) {                                                                                 \
      for (std::int64_t c = 0; c < channels; ++c) {                                                                                 \
        const std::int64_t at = row * channels + c;                                                                                 \
        const float value = VALUE;                                                                                                  \
        masked[at] = value;                                                                                                         \
        dx[at] = a[c] * value + (b[c] * x[at] + k[c]);                                                                              \
      }                                                                                                                             \
    }                                                                                                                               \
  }

SIGHTLINE_GRADIENT_LOOPS(none, dy[at])
SIGHTLINE_GRADIENT_LOOPS(recomputed, (x[at] * factor[c] + offset[c] > 0 ? dy[at] : 0.0F))
SIGHTLINE_GRADIENT_LOOPS(stored, (y[at] > 0 ? dy[at] : 0.0F))

Mask mask_of(const NormGradient& g) {
  if (!g.rectified) return Mask::none;
  return g.y == nullptr ? Mask::recomputed : Mask::stored;
}

// Calls body(begin, end, first, second) for blocks of rows with zeroed single-precision sums, and adds those to the double ones.
template <class Body>
void in_blocks(std::int64_t rows, std::int64_t channels, double* first, double* second, const Body& body) {
  const auto count = static_cast<std::size_t>(channels);
  std::vector<float> sums(2 * count);
  for (std::int64_t begin = 0; begin < rows; begin += block) {
    std::fill(sums.begin(), sums.end(), 0.0F);
    body(begin, std::min(rows, begin + block), sums.data(), sums.data() + count);
    for (std::size_t c = 0; c < count; ++c) {
      first[c] += static_cast<double>(sums[c]);
      second[c] += static_cast<double>(sums[count + c]);
    }
  }
}

}  // namespace

void add_moments(const float* x, std::int64_t rows, std::int64_t channels, const float* shift, double* sum, double* square) {
  in_blocks(rows, channels, sum, square, [&](std::int64_t begin, std::int64_t end, float* first, float* second) {
    moments_of_block(x + begin * channels, end - begin, channels, shift, first, second);
  });
}

void normalise_rows(const float* x, const float* shortcut, std::int64_t rows, std::int64_t channels, const float* factor,
                    const float* offset, bool rectify, float* y) {
  const float least = rectify ? 0.0F : -3.4028234663852886e38F;
  if (shortcut == nullptr)
    normalise_plain(x, rows, channels, factor, offset, least, y);
  else
    normalise_shortcut(x, shortcut, rows, channels, factor, offset, least, y);
}

void add_gradient_sums(const NormGradient& g, std::int64_t rows, std::int64_t channels, const float* mean, double* sum, double* product) {
  in_blocks(rows, channels, sum, product, [&](std::int64_t begin, std::int64_t end, float* first, float* second) {
    switch (mask_of(g)) {
      case Mask::none: sums_none(g, begin, end, channels, mean, first, second); break;
      case Mask::recomputed: sums_recomputed(g, begin, end, channels, mean, first, second); break;
      case Mask::stored: sums_stored(g, begin, end, channels, mean, first, second); break;
    }
  });
}

void gradient_rows(const NormGradient& g, std::int64_t rows, std::int64_t channels, const float* a, const float* b, const float* k,
                   float* dx, float* masked) {
  switch (mask_of(g)) {
    case Mask::none:
      masked == nullptr ? gradient_none(g, rows, channels, a, b, k, dx) : both_none(g, rows, channels, a, b, k, dx, masked);
      break;
    case Mask::recomputed:
      masked == nullptr ? gradient_recomputed(g, rows, channels, a, b, k, dx) : both_recomputed(g, rows, channels, a, b, k, dx, masked);
      break;
    case Mask::stored:
      masked == nullptr ? gradient_stored(g, rows, channels, a, b, k, dx) : both_stored(g, rows, channels, a, b, k, dx, masked);
      break;
  }
}

}  // namespace sightline::autograd
