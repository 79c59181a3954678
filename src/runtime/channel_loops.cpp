#include "runtime/channel_loops.h"

#include <algorithm>
#include <bit>
#include <limits>

// ThreadSanitizer is not there yet when the choice is made, and dies of it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#ifdef __SANITIZE_THREAD__
#define SIGHTLINE_CLONES  // the choice is made before ThreadSanitizer is ready for it
#else
#define SIGHTLINE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#define SIGHTLINE_INLINE inline __attribute__((always_inline))
// Of the loop that follows: no turn reads what another one writes.
#define SIGHTLINE_ANY_ORDER _Pragma("GCC ivdep")
#else
#define SIGHTLINE_CLONES
#define SIGHTLINE_INLINE inline
#define SIGHTLINE_ANY_ORDER
#endif

namespace sightline::runtime {
namespace {

// 1.5 · 2²³: added to a small number, it leaves the nearest integer in the lowest bits.
constexpr float rounder = 12582912.0F;

// 2^t for |t| ≤ 64: 2^integer · a polynomial on [-1/2, 1/2] (least greatest error: 1.5e-7 of it).
SIGHTLINE_INLINE float power_of_two(float t) {
  const float whole = t + rounder;
  const float f = t - (whole - rounder);
  float p = 0.0013276472F;
  p = p * f + 0.0096755410F;
  p = p * f + 0.0555071309F;
  p = p * f + 0.2402212024F;
  p = p * f + 0.6931469440F;
  p = p * f + 1.0F;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(p) + (std::bit_cast<std::int32_t>(whole) << 23));
}

// Beyond these the function is 0 or x; and no product on the way is a denormal, which would be slow.
SIGHTLINE_INLINE float swish_of(float x) {
  const float t = std::min(std::max(x * -1.44269504F, -64.0F), 64.0F);
  return x / (1.0F + power_of_two(t));
}

template <class T>
SIGHTLINE_INLINE T rounded(float v, std::int32_t zero) {
  const auto low = static_cast<float>(std::numeric_limits<T>::min() - zero),
             high = static_cast<float>(std::numeric_limits<T>::max() - zero);
  return static_cast<T>(std::bit_cast<std::int32_t>(std::min(std::max(v, low), high) + rounder) + zero);
}

SIGHTLINE_INLINE std::uint16_t narrowed(float v) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

// The order of floating-point numbers as that of integers, and back: of negative ones the lower bits turn.
SIGHTLINE_INLINE std::int16_t ordered(std::int16_t half) { return static_cast<std::int16_t>(half ^ ((half >> 15) & 0x7FFF)); }

SIGHTLINE_INLINE float widened(std::uint16_t half) { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }

template <class T>
SIGHTLINE_INLINE void quantize_all(const float* __restrict x, float factor, std::int32_t zero, T* __restrict y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = rounded<T>(x[i] * factor, zero);
}

template <class T>
SIGHTLINE_INLINE void add_all(const T* __restrict x, float scale, std::int32_t zero, float* __restrict y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += scale * static_cast<float>(static_cast<std::int32_t>(x[i]) - zero);
}

template <class T>
SIGHTLINE_INLINE void quantize_three(const float* __restrict a, const float* __restrict b, const float* __restrict c, float factor,
                                     std::int32_t zero, T* __restrict y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    y[3 * i] = rounded<T>(a[i] * factor, zero);
    y[3 * i + 1] = rounded<T>(b[i] * factor, zero);
    y[3 * i + 2] = rounded<T>(c[i] * factor, zero);
  }
}

template <class S, class T>
SIGHTLINE_INLINE void scale_all(const S* __restrict x, const float* __restrict factor, std::int32_t zero, T* __restrict y,
                                std::int64_t rows, std::int64_t channels) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels, y += channels)
    for (std::int64_t c = 0; c < channels; ++c) y[c] = rounded<T>(static_cast<float>(x[c]) * factor[c], zero);
}

}  // namespace

SIGHTLINE_CLONES void swish(float* __restrict x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = swish_of(x[i]);
}

