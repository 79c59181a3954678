// The same elements under another shape or order. Reshaping is a view of the row-major bytes; transposing is a view with other strides,
// which the next convolution turns into its own layout at no extra cost.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/operators.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Elements of any dtype, moved one by one.
template <class T>
Kernel transposing(const Shape& result, const std::vector<std::int64_t>& strides) {
  return [result, strides](std::span<std::byte* const> at) {
    const auto* from = reinterpret_cast<const T*>(at[0]);
    auto* to = reinterpret_cast<T*>(at[1]);
    std::vector<std::int64_t> place(result.size(), 0);
    const std::int64_t count = element_count(result);
    std::int64_t offset = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      to[i] = from[offset];
      for (std::size_t axis = result.size(); axis-- > 0;) {
        offset += strides[axis];
        if (++place[axis] < result[axis]) break;
        offset -= strides[axis] * result[axis];
        place[axis] = 0;
      }
    }
  };
}

// A channel shuffle (Reshape to groups, Transpose, Reshape) where channels lie last: the groups are a view, and only putting the transposed
// ones side by side moves anything. Nothing is made planes of.
bool shuffles_channels_last(Planner& planner, const Node& node) {
  const Location source = planner.native(node.inputs[0]);
  const Shape &from = planner.shape_of(node.inputs[0]), &to = planner.shape_of(node.outputs[0]);
  const auto type = source.desc.data_type();
  if (is_channels_last(source.desc) && to.size() == 5 && to[0] == from[0] && to[1] * to[2] == from[1] && to[3] == from[2] &&
      to[4] == from[3]) {
    const std::int64_t row = from[1] * from[3];
    planner.define(node.outputs[0], {{to, type, {row * from[2], to[2], 1, row, from[1]}}, source.buffer, source.offset});
    return true;
  }
  if (from.size() != 5 || to != Shape{from[0], from[1] * from[2], from[3], from[4]} || source.desc.data.ndims != 5) return false;
  const auto& blocking = source.desc.data.format_desc.blocking;
  const std::int64_t row = to[1] * to[3];
  const dnnl::memory::dims transposed{row * to[2], 1, from[1], row, to[1]};
  if (blocking.inner_nblks != 0 || !std::equal(transposed.begin(), transposed.end(), blocking.strides)) return false;
  const Location moved = planner.in_layout(node.inputs[0], {from, type, {row * to[2], from[2], 1, row, to[1]}});
  planner.define(node.outputs[0], {{to, type, dnnl::memory::format_tag::nhwc}, moved.buffer, moved.offset});
  return true;
}

}  // namespace

Result<void> plan_reshape(Planner& planner, const Node& node) {
  if (shuffles_channels_last(planner, node)) return {};
  Location location = planner.row_major_as_is(node.inputs[0]);
  location.desc = row_major(planner.shape_of(node.outputs[0]), location.desc.data_type());
  planner.define(node.outputs[0], location);
  return {};
}

Result<void> plan_transpose(Planner& planner, const Node& node) {
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  const Shape& shape = planner.shape_of(x);
  std::vector<std::int64_t> order(shape.size());
  std::iota(order.rbegin(), order.rend(), 0);
  order = node.integers("perm", order);
  if (shape.size() < 2) return plan_identity(planner, node);
  if (data_type_of(planner.dtype_of(x)) != dnnl::memory::data_type::undef) {
    const Location source = planner.native(x);
    std::vector<int> permutation(order.size());  // oneDNN's names where each axis goes, ONNX's where it comes from
    for (std::size_t i = 0; i < order.size(); ++i) permutation[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    planner.define(y, {source.desc.permute_axes(permutation), source.buffer, source.offset});
    return {};
  }
  std::vector<std::int64_t> plain(shape.size(), 1), strides(shape.size());
  for (std::size_t i = shape.size() - 1; i > 0; --i) plain[i - 1] = plain[i] * shape[i];
  for (std::size_t i = 0; i < order.size(); ++i) strides[i] = plain[static_cast<std::size_t>(order[i])];
  const Shape& result = planner.shape_of(y);
  Kernel kernel;
  switch (size_of(planner.dtype_of(x))) {
    case 8: kernel = transposing<std::uint64_t>(result, strides); break;
    case 4: kernel = transposing<std::uint32_t>(result, strides); break;
    case 2: kernel = transposing<std::uint16_t>(result, strides); break;
    default: kernel = transposing<std::uint8_t>(result, strides); break;
  }
  const Location source = planner.row_major_of(x), destination = planner.make_row_major(y);
  planner.add(node.name.empty() ? y : node.name, node.op_type, std::move(kernel), {source, destination});
  planner.define(y, destination);
  return {};
}

Result<void> plan_identity(Planner& planner, const Node& node) {
  if (!node.outputs[0].empty()) planner.define(node.outputs[0], planner.native(node.inputs[0]));
  if (node.outputs.size() < 2 || node.outputs[1].empty()) return {};
  // Dropout's mask when serving: nothing is dropped.
  const Location mask = planner.make_row_major(node.outputs[1]);
  const auto count = static_cast<std::size_t>(element_count(planner.shape_of(node.outputs[1])));
  planner.add(node.outputs[1], node.op_type, [count](std::span<std::byte* const> at) { std::memset(at[0], 1, count); }, {mask});
  planner.define(node.outputs[1], mask);
  return {};
}

// What shape inference did not work out is not known here either.
Result<void> plan_shape(Planner& planner, const Node& node) { return planner.unsupported(node, "the shape of its input is not known"); }

}  // namespace sightline::runtime
