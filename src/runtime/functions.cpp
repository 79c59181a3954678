// Functions of one tensor that oneDNN has none for, or not for the dtype.
#include <cmath>
#include <limits>
#include <numbers>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

template <class T, class R = T, class Function>
Kernel mapping(std::size_t count, Function function) {
  return [count, function](std::span<std::byte* const> at) {
    const T* from = read_as<T>(at[0]);
    R* to = write_as<R>(at[1]);
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<R>(function(from[i]));
  };
}

// Of reals.
template <class T>
Kernel function_of_reals(const Node& node, std::size_t count) {
  const std::string& op = node.op_type;
  const auto with = [&](auto function) { return mapping<T>(count, function); };
  const auto number = [&](const char* key, float otherwise) { return static_cast<T>(node.real(key, otherwise)); };
  if (op == "Acos") return with([](T x) { return std::acos(x); });
  if (op == "Acosh") return with([](T x) { return std::acosh(x); });
  if (op == "Asin") return with([](T x) { return std::asin(x); });
  if (op == "Asinh") return with([](T x) { return std::asinh(x); });
  if (op == "Atan") return with([](T x) { return std::atan(x); });
  if (op == "Atanh") return with([](T x) { return std::atanh(x); });
  if (op == "Ceil") return with([](T x) { return std::ceil(x); });
  if (op == "Celu") return with([a = number("alpha", 1)](T x) { return std::max(T{0}, x) + std::min(T{0}, a * std::expm1(x / a)); });
  if (op == "Cos") return with([](T x) { return std::cos(x); });
  if (op == "Cosh") return with([](T x) { return std::cosh(x); });
  if (op == "Elu") return with([a = number("alpha", 1)](T x) { return x < 0 ? a * std::expm1(x) : x; });
  if (op == "Erf") return with([](T x) { return std::erf(x); });
  if (op == "Exp") return with([](T x) { return std::exp(x); });
  if (op == "Floor") return with([](T x) { return std::floor(x); });
  if (op == "Gelu" && node.text("approximate", "none") == "tanh")
    return with([](T x) {
      return x / 2 * (1 + std::tanh(static_cast<T>(std::sqrt(2 / std::numbers::pi)) * (x + static_cast<T>(0.044715) * x * x * x)));
    });
  if (op == "Gelu") return with([](T x) { return x / 2 * (1 + std::erf(x / std::numbers::sqrt2_v<T>)); });
  if (op == "HardSigmoid")
    return with([a = number("alpha", 0.2F), b = number("beta", 0.5F)](T x) { return std::min(T{1}, std::max(T{0}, a * x + b)); });
  if (op == "HardSwish") return with([](T x) { return x * std::min(T{1}, std::max(T{0}, x / 6 + T{1} / 2)); });
  if (op == "LeakyRelu") return with([a = number("alpha", 0.01F)](T x) { return x < 0 ? a * x : x; });
  if (op == "Log") return with([](T x) { return std::log(x); });
  if (op == "Mish") return with([](T x) { return x * std::tanh(x > 20 ? x : std::log1p(std::exp(x))); });
  if (op == "Reciprocal") return with([](T x) { return 1 / x; });
  if (op == "Round") return with([](T x) { return std::nearbyint(x); });
  if (op == "Selu")
    return with([a = number("alpha", 1.67326319217681884765625F), g = number("gamma", 1.05070102214813232421875F)](T x) {
      return x > 0 ? g * x : g * a * std::expm1(x);
    });
  if (op == "Sigmoid") return with([](T x) { return 1 / (1 + std::exp(-x)); });
  if (op == "Sin") return with([](T x) { return std::sin(x); });
  if (op == "Sinh") return with([](T x) { return std::sinh(x); });
  if (op == "Softplus") return with([](T x) { return std::max(x, T{0}) + std::log1p(std::exp(-std::abs(x))); });
  if (op == "Softsign") return with([](T x) { return x / (1 + std::abs(x)); });
  if (op == "Sqrt") return with([](T x) { return std::sqrt(x); });
  if (op == "Tan") return with([](T x) { return std::tan(x); });
  if (op == "Tanh") return with([](T x) { return std::tanh(x); });
  if (op == "ThresholdedRelu") return with([a = number("alpha", 1)](T x) { return x > a ? x : T{0}; });
  if (op == "IsNaN") return mapping<T, std::uint8_t>(count, [](T x) { return std::isnan(x) ? 1 : 0; });
  if (op == "IsInf")
    return mapping<T, std::uint8_t>(count, [low = node.integer("detect_negative", 1) != 0, high = node.integer("detect_positive", 1) != 0](
                                               T x) { return std::isinf(x) && (x < 0 ? low : high) ? 1 : 0; });
  return nullptr;
}

