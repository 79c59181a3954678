// Concat, Pad, Gather: whole runs of bytes are copied, whatever their dtype.
#include <algorithm>
#include <cstring>

#include "graph/operators.h"
#include "runtime/operators.h"

namespace sightline::runtime {
namespace {

using graph::Node;

std::string name_of_step(const Node& node) { return node.name.empty() ? node.outputs[0] : node.name; }

std::size_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  std::size_t count = 1;
  for (std::size_t i = begin; i < end; ++i) count *= static_cast<std::size_t>(shape[i]);
  return count;
}

// Channels in blocks as the inputs have them: possible when oneDNN can cut its own layout at the seams.
bool concat_in_blocks(Planner& planner, const Node& node, std::size_t axis) {
  if (planner.dtype_of(node.outputs[0]) != Dtype::f32) return false;
  std::vector<dnnl::memory::desc> descs;
  Arguments arguments;
  for (const std::string& input : node.inputs) {
    const Location location = planner.native(input);
    if (!descs.empty() && location.desc.data.format_desc.blocking.inner_nblks != descs[0].data.format_desc.blocking.inner_nblks)
      return false;
    arguments.emplace_back(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(descs.size()), location);
    descs.push_back(location.desc);
  }
  if (descs[0].data.format_desc.blocking.inner_nblks == 0) return false;
  dnnl_primitive_desc_t raw = nullptr;
  std::vector<dnnl_memory_desc_t> sources;
  for (const auto& desc : descs) {
    if (desc.data.padded_dims[axis] != desc.data.dims[axis]) return false;
    sources.push_back(desc.data);
  }
  const auto attributes = Planner::attributes();
  if (dnnl_concat_primitive_desc_create(&raw, nullptr, static_cast<int>(sources.size()), static_cast<int>(axis), sources.data(),
                                        attributes.get(), cpu_engine().get()) != dnnl_success)
    return false;
  const dnnl::concat::primitive_desc pd(raw);
  const Location destination = planner.make(pd.dst_desc());
  arguments.emplace_back(DNNL_ARG_DST, destination);
  planner.add(name_of_step(node), node.op_type, dnnl::concat(pd), pd, arguments);
  planner.define(node.outputs[0], destination);
  return true;
}

}  // namespace

Result<void> plan_concat(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const std::int64_t along, graph::axis_of(node, node.integer("axis", 0), shape.size()));
  const auto axis = static_cast<std::size_t>(along);
  if (node.inputs.size() == 1) return plan_identity(planner, node);
  if (concat_in_blocks(planner, node, axis)) return {};
  std::vector<std::size_t> runs;  // bytes that each input gives per row
  std::vector<Location> operands;
  for (const std::string& input : node.inputs) {
    const Shape& part = planner.shape_of(input);
    runs.push_back(product(part, axis, part.size()) * size_of(planner.dtype_of(input)));
    operands.push_back(planner.row_major_of(input));
  }
  const Location destination = planner.make_row_major(node.outputs[0]);
  operands.push_back(destination);
  planner.add(
      name_of_step(node), node.op_type,
      [runs, rows = product(shape, 0, axis)](std::span<std::byte* const> at) {
        std::byte* to = at[runs.size()];
        for (std::size_t row = 0; row < rows; ++row)
          for (std::size_t i = 0; i < runs.size(); ++i) {
            std::memcpy(to, at[i] + row * runs[i], runs[i]);
            to += runs[i];
          }
      },
      operands);
  planner.define(node.outputs[0], destination);
  return {};
}

Result<void> plan_pad(Planner& planner, const Node& node) {
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  SIGHTLINE_CHECK(planner.expect_f32(node, x));
  if (const std::string mode = node.text("mode", "constant"); mode != "constant")
    return planner.unsupported(node, "mode \"" + mode + "\"; only \"constant\" is there");
  const Shape &from = planner.shape_of(x), &to = planner.shape_of(y);
  SIGHTLINE_TRY(const std::vector<std::int64_t> pads, graph::pads_of(planner.graph(), node, from.size()));
  float value = node.real("value", 0.0F);
  if (Planner::has_input(node, 2)) {
    const auto given = planner.scalar(node.inputs[2]);
    if (!given) return planner.unsupported(node, "its value \"" + node.inputs[2] + "\" is not one constant f32");
    value = *given;
  }
  // Per axis: where the kept part begins in source and result (negative padding cuts), and how much is kept.
  const std::size_t rank = from.size();
  Shape skip(rank), begin(rank), keep(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    skip[i] = std::max<std::int64_t>(0, -pads[i]);
    begin[i] = std::max<std::int64_t>(0, pads[i]);
    keep[i] = from[i] - skip[i] - std::max<std::int64_t>(0, -pads[rank + i]);
  }
  const Location source = planner.row_major_of(x), destination = planner.make_row_major(y);
  planner.add(name_of_step(node), node.op_type,
              [from, to, skip, begin, keep, value](std::span<std::byte* const> at) {
                const auto* source_values = reinterpret_cast<const float*>(at[0]);
                auto* values = reinterpret_cast<float*>(at[1]);
                std::fill_n(values, element_count(to), value);
                for (std::int64_t k : keep)
                  if (k <= 0) return;
                const std::size_t last = to.size() - 1;
                std::vector<std::int64_t> place(to.size(), 0);
                while (true) {
                  std::int64_t read = 0, write = 0;
                  for (std::size_t i = 0; i <= last; ++i) {
                    read = read * from[i] + place[i] + skip[i];
                    write = write * to[i] + place[i] + begin[i];
                  }
                  std::copy_n(source_values + read, keep[last], values + write);
                  std::size_t axis = last;
                  while (axis > 0 && ++place[axis - 1] == keep[axis - 1]) place[--axis] = 0;
                  if (axis == 0) return;
                }
              },
              {source, destination});
  planner.define(y, destination);
  return {};
}

Result<void> plan_gather(Planner& planner, const Node& node) {
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  const Shape& shape = planner.shape_of(x);
  SIGHTLINE_TRY(const std::int64_t along, graph::axis_of(node, node.integer("axis", 0), shape.size()));
  const auto axis = static_cast<std::size_t>(along);
  const Tensor* constant = planner.constant(node.inputs[1]);
  const auto given = constant != nullptr ? graph::integers_of(*constant) : std::nullopt;
  if (!given) return planner.unsupported(node, "its indices are not constant");
  std::vector<std::size_t> indices;
  for (std::int64_t index : *given) {
    if (index < -shape[axis] || index >= shape[axis])
      return planner.invalid(node, "index " + std::to_string(index) + " on an axis of " + std::to_string(shape[axis]));
    indices.push_back(static_cast<std::size_t>(index < 0 ? index + shape[axis] : index));
  }
  const std::size_t run = product(shape, axis + 1, shape.size()) * size_of(planner.dtype_of(x));
  const Location source = planner.row_major_of(x), destination = planner.make_row_major(y);
  planner.add(
      name_of_step(node), node.op_type,
      [indices, run, rows = product(shape, 0, axis), stride = static_cast<std::size_t>(shape[axis]) * run](std::span<std::byte* const> at) {
        std::byte* to = at[1];
        for (std::size_t row = 0; row < rows; ++row)
          for (std::size_t index : indices) {
            std::memcpy(to, at[0] + row * stride + index * run, run);
            to += run;
          }
      },
      {source, destination});
  planner.define(y, destination);
  return {};
}

}  // namespace sightline::runtime
