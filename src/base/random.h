// Random numbers that are the same on every machine and library: the standard's distributions are not. SplitMix64 (Steele et al. 2014).
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <utility>
#include <vector>

namespace sightline {

__extension__ using Wide = unsigned __int128;

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  // An independent stream for (seed, a, b): sample 17 of epoch 3 draws the same numbers whichever thread asks.
  Random(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0)
      : state_(mix(mix(seed + 0x632be59bd9b4e019ULL) ^ a) ^ (b * 0xd1342543de82ef95ULL)) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    return mix(state_);
  }
  // Uniform in [0, bound), bound > 0 (Lemire's multiply-shift; the bias is below 2^-32 for bounds below 2^32).
  std::uint64_t below(std::uint64_t bound) { return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64U); }
  double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }  // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {  // Box-Muller
    const double u = 1.0 - uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform());
  }
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

  std::uint64_t state() const { return state_; }
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }

 private:
  std::uint64_t state_;
};

}  // namespace sightline
