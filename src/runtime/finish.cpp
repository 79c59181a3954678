#include "runtime/finish.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "runtime/channel_loops.h"
#include "runtime/integers.h"
#include "runtime/plain.h"
#include "runtime/post_ops.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

using Desc = dnnl::memory::desc;
using Numbers = dnnl::memory::data_type;
using graph::Node;

// Below so many elements another step costs more than the post-op.
constexpr std::int64_t least_elements = 4096;
// Numbers that are worked on at a time, in the first cache.
constexpr std::int64_t at_a_time = 1024;

bool is_depthwise(const dnnl::primitive_desc& layer) {
  return std::string_view(layer.impl_info_str()).find("dw") != std::string_view::npos;
}

// Rows of channels without anything between them.
bool is_rows(const Desc& desc) {
  return desc.data.ndims == 2 ? is_row_major(desc) : desc.data.ndims == 4 && same_bytes(desc, channels_last(desc));
}

// Slopes for as many rows as are worked on at a time.
Location repeated_slopes(Planner& planner, const std::string& slopes, std::int64_t channels) {
  const std::int64_t rows = std::max<std::int64_t>(at_a_time / channels, 1);
  return planner.derived("slopes " + slopes + " " + std::to_string(rows) + " " + std::to_string(channels), row_major({rows * channels}),
                         [&] {
                           const auto given = planner.constant(slopes)->values<float>();
                           Tensor all(Dtype::f32, {rows * channels});
                           for (std::size_t i = 0; i < all.values<float>().size(); ++i)
                             all.values<float>()[i] = given[given.size() == 1 ? 0 : i % static_cast<std::size_t>(channels)];
                           return all;
                         });
}

// The pass over elements [first, last), which begin a row where there are slopes.
struct Pass {
  Finish finish;
  Numbers from = Numbers::f32;
  std::int64_t block = at_a_time;  // a whole number of rows where there are slopes

  void operator()(std::int64_t first, std::int64_t last, const std::byte* source, const std::byte* slopes, const std::byte* residual,
                  std::byte* destination) const {
    if (finish.numbers == Numbers::f32 && !finish.goal) {
      swish_and_sum(first, last, read_as<float>(source), read_as<float>(residual), write_as<float>(destination));
      return;
    }
    if (finish.goal && from == Numbers::f32 && finish.function == Finish::Function::swish && residual == nullptr) {
      quantize_all(read_as<float>(source) + first, first, destination, last - first);
      return;
    }
    std::array<float, at_a_time> numbers{};
    for (std::int64_t begin = first; begin < last; begin += block) {
      const std::int64_t count = std::min(block, last - begin);
      if (from == Numbers::bf16) {
        widen(read_as<std::uint16_t>(source) + begin, numbers.data(), count);
      } else {
        std::memcpy(numbers.data(), read_as<float>(source) + begin, static_cast<std::size_t>(count) * sizeof(float));
      }
      if (finish.function == Finish::Function::swish) {
        swish(numbers.data(), count);
      } else {
        rectify(numbers.data(), read_as<float>(slopes), count);
      }
      if (residual != nullptr) add(residual, begin, numbers.data(), count);
      store(numbers.data(), begin, destination, count);
    }
  }

 private:
  // f32 to integers, without a stop on the way.
  void quantize_all(const float* source, std::int64_t first, std::byte* destination, std::int64_t count) const {
    const Quantization& goal = *finish.goal;
    if (goal.numbers == Numbers::u8) {
      quantize_swish(source, 1 / goal.scale, goal.zero, write_as<std::uint8_t>(destination) + first, count);
    } else {
      quantize_swish(source, 1 / goal.scale, goal.zero, write_as<std::int8_t>(destination) + first, count);
    }
  }
  // f32 to f32.
  static void swish_and_sum(std::int64_t first, std::int64_t last, const float* source, const float* residual, float* destination) {
    for (std::int64_t begin = first; begin < last; begin += at_a_time) {
      const std::int64_t count = std::min(at_a_time, last - begin);
      if (residual == nullptr) {
        if (source != destination) std::copy_n(source + begin, count, destination + begin);
        swish(destination + begin, count);
        continue;
      }
      std::array<float, at_a_time> numbers{};
      std::copy_n(source + begin, count, numbers.data());
      swish(numbers.data(), count);
      sum(numbers.data(), residual + begin, destination + begin, count);
    }
  }
  void add(const std::byte* residual, std::int64_t begin, float* numbers, std::int64_t count) const {
    const Quantization& how = finish.residual_how;
    if (!finish.goal) {
      add_widened(read_as<std::uint16_t>(residual) + begin, numbers, count);
    } else if (how.numbers == Numbers::u8) {
      add_scaled(read_as<std::uint8_t>(residual) + begin, how.scale, how.zero, numbers, count);
    } else {
      add_scaled(read_as<std::int8_t>(residual) + begin, how.scale, how.zero, numbers, count);
    }
  }
  void store(const float* numbers, std::int64_t begin, std::byte* destination, std::int64_t count) const {
    if (!finish.goal) {
      narrow(numbers, write_as<std::uint16_t>(destination) + begin, count);
    } else if (finish.goal->numbers == Numbers::u8) {
      quantize(numbers, 1 / finish.goal->scale, finish.goal->zero, write_as<std::uint8_t>(destination) + begin, count);
    } else {
      quantize(numbers, 1 / finish.goal->scale, finish.goal->zero, write_as<std::int8_t>(destination) + begin, count);
    }
  }
};

}  // namespace

