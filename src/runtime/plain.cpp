#include "runtime/plain.h"

namespace sightline::runtime {

namespace {

// moving: the first input and the outputs are in the numbers that the first input lies in.
void add_loops(Planner& planner, const graph::Node& node, Kernel kernel, bool moving) {
  constexpr std::size_t absent = static_cast<std::size_t>(-1);
  std::vector<Location> operands;
  std::vector<std::size_t> slots;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const std::string& input = node.inputs[i];
    slots.push_back(input.empty() ? absent : operands.size());
    if (!input.empty()) operands.push_back(moving && i == 0 ? planner.row_major_as_is(input) : planner.row_major_of(input));
  }
  std::vector<std::pair<std::string, Location>> made;
  for (const std::string& output : node.outputs) {
    slots.push_back(output.empty() ? absent : operands.size());
    if (output.empty()) continue;
    made.emplace_back(output, moving ? planner.make_row_major(output, operands[0].desc.data_type()) : planner.make_row_major(output));
    operands.push_back(made.back().second);
  }
  std::string name = node.name;
  if (name.empty() && !made.empty()) name = made[0].first;
  planner.add(
      name, node.op_type,
      [slots, kernel = std::move(kernel)](std::span<std::byte* const> at) {
        std::vector<std::byte*> addresses;
        for (std::size_t slot : slots) addresses.push_back(slot == absent ? nullptr : at[slot]);
        kernel(addresses);
      },
      operands);
  for (const auto& [output, location] : made) planner.define(output, location);
}

}  // namespace

void add_plain(Planner& planner, const graph::Node& node, Kernel kernel) { add_loops(planner, node, std::move(kernel), false); }

std::size_t moved_size(Planner& planner, const graph::Node& node) {
  const auto numbers = planner.native(node.inputs[0]).desc.data_type();
  return numbers == dnnl::memory::data_type::undef ? size_of(planner.dtype_of(node.inputs[0])) : dnnl::memory::data_type_size(numbers);
}

void add_moving(Planner& planner, const graph::Node& node, Kernel kernel) { add_loops(planner, node, std::move(kernel), true); }

Split3 around(const Shape& shape, std::size_t axis) {
  Split3 split;
  for (std::size_t i = 0; i < shape.size(); ++i) (i < axis ? split.outer : i == axis ? split.size : split.inner) *= shape[i];
  return split;
}

std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

Walk walk_of(const Shape& result, const std::vector<Shape>& operands) {
  Walk walk;
  walk.outer = result.empty() ? Shape{1} : result;
  for (const Shape& shape : operands) {
    std::vector<std::int64_t> strides(walk.outer.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::int64_t d = shape[shape.size() - 1 - i];
      if (d != 1) strides[strides.size() - 1 - i] = stride;
      stride *= d;
    }
    walk.steps.push_back(strides.back());
    strides.pop_back();
    walk.strides.push_back(std::move(strides));
  }
  walk.inner = walk.outer.back();
  walk.outer.pop_back();
  return walk;
}

}  // namespace sightline::runtime
