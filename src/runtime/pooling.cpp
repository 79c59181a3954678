// MaxPool, AveragePool, the global ones, and ReduceMean (which over all spatial axes is a global pool).
#include <algorithm>
#include <array>
#include <numeric>

#include "graph/operators.h"
#include "runtime/channel_loops.h"
#include "runtime/integers.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using graph::Node;

std::string name_of_step(const Node& node) { return node.name.empty() ? node.outputs[0] : node.name; }

Result<Location> add_pool(Planner& planner, const Node& node, dnnl::algorithm algorithm, const graph::Window& window, const Shape& result,
                          const Location& source, const dnnl::primitive_attr& attributes = Planner::attributes()) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  Dims dilations = window.dilations, pads_end(window.kernel.size());
  for (std::size_t i = 0; i < dilations.size(); ++i) {
    const std::int64_t extent = (window.kernel[i] - 1) * window.dilations[i] + 1;
    // Rounding up adds padding at the end; what does not reach the next window is dropped.
    pads_end[i] = (result[i + 2] - 1) * window.strides[i] + extent - shape[i + 2] - window.pads_begin[i];
    --dilations[i];
  }
  using Pooling = dnnl::pooling_v2_forward;
  const Pooling::primitive_desc pd(
      Pooling::desc(dnnl::prop_kind::forward_inference, algorithm, source.desc, any_layout(result, source.desc.data_type()), window.strides,
                    window.kernel, dilations, window.pads_begin, pads_end),
      attributes, cpu_engine(), true);
  if (!pd) return planner.unsupported(node, "oneDNN has no kernel for it");
  const Location destination = planner.make_for(node.outputs[0], pd.dst_desc());
  planner.add(name_of_step(node), node.op_type, Pooling(pd), pd, {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
  return destination;
}

// Pools values that are known by integers: the greatest of them for a MaxPool, means where a QuantizeLinear makes integers of them. False
// when that is not so.
Result<bool> pool_integers(Planner& planner, const Node& node, dnnl::algorithm algorithm, const graph::Window& window,
                           const Shape& result) {
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  const Quantized* known = planner.quantized(x);
  if (known == nullptr || result.size() != 4 || planner.is_kept_f32(node)) return false;
  Quantization how = known->how;
  dnnl::primitive_attr attributes = Planner::attributes();
  if (algorithm != dnnl::algorithm::pooling_max) {
    const Node* reader = planner.only_reader(y);
    if (reader == nullptr || reader->op_type != "QuantizeLinear") return false;
    const auto wanted = quantization_of(planner, *reader);
    // Padding that counts is zero, not the integer 0.
    const bool counted = algorithm == dnnl::algorithm::pooling_avg_include_padding && known->how.zero != 0;
    if (!wanted || wanted->numbers != known->how.numbers || counted) return false;
    how = *wanted;
    if (const float factor = known->how.scale / how.scale; how != known->how) {
      dnnl::post_ops ops;
      ops.append_eltwise(1, dnnl::algorithm::eltwise_linear, factor,
                         static_cast<float>(how.zero) - factor * static_cast<float>(known->how.zero));
      attributes.set_post_ops(ops);
    }
  }
  const Location native = planner.native(known->integers);
  const Location source = planner.in_layout(known->integers, channels_last(native.desc));
  SIGHTLINE_TRY(const Location destination, add_pool(planner, node, algorithm, window, result, source, attributes));
  const std::string integers = planner.name_integers(y, how, planner.shape_of(y));
  planner.define(integers, destination);
  planner.define_quantized(y, {integers, how});
  return true;
}

// The greatest bf16 of each window, channels last, nine pixels at a time: oneDNN's takes five times as long.
struct GreatestPixels {
  Shape source, result;  // N×C×H×W
  graph::Window window;

  void operator()(std::span<std::byte* const> at) const {
    constexpr std::int64_t least_numbers = 8192;
    const std::int64_t rows = result[0] * result[2], numbers = result[1] * result[3];
    in_parallel(rows, std::max<std::int64_t>(least_numbers / std::max<std::int64_t>(numbers, 1), 1),
                [&](std::int64_t first, std::int64_t last) {
                  for (std::int64_t row = first; row < last; ++row)
                    for (std::int64_t column = 0; column < result[3]; ++column)
                      pixel(reinterpret_cast<const std::uint16_t*>(at[0]) + row / result[2] * source[1] * source[2] * source[3],
                            row % result[2], column, reinterpret_cast<std::uint16_t*>(at[1]) + (row * result[3] + column) * result[1]);
                });
  }

 private:
  void pixel(const std::uint16_t* image, std::int64_t row, std::int64_t column, std::uint16_t* to) const {
    std::array<const std::uint16_t*, 9> nine{};
    std::size_t count = 0;
    bool begun = false;
    const auto flush = [&] {
      for (std::size_t i = count; i < nine.size(); ++i) nine[i] = nine[0];
      greatest_of_nine(nine.data(), to, source[1]);
      nine[0] = to;
      count = 1;
      begun = true;
    };
    for (std::int64_t u = 0; u < window.kernel[0]; ++u)
      for (std::int64_t v = 0; v < window.kernel[1]; ++v) {
        const std::int64_t y = row * window.strides[0] - window.pads_begin[0] + u * window.dilations[0];
        const std::int64_t x = column * window.strides[1] - window.pads_begin[1] + v * window.dilations[1];
        if (y < 0 || y >= source[2] || x < 0 || x >= source[3]) continue;
        nine[count++] = image + (y * source[3] + x) * source[1];
        if (count == nine.size()) flush();
      }
    if (count > 1 || !begun) flush();
  }
};

bool pool_bf16(Planner& planner, const Node& node, const graph::Window& window, const Shape& result) {
  const std::string& x = node.inputs[0];
  const Location source = planner.operand(node, x);
  if (result.size() != 4 || source.desc.data_type() != dnnl::memory::data_type::bf16 ||
      !same_bytes(source.desc, channels_last(source.desc)))
    return false;
  // A window that lies in the padding altogether has no greatest.
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t extent = (window.kernel[i] - 1) * window.dilations[i] + 1, size = planner.shape_of(x)[i + 2];
    if (window.pads_begin[i] >= extent || (result[i + 2] - 1) * window.strides[i] - window.pads_begin[i] >= size ||
        window.dilations[i] != 1)
      return false;
  }
  const Location destination = planner.make_for(node.outputs[0], channels_last(row_major(result, dnnl::memory::data_type::bf16)));
  planner.add(name_of_step(node), node.op_type, GreatestPixels{planner.shape_of(x), result, window}, {source, destination});
  planner.define(node.outputs[0], destination);
  return true;
}

