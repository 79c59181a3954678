// QuantizeLinear and DequantizeLinear. For a whole tensor of 8-bit integers they are a reorder, or nothing (integers.h); along one axis,
// and for other integers, loops.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/operators.h"
#include "runtime/integers.h"
#include "runtime/picture.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Which scale an element uses: the tensor as outer × axis × inner, one of them long.
Result<Split3> scales_along(const Planner& planner, const Node& node) {
  const Shape &x = planner.shape_of(node.inputs[0]), &scale = planner.shape_of(node.inputs[1]);
  if (element_count(scale) == 1) return Split3{1, 1, element_count(x)};
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", 1), x.size()));
  return around(x, static_cast<std::size_t>(axis));
}

}  // namespace

Result<void> plan_quantize(Planner& planner, const Node& node) {
  if (const auto how = quantization_of(planner, node)) {
    const std::string &x = node.inputs[0], &y = node.outputs[0];
    const Quantized* known = planner.quantized(x);
    if (known != nullptr && known->how == *how) {
      planner.define(y, planner.native(known->integers));
      return {};
    }
    const Location source = known != nullptr ? planner.native(known->integers) : planner.native(x);
    const bool planes = processor_has_int8() && source.desc.data.ndims == 4 && is_row_major(source.desc);
    const auto wanted = retyped(planes ? channels_last(source.desc) : source.desc, how->numbers);
    if (const auto picture = known == nullptr
                                 ? laid_out_picture(planner, node.name.empty() ? y : node.name, node.op_type, source, wanted, &*how)
                                 : std::nullopt) {
      planner.define(y, *picture);
      return {};
    }
    planner.define(y, converted(planner, node.name.empty() ? y : node.name, node.op_type, source, known != nullptr ? &known->how : nullptr,
                                &*how, wanted));
    return {};
  }
  SIGHTLINE_TRY(const Split3 split, scales_along(planner, node));
  const Dtype from = planner.dtype_of(node.inputs[0]);
  if (from != Dtype::f32 && from != Dtype::i32) return planner.unsupported(node, std::string("not for ") + name_of(from));
  const auto plan = [&](auto source, auto target) {
    using S = decltype(source);
    using T = decltype(target);
    add_plain(planner, node, [split, inputs = node.inputs.size()](std::span<std::byte* const> at) {
      const S* x = read_as<S>(at[0]);
      T* y = write_as<T>(at[inputs]);
      for (std::int64_t row = 0; row < split.outer * split.size; ++row) {
        const float scale = read_as<float>(at[1])[row % split.size];
        const float zero = inputs > 2 && at[2] != nullptr ? static_cast<float>(read_as<T>(at[2])[row % split.size]) : 0.0F;
        constexpr auto low = static_cast<float>(std::numeric_limits<T>::min()), high = static_cast<float>(std::numeric_limits<T>::max());
        for (std::int64_t i = row * split.inner; i < (row + 1) * split.inner; ++i) {
          // Halves go to the even neighbour. Clamping NaN would give it; zero is what other engines give.
          const float rounded = std::nearbyint(static_cast<float>(x[i]) / scale) + zero;
          y[i] = std::isnan(rounded) ? T{0} : static_cast<T>(std::clamp(rounded, low, high));
        }
      }
    });
  };
  const bool is_signed = planner.dtype_of(node.outputs[0]) == Dtype::i8;
  if (from == Dtype::f32 && is_signed) plan(float{}, std::int8_t{});
  if (from == Dtype::f32 && !is_signed) plan(float{}, std::uint8_t{});
  if (from == Dtype::i32 && is_signed) plan(std::int32_t{}, std::int8_t{});
  if (from == Dtype::i32 && !is_signed) plan(std::int32_t{}, std::uint8_t{});
  return {};
}

Result<void> plan_dequantize(Planner& planner, const Node& node) {
  if (const auto how = quantization_of(planner, node)) {
    planner.define_quantized(node.outputs[0], {node.inputs[0], *how});
    return {};
  }
  SIGHTLINE_TRY(const Split3 split, scales_along(planner, node));
  const auto plan = [&](auto source) {
    using S = decltype(source);
    add_plain(planner, node, [split, inputs = node.inputs.size()](std::span<std::byte* const> at) {
      const S* x = read_as<S>(at[0]);
      float* y = write_as<float>(at[inputs]);
      for (std::int64_t row = 0; row < split.outer * split.size; ++row) {
        const float scale = read_as<float>(at[1])[row % split.size];
        const std::int64_t zero = inputs > 2 && at[2] != nullptr ? static_cast<std::int64_t>(read_as<S>(at[2])[row % split.size]) : 0;
        for (std::int64_t i = row * split.inner; i < (row + 1) * split.inner; ++i)
          y[i] = static_cast<float>(static_cast<std::int64_t>(x[i]) - zero) * scale;
      }
    });
  };
  switch (planner.dtype_of(node.inputs[0])) {
    case Dtype::u8: plan(std::uint8_t{}); return {};
    case Dtype::i8: plan(std::int8_t{}); return {};
    case Dtype::i32: plan(std::int32_t{}); return {};
    default: return planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(node.inputs[0])));
  }
}

}  // namespace sightline::runtime
