// Sizes that a stranger wrote, checked before anything is reserved for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/tensor.h"
#include "weights/weights.h"

namespace sightline::weights {

inline constexpr std::size_t most_axes = 32;

// Bytes of a tensor; nothing when an axis is negative, there are too many of them, or the number is beyond 2^62.
inline std::optional<std::uint64_t> bytes_of(const Shape& shape, std::uint64_t item_size) {
  if (shape.size() > most_axes) return std::nullopt;
  bool empty = false;
  std::uint64_t bytes = item_size;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    empty = empty || size == 0;
    if (size > 0 && (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes) || bytes > (1ULL << 62U))) return std::nullopt;
  }
  return empty ? 0 : bytes;
}

// What is left of the memory that a file may cost.
class Allowance {
 public:
  Allowance(const Limits& limits, std::uint64_t file_bytes) : left_(limits.base_memory + limits.memory_per_byte * file_bytes) {}
  bool take(std::uint64_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  std::uint64_t left_;
};

// Little endian numbers; the caller has checked that they are there.
template <class T>
T little(std::string_view bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[at + i])) << (8 * i)));
  return value;
}

}  // namespace sightline::weights
