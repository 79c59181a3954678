#include "runtime/channel_gates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "runtime/channel_loops.h"
#include "runtime/integers.h"
#include "runtime/plain.h"
#include "runtime/post_ops.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

using Numbers = dnnl::memory::data_type;

constexpr std::int64_t most_channels = 4096;

float number_at(const std::byte* numbers, Numbers kind, std::int64_t i) {
  switch (kind) {
    case Numbers::u8: return static_cast<float>(read_as<std::uint8_t>(numbers)[i]);
    case Numbers::s8: return static_cast<float>(read_as<std::int8_t>(numbers)[i]);
    case Numbers::bf16: return std::bit_cast<float>(static_cast<std::uint32_t>(read_as<std::uint16_t>(numbers)[i]) << 16U);
    default: return read_as<float>(numbers)[i];
  }
}

// x, gates, result
struct ChannelGates {
  std::int64_t images = 0, channels = 0, pixels = 0;
  float unit = 1;
  std::int32_t zero = 0;
  Numbers of = Numbers::u8, by = Numbers::u8, to = Numbers::u8;

  void operator()(std::span<std::byte* const> at) const {
    for (std::int64_t image = 0; image < images; ++image) {
      if (of == Numbers::u8 && to == Numbers::u8) scale<std::uint8_t, std::uint8_t>(at, image);
      if (of == Numbers::u8 && to == Numbers::s8) scale<std::uint8_t, std::int8_t>(at, image);
      if (of == Numbers::s8 && to == Numbers::u8) scale<std::int8_t, std::uint8_t>(at, image);
      if (of == Numbers::s8 && to == Numbers::s8) scale<std::int8_t, std::int8_t>(at, image);
      if (of == Numbers::bf16) scale<std::uint16_t, std::uint16_t>(at, image);
    }
  }

 private:
  template <class S, class T>
  void scale(std::span<std::byte* const> at, std::int64_t image) const {
    // Rows in one go until they fill whole vectors of bytes, so that the loop is long and leaves no rest.
    constexpr std::int64_t vector_bytes = 64;
    const std::int64_t together = vector_bytes / std::gcd(vector_bytes, channels),
                       rows = together * channels <= most_channels ? together : 1;
    std::array<float, most_channels> factors{};
    for (std::int64_t i = 0; i < rows * channels; ++i)
      factors[static_cast<std::size_t>(i)] = unit * number_at(at[1], by, image * channels + i % channels);
    const S* from = read_as<S>(at[0]) + image * pixels * channels;
    T* to_image = write_as<T>(at[2]) + image * pixels * channels;
    const auto pass = [&](std::int64_t row, std::int64_t count, std::int64_t width) {
      if constexpr (std::is_same_v<T, std::uint16_t>) {
        scale_channels(from + row * channels, factors.data(), to_image + row * channels, count, width);
      } else {
        scale_channels(from + row * channels, factors.data(), zero, to_image + row * channels, count, width);
      }
    };
    constexpr std::int64_t least_elements = 16384;
    in_parallel(pixels, std::max<std::int64_t>(least_elements / channels, 1), [&](std::int64_t first, std::int64_t last) {
      const std::int64_t whole = (last - first) / rows;
      pass(first, whole, rows * channels);
      pass(first + whole * rows, last - first - whole * rows, channels);
    });
  }
};

bool are_gates(const Shape& shape, const dnnl::memory::desc& x, const Shape& gates) {
  return shape.size() == 4 && gates == Shape{shape[0], shape[1], 1, 1} && shape[1] <= most_channels && same_bytes(x, channels_last(x));
}

ChannelGates gates_for(const Shape& shape, Numbers of, Numbers by, Numbers to) {
  return {.images = shape[0], .channels = shape[1], .pixels = shape[2] * shape[3], .of = of, .by = by, .to = to};
}

}  // namespace

bool plan_integer_gates(Planner& planner, Nodes chain, const Quantized& x, const Quantized& gates, const Shape& gate_shape) {
  const Shape& shape = planner.shape_of(chain[0]->outputs[0]);
  const Location left = planner.native(x.integers);
  if (chain.size() < 2 || chain[1]->op_type != "QuantizeLinear" || !are_gates(shape, left.desc, gate_shape)) return false;
  const auto goal = quantization_of(planner, *chain[1]);
  if (!goal) return false;
  const Location right = planner.in_layout(gates.integers, row_major(gate_shape, gates.how.numbers));
  const Location destination = planner.make(retyped(left.desc, goal->numbers));
  const Nodes done = chain.first(2);
  ChannelGates kernel = gates_for(shape, x.how.numbers, gates.how.numbers, goal->numbers);
  kernel.unit = x.how.scale * gates.how.scale / goal->scale;
  kernel.zero = goal->zero;
  planner.add(step_name(done), fused_name(done), kernel, {left, right, destination});
  planner.define(done.back()->outputs[0], destination);
  return true;
}

bool plan_bf16_gates(Planner& planner, const graph::Node& node, const Location& x, const std::string& gates) {
  const Shape &shape = planner.shape_of(node.outputs[0]), &gate_shape = planner.shape_of(gates);
  if (x.desc.data_type() != Numbers::bf16 || !are_gates(shape, x.desc, gate_shape)) return false;
  const auto by = planner.native(gates).desc.data_type();
  const Location right = planner.in_layout(gates, row_major(gate_shape, by));
  const Location destination = planner.make_for(node.outputs[0], x.desc);
  planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, gates_for(shape, Numbers::bf16, by, Numbers::bf16),
              {x, right, destination});
  planner.define(node.outputs[0], destination);
  return true;
}

}  // namespace sightline::runtime
