// f16 and bf16 as they lie in memory. Nothing is computed in them here: they are read as and rounded from wider numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace sightline::runtime {

// A number of 16 bits with this many bits of exponent.
template <int exponent_bits>
struct Half {
  std::uint16_t bits = 0;

  static constexpr int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;

  double value() const {
    const int exponent = bits >> mantissa_bits & top, mantissa = bits & ((1 << mantissa_bits) - 1);
    const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
    if (exponent == top) return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    const int whole = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
    return sign * std::ldexp(whole, (exponent == 0 ? 1 : exponent) - bias - mantissa_bits);
  }

  // Rounds to the nearest, halves to even; beyond the range is infinite.
  static Half of(double value) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000U : 0U);
    const auto with = [&](int magnitude) { return Half{static_cast<std::uint16_t>(sign | static_cast<unsigned>(magnitude))}; };
    constexpr int infinite = top << mantissa_bits;
    if (std::isnan(value)) return with(infinite | 1 << (mantissa_bits - 1));
    if (std::isinf(value)) return with(infinite);
    if (value == 0) return with(0);
    int exponent = 0;
    std::frexp(value, &exponent);  // |value| in [2^(exponent-1), 2^exponent)
    const int least = 1 - bias;
    const int scale = exponent - 1 < least ? least : exponent - 1;
    // In units of the last place; rounding up may carry into the exponent, which is what the bits then say.
    const double units = std::nearbyint(std::ldexp(std::abs(value), mantissa_bits - scale));
    if (scale + bias > top) return with(infinite);
    const double magnitude = static_cast<double>(scale + bias - 1) * (1 << mantissa_bits) + units;
    return with(magnitude >= infinite ? infinite : static_cast<int>(magnitude));
  }
};
using Float16 = Half<5>;
using BFloat16 = Half<8>;

}  // namespace sightline::runtime