std::optional<Finish> finish_of(const Planner& planner, Nodes chain, const dnnl::primitive_desc& layer, const Desc& result) {
  if (chain.size() < 2) return std::nullopt;
  // In f32 the pass is over all numbers, as they lie.
  const bool plain = result.data_type() == Numbers::f32 && planner.quantized(chain[0]->inputs[0]) == nullptr;
  if (!plain && !is_rows(result)) return std::nullopt;
  const Shape& shape = planner.shape_of(chain[0]->outputs[0]);
  const bool integers = planner.quantized(chain[0]->inputs[0]) != nullptr;
  Finish finish;
  const Node& function = *chain[1];
  if (chain.size() > 2 && function.op_type == "Sigmoid" && is_gated(function, *chain[2], chain[0]->outputs[0])) {
    if (element_count(shape) < least_elements || (!plain && is_depthwise(layer))) return std::nullopt;
    finish.nodes = 3;
  } else if (function.op_type == "PRelu" && integers && function.inputs[0] == chain[0]->outputs[0]) {
    const Tensor* slopes = planner.constant(function.inputs[1]);
    const std::int64_t channels = shape[1];
    const bool each = slopes != nullptr && slopes->count() == channels && slopes->rank() + 1 >= shape.size() &&
                      slopes->dim(slopes->rank() + 1 - shape.size()) == channels;
    if (slopes == nullptr || slopes->dtype() != Dtype::f32 || (slopes->count() != 1 && !each) || channels > at_a_time) return std::nullopt;
    finish.function = Finish::Function::prelu;
    finish.slopes = function.inputs[1];
    finish.nodes = 2;
  } else {
    return std::nullopt;
  }
  const auto numbers_of_result = [&](std::size_t nodes) { return planner.result_numbers_of(chain.first(nodes)); };
  if (finish.nodes < chain.size() && chain[finish.nodes]->op_type == "Add") {
    const Node& sum = *chain[finish.nodes];
    const std::string& before = chain[finish.nodes - 1]->outputs[0];
    const std::string& other = sum.inputs[sum.inputs[0] == before ? 1 : 0];
    const Quantized* known = planner.quantized(other);
    const bool fits = other != before && planner.shape_of(other) == shape && planner.constant(other) == nullptr;
    if (fits && (integers ? known != nullptr : known == nullptr && planner.dtype_of(other) == Dtype::f32)) {
      finish.residual = integers ? known->integers : other;
      if (integers) finish.residual_how = known->how;
      ++finish.nodes;
    }
  }
  if (plain) {
    finish.numbers = Numbers::f32;
    return finish;
  }
  if (!integers) return numbers_of_result(finish.nodes) == Numbers::bf16 ? std::optional(finish) : std::nullopt;
  if (finish.nodes >= chain.size() || chain[finish.nodes]->op_type != "QuantizeLinear") return std::nullopt;
  finish.goal = quantization_of(planner, *chain[finish.nodes]);
  ++finish.nodes;
  return finish.goal ? std::optional(finish) : std::nullopt;
}

void add_finish(Planner& planner, Nodes chain, const Finish& finish, const Location& source) {
  const Nodes done = chain.first(finish.nodes);
  const std::int64_t channels = source.desc.data.dims[1];
  const auto count = static_cast<std::int64_t>(source.desc.get_size() / dnnl::memory::data_type_size(source.desc.data_type()));
  const bool sloped = finish.function == Finish::Function::prelu, summed = !finish.residual.empty();
  Pass pass{.finish = finish, .from = source.desc.data_type()};
  std::vector<Location> operands{source};
  if (sloped) {
    pass.block = std::max<std::int64_t>(at_a_time / channels, 1) * channels;
    operands.push_back(repeated_slopes(planner, finish.slopes, channels));
  }
  const Numbers to = finish.goal ? finish.goal->numbers : finish.numbers;
  if (summed) operands.push_back(planner.in_layout(finish.residual, retyped(source.desc, finish.goal ? finish.residual_how.numbers : to)));
  // What keeps its size is worked on where it lies, or where the other side of the sum lies when that dies (which may have a seat in a
  // Concat).
  const bool over_residual = summed && to == Numbers::f32 && planner.dies_here(operands.back());
  const Location destination = over_residual ? operands.back() : to == pass.from ? source : planner.make(retyped(source.desc, to));
  operands.push_back(destination);
  // Pieces begin with a row.
  const std::int64_t row = sloped ? channels : 1;
  planner.add(
      step_name(done), fused_name(done.subspan(1)),
      [pass, row, rows = count / row, sloped, summed](std::span<std::byte* const> at) {
        in_parallel(rows, std::max<std::int64_t>(16 * at_a_time / row, 1), [&](std::int64_t first, std::int64_t last) {
          pass(first * row, last * row, at[0], sloped ? at[1] : nullptr, summed ? at[sloped ? 2 : 1] : nullptr, at.back());
        });
      },
      operands);
  planner.define(done.back()->outputs[0], destination);
}

}  // namespace sightline::runtime