Result<void> pool(Planner& planner, const Node& node, dnnl::algorithm algorithm, const graph::Window& window) {
  const Shape& result = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const bool done, pool_integers(planner, node, algorithm, window, result));
  if (done || (algorithm == dnnl::algorithm::pooling_max && pool_bf16(planner, node, window, result))) return {};
  SIGHTLINE_TRY(const Location destination, add_pool(planner, node, algorithm, window, result, planner.operand(node, node.inputs[0])));
  planner.define(node.outputs[0], destination);
  return {};
}

graph::Window global_window(const Shape& shape) {
  const std::size_t spatial = shape.size() - 2;
  graph::Window window;
  window.kernel.assign(shape.begin() + 2, shape.end());
  window.strides = window.dilations = Dims(spatial, 1);
  window.pads_begin = window.pads_end = Dims(spatial, 0);
  return window;
}

// Average over windows where padding counts but what ceil_mode adds beyond it does not: oneDNN would count that as well.
struct CountedPadding {
  Shape source, result;  // N×C×D×H×W
  Dims kernel, strides, dilations, begin, end;

  void operator()(std::span<std::byte* const> at) const {
    const auto* from = reinterpret_cast<const float*>(at[0]);
    auto* to = reinterpret_cast<float*>(at[1]);
    for (std::int64_t plane = 0; plane < source[0] * source[1]; ++plane, from += source[2] * source[3] * source[4])
      for (std::int64_t z = 0; z < result[2]; ++z)
        for (std::int64_t y = 0; y < result[3]; ++y)
          for (std::int64_t x = 0; x < result[4]; ++x) *to++ = mean(from, {z, y, x});
  }
  float mean(const float* plane, const std::array<std::int64_t, 3>& place) const {
    double sum = 0;
    std::int64_t count = 0;
    for (std::int64_t k = 0; k < kernel[0] * kernel[1] * kernel[2]; ++k) {
      const std::array<std::int64_t, 3> offset{k / (kernel[1] * kernel[2]), k / kernel[2] % kernel[1], k % kernel[2]};
      bool counted = true, inside = true;
      std::int64_t index = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::int64_t p = place[i] * strides[i] - begin[i] + offset[i] * dilations[i];
        counted = counted && p < source[i + 2] + end[i];
        inside = inside && p >= 0 && p < source[i + 2];
        index = index * source[i + 2] + p;
      }
      count += counted ? 1 : 0;
      if (inside) sum += static_cast<double>(plane[index]);
    }
    return static_cast<float>(sum / static_cast<double>(std::max<std::int64_t>(count, 1)));
  }
};

}  // namespace

