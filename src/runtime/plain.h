// Steps of our own over row-major data, for operators that oneDNN has no primitive for and for dtypes that it lacks. They are plain loops:
// nothing in the nets that must be fast spends its time here.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/operators.h"

namespace sightline::runtime {

// Adds a step that is handed the addresses of the node's inputs and then of its outputs, all row-major; null for those left out. Defines
// the outputs.
void add_plain(Planner& planner, const graph::Node& node, Kernel kernel);
// The same for what only moves the elements of its first input: they stay in the numbers that they lie in, of this many bytes each.
std::size_t moved_size(Planner& planner, const graph::Node& node);
void add_moving(Planner& planner, const graph::Node& node, Kernel kernel);

template <class T>
const T* read_as(const std::byte* address) {
  return reinterpret_cast<const T*>(address);
}
template <class T>
T* write_as(std::byte* address) {
  return reinterpret_cast<T*>(address);
}

// function(T{}) with the type of a dtype that holds numbers; false when it is f16, bf16 or boolean.
template <class Function>
bool with_number(Dtype dtype, Function function) {
  switch (dtype) {
    case Dtype::f32: function(float{}); return true;
    case Dtype::f64: function(double{}); return true;
    case Dtype::i8: function(std::int8_t{}); return true;
    case Dtype::u8: function(std::uint8_t{}); return true;
    case Dtype::i32: function(std::int32_t{}); return true;
    case Dtype::i64: function(std::int64_t{}); return true;
    default: return false;
  }
}
template <class Function>
bool with_real(Dtype dtype, Function function) {
  if (dtype == Dtype::f32) function(float{});
  if (dtype == Dtype::f64) function(double{});
  return dtype == Dtype::f32 || dtype == Dtype::f64;
}
// function(T{}) with an unsigned type of so many bytes: for what only moves elements.
template <class Function>
void with_element(std::size_t size, Function function) {
  switch (size) {
    case 8: function(std::uint64_t{}); break;
    case 4: function(std::uint32_t{}); break;
    case 2: function(std::uint16_t{}); break;
    default: function(std::uint8_t{}); break;
  }
}
template <class Function>
void with_element(Dtype dtype, Function function) {
  with_element(size_of(dtype), std::move(function));
}

// Integers wrap around.
template <class T>
T sum_of(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}
template <class T>
T product_of(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  } else {
    return a * b;
  }
}

// The shape as outer × axis × inner.
struct Split3 {
  std::int64_t outer = 1, size = 1, inner = 1;
};
Split3 around(const Shape& shape, std::size_t axis);
std::vector<std::int64_t> strides_of(const Shape& shape);  // row-major

// Steps through the result of a broadcasting function: the last axis as a row, the others as an odometer.
struct Walk {
  Shape outer;                                     // all axes of the result but the last
  std::vector<std::vector<std::int64_t>> strides;  // of each operand along outer, 0 where it is broadcast
  std::int64_t inner = 1;                          // length of a row
  std::vector<std::int64_t> steps;                 // of each operand along the row
};
Walk walk_of(const Shape& result, const std::vector<Shape>& operands);

// body(where the row of the result begins, where those of the operands begin)
template <class Body>
void each_row(const Walk& walk, Body body) {
  for (std::int64_t d : walk.outer)
    if (d == 0) return;
  std::vector<std::int64_t> at(walk.outer.size(), 0), begins(walk.strides.size(), 0);
  for (std::int64_t result = 0;; result += walk.inner) {
    body(result, begins);
    std::size_t axis = at.size();
    while (true) {
      if (axis-- == 0) return;
      for (std::size_t i = 0; i < begins.size(); ++i) begins[i] += walk.strides[i][axis];
      if (++at[axis] < walk.outer[axis]) break;
      for (std::size_t i = 0; i < begins.size(); ++i) begins[i] -= walk.strides[i][axis] * walk.outer[axis];
      at[axis] = 0;
    }
  }
}

// result = function(a, b), both broadcast.
template <class A, class R, class Function>
Kernel broadcasting(Walk walk, Function function) {
  return [walk = std::move(walk), function](std::span<std::byte* const> at) {
    const auto *a = read_as<A>(at[0]), *b = read_as<A>(at[1]);
    auto* result = write_as<R>(at[2]);
    each_row(walk, [&](std::int64_t begin, const std::vector<std::int64_t>& from) {
      const A *x = a + from[0], *y = b + from[1];
      R* to = result + begin;
      for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = static_cast<R>(function(x[i * walk.steps[0]], y[i * walk.steps[1]]));
    });
  };
}

}  // namespace sightline::runtime
