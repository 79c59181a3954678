// The reductions: sums, products, norms, extremes over any axes. ReduceMean over the spatial axes is a pool (pooling.cpp).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;
using Offsets = std::vector<std::int64_t>;

// The offsets of all combinations of positions on some axes.
Offsets offsets_of(const Shape& shape, const std::vector<std::size_t>& axes) {
  const auto strides = strides_of(shape);
  Offsets offsets{0};
  for (std::size_t axis : axes) {
    Offsets longer;
    longer.reserve(offsets.size() * static_cast<std::size_t>(shape[axis]));
    for (std::int64_t offset : offsets)
      for (std::int64_t i = 0; i < shape[axis]; ++i) longer.push_back(offset + i * strides[axis]);
    offsets = std::move(longer);
  }
  return offsets;
}

// function(first element, offsets of all elements) for each element of the result. Integers are summed as such, reals as doubles.
template <class T, class Function>
Kernel reducing(const Offsets& kept, const Offsets& reduced, std::size_t slot, Function function) {
  return [=](std::span<std::byte* const> at) {
    const T* from = read_as<T>(at[0]);
    T* to = write_as<T>(at[slot]);
    for (std::size_t i = 0; i < kept.size(); ++i) to[i] = static_cast<T>(function(from + kept[i], std::span<const std::int64_t>(reduced)));
  };
}

template <class T>
Kernel reduction_of(const std::string& op, const Offsets& kept, const Offsets& reduced, std::size_t slot) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
  using At = std::span<const std::int64_t>;
  const auto with = [&](auto function) { return reducing<T>(kept, reduced, slot, function); };
  const auto summing = [&](auto term, auto finish) {
    return with([term, finish](const T* x, At at) {
      Sum sum{0};
      for (std::int64_t o : at) sum = sum_of(sum, term(static_cast<Sum>(x[o])));
      return finish(sum, at.size());
    });
  };
  const auto itself = [](Sum v) { return v; };
  const auto plain = [](Sum v, std::size_t) { return v; };
  const auto square = [](Sum v) { return product_of(v, v); };
  const auto magnitude = [](Sum v) { return v < 0 ? product_of(v, Sum{-1}) : v; };
  if (op == "ReduceSum") return summing(itself, plain);
  if (op == "ReduceMean") return summing(itself, [](Sum v, std::size_t n) { return n == 0 ? Sum{0} : v / static_cast<Sum>(n); });
  if (op == "ReduceSumSquare") return summing(square, plain);
  if (op == "ReduceL1") return summing(magnitude, plain);
  if (op == "ReduceL2") return summing(square, [](Sum v, std::size_t) { return std::sqrt(static_cast<double>(v)); });
  if (op == "ReduceLogSum") return summing(itself, [](Sum v, std::size_t) { return std::log(static_cast<double>(v)); });
  if (op == "ReduceProd")
    return with([](const T* x, At at) {
      Sum product{1};
      for (std::int64_t o : at) product = product_of(product, static_cast<Sum>(x[o]));
      return product;
    });
  if (op == "ReduceLogSumExp")
    return with([](const T* x, At at) {
      double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::int64_t o : at) greatest = std::max(greatest, static_cast<double>(x[o]));
      if (!std::isfinite(greatest)) return greatest;
      for (std::int64_t o : at) sum += std::exp(static_cast<double>(x[o]) - greatest);
      return greatest + std::log(sum);
    });
  const bool most = op == "ReduceMax";
  return with([most](const T* x, At at) {
    T best = x[at[0]];
    for (std::int64_t o : at) best = most ? std::max(best, x[o]) : std::min(best, x[o]);
    return best;
  });
}

}  // namespace

Result<void> plan_reduction(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const auto given, graph::axes_of(planner.constants(), node, shape.size()));
  const bool all = !given || given->empty();
  std::vector<std::size_t> kept, reduced;
  const bool nothing = all && node.integer("noop_with_empty_axes", 0) != 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool named = !nothing && (all || std::ranges::find(*given, static_cast<std::int64_t>(i)) != given->end());
    (named ? reduced : kept).push_back(i);
  }
  const Offsets from = offsets_of(shape, kept), over = offsets_of(shape, reduced);
  if (over.empty() && (node.op_type == "ReduceMax" || node.op_type == "ReduceMin"))
    return planner.unsupported(node, "its input has no elements");
  Kernel kernel;
  with_number(planner.dtype_of(node.inputs[0]),
              [&](auto number) { kernel = reduction_of<decltype(number)>(node.op_type, from, over, node.inputs.size()); });
  if (!kernel) return planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(node.inputs[0])));
  add_plain(planner, node, std::move(kernel));
  return {};
}

}  // namespace sightline::runtime
