// Cast, and the way of an image into the network: u8 N×H×W×C, Cast, Transpose, Sub, Div become one pass. A pixel has 256 values and a
// channel one mean and deviation, so the pass is a table look-up, exact to the bit.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "graph/operators.h"
#include "runtime/halves.h"
#include "runtime/operators.h"

namespace sightline::runtime {
namespace {

using graph::Node;

constexpr std::size_t pixel_values = 256;

// What the chain does to each of the 256 values of each channel.
struct PixelChain {
  std::size_t nodes = 1;  // absorbed
  bool planes = false;    // N×H×W×C becomes N×C×H×W
  std::int64_t channels = 1;
  std::vector<float> table;  // channels × 256
};

// One number per channel of a constant; empty when it varies along another axis.
std::vector<float> per_channel(const Tensor& constant, std::size_t rank, std::size_t channel_axis, std::int64_t channels) {
  if (constant.dtype() != Dtype::f32 || constant.rank() > rank) return {};
  for (std::size_t i = 0; i < constant.rank(); ++i)
    if (constant.dim(i) != 1 && (i + rank - constant.rank() != channel_axis || constant.dim(i) != channels)) return {};
  std::vector<float> values(constant.values<float>().begin(), constant.values<float>().end());
  if (values.size() == 1) values.assign(static_cast<std::size_t>(channels), values[0]);
  return values;
}

float apply(const Node& node, bool left, float x, float c) {
  if (node.op_type == "Add") return x + c;
  if (node.op_type == "Mul") return x * c;
  if (node.op_type == "Sub") return left ? x - c : c - x;
  return left ? x / c : c / x;
}

PixelChain pixel_chain(const Planner& planner, Nodes chain) {
  PixelChain pixels;
  const Shape& shape = planner.shape_of(chain[0]->inputs[0]);
  pixels.channels = shape.back();
  std::size_t channel_axis = shape.size() - 1;
  pixels.table.resize(static_cast<std::size_t>(pixels.channels) * pixel_values);
  for (std::size_t i = 0; i < pixels.table.size(); ++i) pixels.table[i] = static_cast<float>(i % pixel_values);
  for (; pixels.nodes < chain.size(); ++pixels.nodes) {
    const Node& node = *chain[pixels.nodes];
    const std::string& previous = chain[pixels.nodes - 1]->outputs[0];
    if (node.op_type == "Transpose") {
      if (pixels.planes || node.integers("perm") != std::vector<std::int64_t>{0, 3, 1, 2}) break;
      pixels.planes = true;
      channel_axis = 1;
      continue;
    }
    if (node.inputs.size() != 2) break;
    const bool left = node.inputs[0] == previous;
    const Tensor* constant = planner.constant(node.inputs[left ? 1 : 0]);
    if (constant == nullptr) break;
    const auto values = per_channel(*constant, shape.size(), channel_axis, pixels.channels);
    if (values.empty()) break;
    for (std::size_t i = 0; i < pixels.table.size(); ++i) pixels.table[i] = apply(node, left, pixels.table[i], values[i / pixel_values]);
  }
  return pixels;
}

Kernel pixel_kernel(PixelChain pixels, const Shape& shape) {
  const auto channels = static_cast<std::size_t>(pixels.channels);
  const std::size_t images = static_cast<std::size_t>(pixels.planes ? shape[0] : 1);
  const std::size_t area = static_cast<std::size_t>(element_count(shape)) / channels / images;
  return [table = std::move(pixels.table), planes = pixels.planes, channels, images, area](std::span<std::byte* const> at) {
    const auto* from = reinterpret_cast<const std::uint8_t*>(at[0]);
    auto* to = reinterpret_cast<float*>(at[1]);
    for (std::size_t n = 0; n < images; ++n, from += area * channels, to += area * channels)
      for (std::size_t c = 0; c < channels; ++c) {
        const float* values = table.data() + c * pixel_values;
        float* plane = planes ? to + c * area : to + c;
        const std::size_t step = planes ? 1 : channels;
        for (std::size_t i = 0; i < area; ++i) plane[i * step] = values[from[i * channels + c]];
      }
  };
}

// A boolean as it lies in memory: any byte but zero is true, and reading one as bool would be undefined.
struct Truth {
  std::uint8_t byte = 0;
};

template <class T>
constexpr bool is_half = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;

// Out of range is undefined in ONNX; we saturate, so that it is at least the same everywhere. NaN becomes zero.
template <class To, class From>
To converted(From value) {
  if constexpr (std::is_same_v<From, Truth>) {
    return converted<To>(value.byte != 0 ? 1 : 0);
  } else if constexpr (is_half<From>) {
    return converted<To>(value.value());
  } else if constexpr (is_half<To>) {
    return To::of(static_cast<double>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From{0};
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_floating_point_v<From>) {
    if (std::isnan(value)) return To{0};
    if (value <= static_cast<From>(std::numeric_limits<To>::lowest())) return std::numeric_limits<To>::lowest();
    if (value >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

template <class From, class To>
Kernel converting(std::size_t count) {
  return [count](std::span<std::byte* const> at) {
    const auto* from = reinterpret_cast<const From*>(at[0]);
    auto* to = reinterpret_cast<To*>(at[1]);
    for (std::size_t i = 0; i < count; ++i) to[i] = converted<To>(from[i]);
  };
}

template <class From>
Kernel converting_to(Dtype to, std::size_t count) {
  switch (to) {
    case Dtype::f32: return converting<From, float>(count);
    case Dtype::f64: return converting<From, double>(count);
    case Dtype::f16: return converting<From, Float16>(count);
    case Dtype::bf16: return converting<From, BFloat16>(count);
    case Dtype::i8: return converting<From, std::int8_t>(count);
    case Dtype::u8: return converting<From, std::uint8_t>(count);
    case Dtype::i32: return converting<From, std::int32_t>(count);
    case Dtype::i64: return converting<From, std::int64_t>(count);
    case Dtype::boolean: return converting<From, bool>(count);
    default: return nullptr;
  }
}

Kernel conversion(Dtype from, Dtype to, std::size_t count) {
  switch (from) {
    case Dtype::f32: return converting_to<float>(to, count);
    case Dtype::f64: return converting_to<double>(to, count);
    case Dtype::f16: return converting_to<Float16>(to, count);
    case Dtype::bf16: return converting_to<BFloat16>(to, count);
    case Dtype::i8: return converting_to<std::int8_t>(to, count);
    case Dtype::u8: return converting_to<std::uint8_t>(to, count);
    case Dtype::i32: return converting_to<std::int32_t>(to, count);
    case Dtype::i64: return converting_to<std::int64_t>(to, count);
    case Dtype::boolean: return converting_to<Truth>(to, count);
    default: return nullptr;
  }
}

}  // namespace

Result<std::size_t> plan_cast(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  const std::string& x = node.inputs[0];
  const Shape& shape = planner.shape_of(x);
  const Dtype from = planner.dtype_of(x), to = planner.dtype_of(node.outputs[0]);
  const Location source = planner.row_major_of(x);
  const std::string name = node.name.empty() ? node.outputs[0] : node.name;
  // More channels than this are no image, and their table would not stay in the cache.
  constexpr std::int64_t most_channels = 16;
  if (from == Dtype::u8 && to == Dtype::f32 && shape.size() == 4 && shape.back() <= most_channels) {
    PixelChain pixels = pixel_chain(planner, chain);
    const std::size_t done = pixels.nodes;
    const std::string& result = chain[done - 1]->outputs[0];
    const Location destination = planner.make_row_major(result);
    std::string fused;
    for (const Node* member : chain.first(done)) fused += (fused.empty() ? "" : "+") + member->op_type;
    planner.add(name, fused, pixel_kernel(std::move(pixels), shape), {source, destination});
    planner.define(result, destination);
    return done;
  }
  Kernel kernel = conversion(from, to, static_cast<std::size_t>(element_count(shape)));
  if (!kernel) return planner.unsupported(node, std::string("from ") + name_of(from) + " to " + name_of(to));
  const Location destination = planner.make_row_major(node.outputs[0]);
  planner.add(name, node.op_type, std::move(kernel), {source, destination});
  planner.define(node.outputs[0], destination);
  return 1;
}

Result<void> plan_cast_like(Planner& planner, const Node& node) {
  const Dtype from = planner.dtype_of(node.inputs[0]), to = planner.dtype_of(node.outputs[0]);
  Kernel kernel = conversion(from, to, static_cast<std::size_t>(element_count(planner.shape_of(node.inputs[0]))));
  if (!kernel) return planner.unsupported(node, std::string("from ") + name_of(from) + " to " + name_of(to));
  const Location source = planner.row_major_of(node.inputs[0]), destination = planner.make_row_major(node.outputs[0]);
  planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, std::move(kernel), {source, destination});
  planner.define(node.outputs[0], destination);
  return {};
}

}  // namespace sightline::runtime
