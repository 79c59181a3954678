// Slice, Split, Expand, Tile, Pad, DepthToSpace, SpaceToDepth, Trilu's neighbours in kind: every output element is an input element (or a
// filler), and which one is told axis by axis.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "graph/operators.h"
#include "runtime/channel_moves.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

constexpr std::int64_t filler = -1;

// For each axis of the output the offsets, in elements of the input, that its positions add; `filler` where nothing is read.
using Tables = std::vector<std::vector<std::int64_t>>;

struct Picking {
  Tables tables;           // of the axes that are walked one by one
  std::int64_t run = 1;    // elements that lie side by side in input and output
  std::int64_t begin = 0;  // what those axes add

  explicit Picking(Tables all) : tables(std::move(all)) {
    // Trailing axes that are read in order are one run.
    while (!tables.empty()) {
      const auto& last = tables.back();
      for (std::size_t i = 0; i < last.size(); ++i)
        if (last[i] == filler || last[i] - last[0] != static_cast<std::int64_t>(i) * run) return;
      begin += last.empty() ? 0 : last[0];
      run *= static_cast<std::int64_t>(last.size());
      tables.pop_back();
    }
  }

  template <class T>
  void operator()(const T* from, T* to, T fill) const {
    for (const auto& table : tables)
      if (table.empty()) return;
    if (run == 0) return;
    if (tables.empty()) {
      std::copy_n(from + begin, run, to);
      return;
    }
    // Offsets of the axes so far; nothing is read below an axis that fills.
    const std::size_t last = tables.size() - 1;
    std::vector<std::size_t> at(tables.size(), 0);
    while (true) {
      std::int64_t offset = begin;
      bool filled = false;
      for (std::size_t axis = 0; axis < last; ++axis) {
        const std::int64_t step = tables[axis][at[axis]];
        filled = filled || step == filler;
        offset += step;
      }
      if (run == 1) {
        for (const std::int64_t step : tables[last]) *to++ = filled || step == filler ? fill : from[offset + step];
      } else {
        for (const std::int64_t step : tables[last]) {
          if (filled || step == filler) {
            std::fill_n(to, run, fill);
          } else {
            std::copy_n(from + offset + step, run, to);
          }
          to += run;
        }
      }
      std::size_t axis = last;
      while (true) {
        if (axis-- == 0) return;
        if (++at[axis] < tables[axis].size()) break;
        at[axis] = 0;
      }
    }
  }
};

Kernel picking(std::size_t element_size, Tables tables, std::size_t output_slot) {
  Kernel kernel;
  with_element(element_size, [&](auto element) {
    using T = decltype(element);
    kernel = [pick = Picking(std::move(tables)), output_slot](std::span<std::byte* const> at) {
      pick(read_as<T>(at[0]), write_as<T>(at[output_slot]), T{0});
    };
  });
  return kernel;
}

void add_picking(Planner& planner, const Node& node, Tables tables) {
  add_moving(planner, node, picking(moved_size(planner, node), std::move(tables), node.inputs.size()));
}

}  // namespace

Result<void> plan_slice(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const auto cuts, graph::cuts_of(planner.constants(), planner.opset(), node, shape));
  const auto strides = strides_of(shape);
  Tables tables(shape.size());
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    for (std::int64_t i = 0; i < cuts[axis].count; ++i) tables[axis].push_back((cuts[axis].start + i * cuts[axis].step) * strides[axis]);
  add_picking(planner, node, std::move(tables));
  return {};
}