Result<void> plan_pool(Planner& planner, const Node& node) {
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32 || node.op_type == "LpPool" || node.outputs.size() > 1)
    return plan_pool_loops(planner, node);
  const Shape &shape = planner.shape_of(node.inputs[0]), &result = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const graph::Window window, graph::window_of(node, shape, node.integers("kernel_shape")));
  const bool average = node.op_type == "AveragePool", counted = node.integer("count_include_pad", 0) != 0;
  bool beyond = false;
  for (std::size_t i = 0; i < window.kernel.size(); ++i)
    beyond = beyond || (result[i + 2] - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1 >
                           shape[i + 2] + window.pads_begin[i] + window.pads_end[i];
  if (average && counted && beyond) {
    if (shape.size() > 5) return planner.unsupported(node, "more than three spatial axes");
    const auto widened = [&](const std::vector<std::int64_t>& values, std::size_t at, std::int64_t filler) {
      std::vector<std::int64_t> wide = values;
      wide.insert(wide.begin() + static_cast<std::ptrdiff_t>(at), 5 - shape.size(), filler);
      return wide;
    };
    const Location source = planner.row_major_of(node.inputs[0]), destination = planner.make_row_major(node.outputs[0]);
    planner.add(name_of_step(node), node.op_type,
                CountedPadding{widened(shape, 2, 1), widened(result, 2, 1), widened(window.kernel, 0, 1), widened(window.strides, 0, 1),
                               widened(window.dilations, 0, 1), widened(window.pads_begin, 0, 0), widened(window.pads_end, 0, 0)},
                {source, destination});
    planner.define(node.outputs[0], destination);
    return {};
  }
  const auto algorithm = !average  ? dnnl::algorithm::pooling_max
                         : counted ? dnnl::algorithm::pooling_avg_include_padding
                                   : dnnl::algorithm::pooling_avg_exclude_padding;
  return pool(planner, node, algorithm, window);
}

Result<void> plan_global_pool(Planner& planner, const Node& node) {
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32 || node.op_type == "GlobalLpPool") return plan_pool_loops(planner, node);
  const auto algorithm = node.op_type == "GlobalMaxPool" ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_exclude_padding;
  return pool(planner, node, algorithm, global_window(planner.shape_of(node.inputs[0])));
}

Result<void> plan_reduce_mean(Planner& planner, const Node& node) {
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32) return plan_reduction(planner, node);
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  const Shape& shape = planner.shape_of(x);
  SIGHTLINE_TRY(const auto given, graph::axes_of(planner.constants(), node, shape.size()));
  std::vector<std::int64_t> axes(shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (given && !given->empty()) {
    axes = *given;
  } else if (node.integer("noop_with_empty_axes", 0) != 0) {
    return plan_identity(planner, node);
  }
  Shape kept = shape;
  for (std::int64_t axis : axes) kept[static_cast<std::size_t>(axis)] = 1;

  std::vector<std::int64_t> spatial(shape.size() > 2 ? shape.size() - 2 : 0);
  std::iota(spatial.begin(), spatial.end(), 2);
  Location destination;
  if (shape.size() >= 3 && shape.size() <= 5 && axes == spatial) {
    constexpr auto mean = dnnl::algorithm::pooling_avg_exclude_padding;
    if (planner.shape_of(y) == kept) return pool(planner, node, mean, global_window(shape));
    SIGHTLINE_TRY(destination, add_pool(planner, node, mean, global_window(shape), kept, planner.operand(node, x)));
  } else if (kept == shape) {
    return plan_reshape(planner, node);  // means of one element
  } else {
    const Location source = planner.row_major_of(x);
    const dnnl::reduction::primitive_desc pd(dnnl::reduction::desc(dnnl::algorithm::reduction_mean, source.desc, row_major(kept), 0, 0),
                                             Planner::attributes(), cpu_engine());
    destination = planner.make(row_major(kept));
    planner.add(name_of_step(node), node.op_type, dnnl::reduction(pd), pd, {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
  }
  if (planner.shape_of(y) != kept) {
    // keepdims = 0: the same row-major bytes without the axes of one.
    const auto numbers = destination.desc.data_type();
    destination = planner.reordered(y, destination, row_major(kept, numbers));
    destination.desc = row_major(planner.shape_of(y), numbers);
  }
  planner.define(y, destination);
  return {};
}

}  // namespace sightline::runtime
