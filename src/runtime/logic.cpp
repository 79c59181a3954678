// Comparisons, And, Or, Xor, Where, Mod, BitShift, and Max, Min, Sum, Mean of any number of tensors: broadcasting loops.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

Error not_for(const Planner& planner, const Node& node) {
  return planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(node.inputs[0])));
}

Walk walk_of_inputs(const Planner& planner, const Node& node) {
  std::vector<Shape> shapes;
  for (const std::string& input : node.inputs) shapes.push_back(planner.shape_of(input));
  return walk_of(planner.shape_of(node.outputs[0]), shapes);
}

template <class T>
Kernel comparing(const std::string& op, const Walk& walk) {
  const auto with = [&](auto function) { return broadcasting<T, std::uint8_t>(walk, function); };
  if (op == "Equal") return with([](T x, T y) { return x == y ? 1 : 0; });
  if (op == "Greater") return with([](T x, T y) { return x > y ? 1 : 0; });
  if (op == "GreaterOrEqual") return with([](T x, T y) { return x >= y ? 1 : 0; });
  if (op == "Less") return with([](T x, T y) { return x < y ? 1 : 0; });
  return with([](T x, T y) { return x <= y ? 1 : 0; });
}

Kernel logical(const std::string& op, const Walk& walk) {
  using Truth = std::uint8_t;  // any byte but zero
  const auto with = [&](auto function) { return broadcasting<Truth, Truth>(walk, function); };
  if (op == "And") return with([](Truth x, Truth y) { return x != 0 && y != 0 ? 1 : 0; });
  if (op == "Or") return with([](Truth x, Truth y) { return x != 0 || y != 0 ? 1 : 0; });
  if (op == "Xor") return with([](Truth x, Truth y) { return (x != 0) != (y != 0) ? 1 : 0; });
  if (op == "Equal") return with([](Truth x, Truth y) { return (x != 0) == (y != 0) ? 1 : 0; });
  return nullptr;
}

template <class T>
Kernel remainder_of(const Walk& walk, bool like_c) {
  if constexpr (std::is_floating_point_v<T>) {
    return broadcasting<T, T>(walk, [](T x, T y) { return std::fmod(x, y); });
  } else {
    return broadcasting<T, T>(walk, [like_c](T x, T y) {
      if (y == 0 || y == static_cast<T>(-1)) return T{0};
      const auto rest = static_cast<T>(x % y);
      // Without fmod the result has the divisor's sign.
      return !like_c && rest != 0 && (rest < 0) != (y < 0) ? static_cast<T>(rest + y) : rest;
    });
  }
}

// Accumulates operand after operand.
template <class T>
Kernel folding(const Walk& walk, const std::string& op) {
  return [walk, op](std::span<std::byte* const> at) {
    const std::size_t count = walk.strides.size();
    T* result = write_as<T>(at[count]);
    each_row(walk, [&](std::int64_t begin, const std::vector<std::int64_t>& from) {
      T* to = result + begin;
      for (std::size_t k = 0; k < count; ++k) {
        const T* x = read_as<T>(at[k]) + from[k];
        const std::int64_t step = walk.steps[k];
        if (k == 0) {
          for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = x[i * step];
        } else if (op == "Max") {
          for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = std::max(to[i], x[i * step]);
        } else if (op == "Min") {
          for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = std::min(to[i], x[i * step]);
        } else {
          for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = sum_of(to[i], x[i * step]);
        }
      }
      if (op == "Mean")
        for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = static_cast<T>(to[i] / static_cast<T>(count));
    });
  };
}

}  // namespace

Result<void> plan_comparison(Planner& planner, const Node& node) {
  const Walk walk = walk_of_inputs(planner, node);
  const Dtype dtype = planner.dtype_of(node.inputs[0]);
  Kernel kernel;
  if (dtype == Dtype::boolean) {
    kernel = logical(node.op_type, walk);
  } else {
    with_number(dtype, [&](auto number) { kernel = comparing<decltype(number)>(node.op_type, walk); });
  }
  if (!kernel) return not_for(planner, node);
  add_plain(planner, node, std::move(kernel));
  return {};
}

Result<void> plan_where(Planner& planner, const Node& node) {
  const Walk walk = walk_of_inputs(planner, node);
  with_element(planner.dtype_of(node.inputs[1]), [&](auto element) {
    using T = decltype(element);
    add_plain(planner, node, [walk](std::span<std::byte* const> at) {
      each_row(walk, [&](std::int64_t begin, const std::vector<std::int64_t>& from) {
        const auto* choice = read_as<std::uint8_t>(at[0]) + from[0];
        const T *x = read_as<T>(at[1]) + from[1], *y = read_as<T>(at[2]) + from[2];
        T* to = write_as<T>(at[3]) + begin;
        for (std::int64_t i = 0; i < walk.inner; ++i) to[i] = choice[i * walk.steps[0]] != 0 ? x[i * walk.steps[1]] : y[i * walk.steps[2]];
      });
    });
  });
  return {};
}

Result<void> plan_remainder(Planner& planner, const Node& node) {
  const Walk walk = walk_of_inputs(planner, node);
  const bool like_c = node.integer("fmod", 0) != 0;
  Kernel kernel;
  with_number(planner.dtype_of(node.inputs[0]), [&](auto number) { kernel = remainder_of<decltype(number)>(walk, like_c); });
  if (!kernel) return not_for(planner, node);
  add_plain(planner, node, std::move(kernel));
  return {};
}

Result<void> plan_bit_shift(Planner& planner, const Node& node) {
  if (planner.dtype_of(node.inputs[0]) != Dtype::u8) return not_for(planner, node);
  const Walk walk = walk_of_inputs(planner, node);
  using Byte = std::uint8_t;
  if (node.text("direction", "") == "LEFT") {
    add_plain(planner, node, broadcasting<Byte, Byte>(walk, [](Byte x, Byte y) { return y > 7 ? 0 : x << y; }));
  } else {
    add_plain(planner, node, broadcasting<Byte, Byte>(walk, [](Byte x, Byte y) { return y > 7 ? 0 : x >> y; }));
  }
  return {};
}

Result<void> plan_fold(Planner& planner, const Node& node) {
  const Walk walk = walk_of_inputs(planner, node);
  Kernel kernel;
  with_number(planner.dtype_of(node.inputs[0]), [&](auto number) { kernel = folding<decltype(number)>(walk, node.op_type); });
  if (!kernel) return not_for(planner, node);
  add_plain(planner, node, std::move(kernel));
  return {};
}

Result<void> plan_prelu_loops(Planner& planner, const Node& node) {
  const Walk walk = walk_of_inputs(planner, node);
  const bool done = with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, broadcasting<T, T>(walk, [](T x, T slope) { return x < 0 ? slope * x : x; }));
  });
  return done ? Result<void>() : not_for(planner, node);
}

}  // namespace sightline::runtime