Result<void> plan_split(Planner& planner, const Node& node) {
  if (plan_channel_moves(planner, std::vector{&node}) > 0) return {};
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", 0), shape.size()));
  SIGHTLINE_TRY(const auto parts, graph::parts_of(planner.constants(), planner.opset(), node, shape));
  Split3 split = around(shape, static_cast<std::size_t>(axis));
  const std::size_t element = moved_size(planner, node);
  // Channels that lie last are cut pixel by pixel and go on lying last.
  const Location native = planner.native(node.inputs[0]);
  const bool named = std::ranges::all_of(node.outputs, [](const std::string& output) { return !output.empty(); });
  const bool last = axis == 1 && named && is_channels_last(native.desc);
  if (last) split = {split.outer * split.inner, split.size, 1};
  const auto bytes = [&](std::int64_t count) { return static_cast<std::size_t>(count * split.inner) * element; };
  std::vector<std::size_t> runs;
  for (std::int64_t part : parts) runs.push_back(bytes(part));
  if (last) {
    std::vector<Location> operands{native};
    for (const std::string& output : node.outputs)
      operands.push_back(planner.make(channels_last(row_major(planner.shape_of(output), native.desc.data_type()))));
    planner.add(
        node.name.empty() ? node.outputs[0] : node.name, node.op_type,
        [runs, rows = split.outer](std::span<std::byte* const> at) {
          const std::byte* from = at[0];
          for (std::int64_t row = 0; row < rows; ++row)
            for (std::size_t i = 0; i < runs.size(); ++i) {
              std::memcpy(at[i + 1] + static_cast<std::size_t>(row) * runs[i], from, runs[i]);
              from += runs[i];
            }
        },
        operands);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) planner.define(node.outputs[i], operands[i + 1]);
    return {};
  }
  add_moving(planner, node, [runs, outer = split.outer, first = node.inputs.size()](std::span<std::byte* const> at) {
    const std::byte* from = at[0];
    for (std::int64_t row = 0; row < outer; ++row)
      for (std::size_t i = 0; i < runs.size(); ++i) {
        if (at[first + i] != nullptr && runs[i] > 0) std::memcpy(at[first + i] + static_cast<std::size_t>(row) * runs[i], from, runs[i]);
        from += runs[i];
      }
  });
  return {};
}

Result<void> plan_expand(Planner& planner, const Node& node) {
  const Shape &from = planner.shape_of(node.inputs[0]), &to = planner.shape_of(node.outputs[0]);
  const auto strides = strides_of(from);
  const std::size_t lead = to.size() - from.size();
  Tables tables(to.size());
  for (std::size_t axis = 0; axis < to.size(); ++axis) {
    tables[axis].assign(static_cast<std::size_t>(to[axis]), 0);
    if (axis >= lead && from[axis - lead] != 1)
      for (std::size_t i = 0; i < tables[axis].size(); ++i) tables[axis][i] = static_cast<std::int64_t>(i) * strides[axis - lead];
  }
  add_picking(planner, node, std::move(tables));
  return {};
}

Result<void> plan_tile(Planner& planner, const Node& node) {
  const Shape &from = planner.shape_of(node.inputs[0]), &to = planner.shape_of(node.outputs[0]);
  const auto strides = strides_of(from);
  Tables tables(to.size());
  for (std::size_t axis = 0; axis < to.size(); ++axis)
    for (std::int64_t i = 0; i < to[axis]; ++i) tables[axis].push_back(i % from[axis] * strides[axis]);
  add_picking(planner, node, std::move(tables));
  return {};
}

// The input as six axes, walked in another order.
static void add_blocks(Planner& planner, const Node& node, const Shape& six, const std::vector<std::size_t>& order) {
  const auto strides = strides_of(six);
  Tables tables(six.size());
  for (std::size_t axis = 0; axis < six.size(); ++axis)
    for (std::int64_t i = 0; i < six[order[axis]]; ++i) tables[axis].push_back(i * strides[order[axis]]);
  add_picking(planner, node, std::move(tables));
}

Result<void> plan_depth_to_space(Planner& planner, const Node& node) {
  const Shape& x = planner.shape_of(node.inputs[0]);
  const std::int64_t block = node.integer("blocksize", 1), channels = x[1] / (block * block);
  if (node.text("mode", "DCR") == "DCR") {
    add_blocks(planner, node, {x[0], block, block, channels, x[2], x[3]}, {0, 3, 4, 1, 5, 2});
  } else {
    add_blocks(planner, node, {x[0], channels, block, block, x[2], x[3]}, {0, 1, 4, 2, 5, 3});
  }
  return {};
}