SIGHTLINE_CLONES void sum(const float* a, const float* b, float* y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

// Sixty-four sums side by side, so that none waits for the one before.
SIGHTLINE_CLONES void multiply_rows(const float* __restrict weight, const float* __restrict x, float* __restrict y, std::int64_t rows,
                                    std::int64_t count) {
  constexpr std::int64_t lanes = 64;
  for (std::int64_t row = 0; row < rows; ++row, weight += count) {
    float sums[lanes] = {};
    std::int64_t k = 0;
    for (; k + lanes <= count; k += lanes)
      for (std::int64_t i = 0; i < lanes; ++i) sums[i] += weight[k + i] * x[k + i];
    for (std::int64_t i = 0; k < count; ++k, ++i) sums[i] += weight[k] * x[k];
    for (std::int64_t half = lanes / 2; half > 0; half /= 2)
      for (std::int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    y[row] = sums[0];
  }
}

SIGHTLINE_CLONES void rectify(float* __restrict x, const float* __restrict slope, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = std::max(x[i], 0.0F) + slope[i] * std::min(x[i], 0.0F);
}

SIGHTLINE_CLONES void widen(const std::uint16_t* __restrict bf16, float* __restrict y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = widened(bf16[i]);
}

SIGHTLINE_CLONES void narrow(const float* __restrict x, std::uint16_t* __restrict bf16, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) bf16[i] = narrowed(x[i]);
}

SIGHTLINE_CLONES void add_scaled(const std::uint8_t* __restrict x, float scale, std::int32_t zero, float* __restrict y,
                                 std::int64_t count) {
  add_all(x, scale, zero, y, count);
}
SIGHTLINE_CLONES void add_scaled(const std::int8_t* __restrict x, float scale, std::int32_t zero, float* __restrict y, std::int64_t count) {
  add_all(x, scale, zero, y, count);
}
SIGHTLINE_CLONES void add_widened(const std::uint16_t* __restrict bf16, float* __restrict y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += widened(bf16[i]);
}

SIGHTLINE_CLONES void quantize(const float* __restrict x, float factor, std::int32_t zero, std::uint8_t* __restrict y, std::int64_t count) {
  quantize_all(x, factor, zero, y, count);
}
SIGHTLINE_CLONES void quantize(const float* __restrict x, float factor, std::int32_t zero, std::int8_t* __restrict y, std::int64_t count) {
  quantize_all(x, factor, zero, y, count);
}

SIGHTLINE_CLONES void quantize_swish(const float* __restrict x, float factor, std::int32_t zero, std::uint8_t* __restrict y,
                                     std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = rounded<std::uint8_t>(swish_of(x[i]) * factor, zero);
}
SIGHTLINE_CLONES void quantize_swish(const float* __restrict x, float factor, std::int32_t zero, std::int8_t* __restrict y,
                                     std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = rounded<std::int8_t>(swish_of(x[i]) * factor, zero);
}

SIGHTLINE_CLONES void quantize_planes(const float* const planes[3], float factor, std::int32_t zero, std::uint8_t* __restrict y,
                                      std::int64_t count) {
  quantize_three(planes[0], planes[1], planes[2], factor, zero, y, count);
}
SIGHTLINE_CLONES void quantize_planes(const float* const planes[3], float factor, std::int32_t zero, std::int8_t* __restrict y,
                                      std::int64_t count) {
  quantize_three(planes[0], planes[1], planes[2], factor, zero, y, count);
}

SIGHTLINE_CLONES void scale_channels(const std::uint8_t* __restrict x, const float* __restrict factor, std::int32_t zero,
                                     std::uint8_t* __restrict y, std::int64_t rows, std::int64_t channels) {
  scale_all(x, factor, zero, y, rows, channels);
}
SIGHTLINE_CLONES void scale_channels(const std::uint8_t* __restrict x, const float* __restrict factor, std::int32_t zero,
                                     std::int8_t* __restrict y, std::int64_t rows, std::int64_t channels) {
  scale_all(x, factor, zero, y, rows, channels);
}
SIGHTLINE_CLONES void scale_channels(const std::int8_t* __restrict x, const float* __restrict factor, std::int32_t zero,
                                     std::uint8_t* __restrict y, std::int64_t rows, std::int64_t channels) {
  scale_all(x, factor, zero, y, rows, channels);
}
SIGHTLINE_CLONES void scale_channels(const std::int8_t* __restrict x, const float* __restrict factor, std::int32_t zero,
                                     std::int8_t* __restrict y, std::int64_t rows, std::int64_t channels) {
  scale_all(x, factor, zero, y, rows, channels);
}

SIGHTLINE_CLONES void narrow_planes(const float* const planes[3], std::uint16_t* __restrict bf16, std::int64_t count) {
  const float* __restrict a = planes[0], * __restrict b = planes[1], * __restrict c = planes[2];
  for (std::int64_t i = 0; i < count; ++i) {
    bf16[3 * i] = narrowed(a[i]);
    bf16[3 * i + 1] = narrowed(b[i]);
    bf16[3 * i + 2] = narrowed(c[i]);
  }
}

SIGHTLINE_CLONES void scale_channels(const std::uint16_t* __restrict x, const float* __restrict factor, std::uint16_t* __restrict y,
                                     std::int64_t rows, std::int64_t channels) {
  for (std::int64_t row = 0; row < rows; ++row, x += channels, y += channels)
    for (std::int64_t c = 0; c < channels; ++c) y[c] = narrowed(widened(x[c]) * factor[c]);
}

SIGHTLINE_CLONES void greatest_of_nine(const std::uint16_t* const x[9], std::uint16_t* y, std::int64_t count) {
  const auto* const* const from = reinterpret_cast<const std::int16_t* const*>(x);
  const std::int16_t *a = from[0], *b = from[1], *c = from[2], *d = from[3], *e = from[4], *f = from[5], *g = from[6], *h = from[7],
                     *k = from[8];
  auto* to = reinterpret_cast<std::int16_t*>(y);
  SIGHTLINE_ANY_ORDER
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int16_t first = std::max(std::max(ordered(a[i]), ordered(b[i])), ordered(c[i]));
    const std::int16_t second = std::max(std::max(ordered(d[i]), ordered(e[i])), ordered(f[i]));
    const std::int16_t third = std::max(std::max(ordered(g[i]), ordered(h[i])), ordered(k[i]));
    to[i] = ordered(std::max(std::max(first, second), third));
  }
}

}  // namespace sightline::runtime