// Of integers as well.
template <class T>
Kernel function_of_numbers(const Node& node, std::size_t count) {
  const std::string& op = node.op_type;
  const auto with = [&](auto function) { return mapping<T>(count, function); };
  if (op == "Abs") return with([](T x) { return x < 0 ? static_cast<T>(T{0} - x) : x; });
  if (op == "Neg") return with([](T x) { return static_cast<T>(T{0} - x); });
  if (op == "Relu") return with([](T x) { return x < 0 ? T{0} : x; });
  if (op == "Sign") return with([](T x) { return static_cast<T>((x > 0 ? 1 : 0) - (x < 0 ? 1 : 0)); });
  if (op == "Shrink")
    return with([bias = static_cast<double>(node.real("bias", 0)), limit = static_cast<double>(node.real("lambd", 0.5F))](T x) {
      const auto v = static_cast<double>(x);
      return static_cast<T>(v < -limit ? v + bias : v > limit ? v - bias : 0);
    });
  if constexpr (std::is_floating_point_v<T>) {
    return function_of_reals<T>(node, count);
  } else {
    return nullptr;
  }
}

}  // namespace

Result<void> plan_function(Planner& planner, const Node& node) {
  const Dtype dtype = planner.dtype_of(node.inputs[0]);
  const auto count = static_cast<std::size_t>(element_count(planner.shape_of(node.inputs[0])));
  Kernel kernel;
  // The least integer has no negative: computed as unsigned, it stays what it is.
  if ((node.op_type == "Abs" || node.op_type == "Neg") && (dtype == Dtype::i32 || dtype == Dtype::i64)) {
    const bool always = node.op_type == "Neg";
    if (dtype == Dtype::i32)
      kernel = mapping<std::uint32_t>(count, [always](std::uint32_t x) { return always || x >> 31U != 0 ? 0U - x : x; });
    if (dtype == Dtype::i64)
      kernel = mapping<std::uint64_t>(count, [always](std::uint64_t x) { return always || x >> 63U != 0 ? std::uint64_t{0} - x : x; });
  } else if (dtype == Dtype::boolean) {
    if (node.op_type == "Not") kernel = mapping<std::uint8_t>(count, [](std::uint8_t x) { return x == 0 ? 1 : 0; });
  } else {
    with_number(dtype, [&](auto number) { kernel = function_of_numbers<decltype(number)>(node, count); });
  }
  if (!kernel) return planner.unsupported(node, std::string("not for ") + name_of(dtype));
  add_plain(planner, node, std::move(kernel));
  return {};
}

Result<void> plan_clip_loops(Planner& planner, const Node& node) {
  const auto count = static_cast<std::size_t>(element_count(planner.shape_of(node.inputs[0])));
  const auto slots = node.inputs.size();
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    T low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
    if constexpr (std::is_floating_point_v<T>) {
      low = static_cast<T>(node.real("min", -std::numeric_limits<float>::infinity()));
      high = static_cast<T>(node.real("max", std::numeric_limits<float>::infinity()));
    }
    add_plain(planner, node, [=](std::span<std::byte* const> at) {
      const T least = slots > 1 && at[1] != nullptr ? *read_as<T>(at[1]) : low;
      const T most = slots > 2 && at[2] != nullptr ? *read_as<T>(at[2]) : high;
      for (std::size_t i = 0; i < count; ++i) write_as<T>(at[slots])[i] = std::min(std::max(read_as<T>(at[0])[i], least), most);
    });
  });
  return done ? Result<void>() : planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(node.inputs[0])));
}

}  // namespace sightline::runtime