Result<void> plan_space_to_depth(Planner& planner, const Node& node) {
  const Shape& x = planner.shape_of(node.inputs[0]);
  const std::int64_t block = node.integer("blocksize", 1);
  add_blocks(planner, node, {x[0], x[1], x[2] / block, block, x[3] / block, block}, {0, 3, 5, 1, 2, 4});
  return {};
}

Result<void> plan_pad(Planner& planner, const Node& node) {
  const std::string& x = node.inputs[0];
  const Shape &from = planner.shape_of(x), &to = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const std::vector<std::int64_t> pads, graph::pads_of(planner.constants(), node, from.size()));
  const std::string mode = node.text("mode", "constant");
  const auto strides = strides_of(from);
  Tables tables(to.size());
  for (std::size_t axis = 0; axis < to.size(); ++axis) {
    const std::int64_t size = from[axis];
    if (mode != "constant" && size == 0) return planner.invalid(node, "it repeats an axis without elements");
    for (std::int64_t i = 0; i < to[axis]; ++i) {
      std::int64_t place = i - pads[axis];
      const bool inside = place >= 0 && place < size;
      if (mode == "edge") place = std::clamp<std::int64_t>(place, 0, size - 1);
      if (mode == "reflect" && size == 1) place = 0;
      if (mode == "reflect" && size > 1) {
        const std::int64_t period = 2 * (size - 1);
        place = (place % period + period) % period;
        if (place >= size) place = period - place;
      }
      tables[axis].push_back(mode == "constant" && !inside ? filler : place * strides[axis]);
    }
  }
  std::vector<std::byte> fill(size_of(planner.dtype_of(x)), std::byte{0});
  if (Planner::has_input(node, 2)) {
    const Tensor* given = planner.constant(node.inputs[2]);
    if (given == nullptr || given->count() != 1 || given->dtype() != planner.dtype_of(x))
      return planner.unsupported(node, "its value \"" + node.inputs[2] + "\" is not one constant of the input's dtype");
    std::memcpy(fill.data(), given->data(), fill.size());
  } else if (node.attributes.contains("value") && planner.dtype_of(x) == Dtype::f32) {
    const float value = node.real("value", 0.0F);
    std::memcpy(fill.data(), &value, sizeof value);
  }
  with_element(planner.dtype_of(x), [&](auto element) {
    using T = decltype(element);
    T value{};
    std::memcpy(&value, fill.data(), sizeof value);
    add_plain(planner, node, [pick = Picking(std::move(tables)), value, slot = node.inputs.size()](std::span<std::byte* const> at) {
      pick(read_as<T>(at[0]), write_as<T>(at[slot]), value);
    });
  });
  return {};
}

Result<void> plan_constant_of_shape(Planner& planner, const Node& node) {
  const auto count = static_cast<std::size_t>(element_count(planner.shape_of(node.outputs[0])));
  const auto attribute = node.attributes.find("value");
  const Tensor value = attribute == node.attributes.end() ? Tensor::zeros(Dtype::f32, {1}) : std::get<Tensor>(attribute->second);
  with_element(value.dtype(), [&](auto element) {
    using T = decltype(element);
    add_plain(planner, node,
              [count, value](std::span<std::byte* const> at) { std::fill_n(write_as<T>(at[1]), count, *read_as<T>(value.data())); });
  });
  return {};
}

Result<void> plan_range(Planner& planner, const Node& node) {
  const auto count = static_cast<std::size_t>(element_count(planner.shape_of(node.outputs[0])));
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [count](std::span<std::byte* const> at) {
      const T start = *read_as<T>(at[0]), step = *read_as<T>(at[2]);
      for (std::size_t i = 0; i < count; ++i) write_as<T>(at[3])[i] = sum_of(start, product_of(static_cast<T>(i), step));
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

}  // namespace sightline::runtime
