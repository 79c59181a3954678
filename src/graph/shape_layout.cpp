// Shapes of what moves elements about, and of reductions.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "graph/operators.h"

namespace sightline::graph {

Result<std::int64_t> axis_of(const Node& node, std::int64_t axis, std::size_t rank) {
  const auto limit = static_cast<std::int64_t>(rank);
  if (axis < -limit || axis >= limit) return fault(node, fmt::format("axis {} does not exist in {} dimensions", axis, rank));
  return axis < 0 ? axis + limit : axis;
}

Result<std::optional<std::vector<std::int64_t>>> axes_of(const Constants& constants, const Node& node, std::size_t rank) {
  using Axes = std::optional<std::vector<std::int64_t>>;
  Axes axes;
  if (node.attributes.contains("axes")) {
    axes = node.integers("axes");
  } else if (node.inputs.size() > 1 && !node.inputs[1].empty()) {
    const Tensor* tensor = constants.find(node.inputs[1]);
    if (tensor == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: its axes \"{}\" are not constant", describe(node), node.inputs[1])};
    axes = integers_of(*tensor);
    if (!axes) return fault(node, "its axes are not integers");
  }
  if (!axes) return axes;
  for (std::int64_t& axis : *axes) {
    SIGHTLINE_TRY(axis, axis_of(node, axis, rank));
  }
  std::ranges::sort(*axes);
  if (std::ranges::adjacent_find(*axes) != axes->end()) return fault(node, "an axis is named twice");
  return axes;
}

Result<std::vector<std::int64_t>> pads_of(const Constants& constants, const Node& node, std::size_t rank) {
  std::vector<std::int64_t> pads = node.integers("pads");
  if (pads.empty() && node.inputs.size() > 1) {
    const Tensor* tensor = constants.find(node.inputs[1]);
    if (tensor == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: its padding \"{}\" is not constant", describe(node), node.inputs[1])};
    const auto numbers = integers_of(*tensor);
    if (!numbers) return fault(node, "its padding is not made of integers");
    pads = *numbers;
  }
  if (node.inputs.size() > 3 && !node.inputs[3].empty()) return Error{ErrorKind::unsupported, describe(node) + ": Pad with axes"};
  if (pads.size() != 2 * rank) return fault(node, fmt::format("it has {} paddings where {} are needed", pads.size(), 2 * rank));
  for (std::int64_t pad : pads) {
    if (pad < -std::numeric_limits<std::int32_t>::max() || pad > std::numeric_limits<std::int32_t>::max())
      return fault(node, fmt::format("a padding of {}", pad));
  }
  return pads;
}

namespace shape_rules {

Inferred flatten(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  std::int64_t axis = call.node.integer("axis", 1);
  if (axis < -rank || axis > rank) return fault(call.node, fmt::format("axis {} does not exist in {} dimensions", axis, rank));
  if (axis < 0) axis += rank;
  const auto product = [&](std::int64_t begin, std::int64_t end) {
    std::int64_t count = 1;
    for (std::int64_t i = begin; i < end; ++i) {
      if (x.shape[static_cast<std::size_t>(i)] < 0) return std::int64_t{-1};
      count *= x.shape[static_cast<std::size_t>(i)];
    }
    return count;
  };
  return std::vector<Typed>{{x.dtype, {product(0, axis), product(axis, rank)}}};
}

Inferred reshape(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  const Tensor* target = call.sizes(1);
  if (target == nullptr)
    return Error{ErrorKind::unsupported, fmt::format("{}: the new shape \"{}\" is not constant", describe(call.node), call.node.inputs[1])};
  const auto wanted = integers_of(*target);
  if (!wanted || wanted->size() > 16) return fault(call.node, "the new shape is not a short list of integers");
  const bool allow_zero = call.node.integer("allowzero", 0) != 0;
  const Error misfit = fault(call.node, fmt::format("{} cannot become {}", to_string(x.shape), fmt::join(*wanted, "×")));
  Shape shape = *wanted;
  std::size_t open = shape.size();
  std::int64_t free_copied = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !allow_zero) {
      if (i >= x.shape.size()) return misfit;
      shape[i] = x.shape[i];
      if (shape[i] < 0) ++free_copied;
    } else if (shape[i] == kFreeSize) {
      shape[i] = -1;
      ++free_copied;
    } else if (shape[i] == -1) {
      if (open != shape.size()) return misfit;
      open = i;
    } else if (shape[i] < 0) {
      return misfit;
    }
  }
  const auto before = known_count(x.shape);
  const auto after = known_count(shape);
  if (!before || !after) return misfit;
  const std::int64_t free_left = std::ranges::count_if(x.shape, [](std::int64_t d) { return d < 0; }) - free_copied;
  if (open != shape.size()) {
    if (*after == 0 || *before % *after != 0) {
      if (free_left == 0 || *after == 0) return misfit;
    } else if (free_left == 0) {
      shape[open] = *before / *after;
    }
  } else if (free_left == 0 && *before != *after) {
    return misfit;
  }
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred transpose(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  std::vector<std::int64_t> order = call.node.integers("perm");
  if (order.empty()) {
    for (std::size_t i = x.shape.size(); i > 0; --i) order.push_back(static_cast<std::int64_t>(i) - 1);
  }
  std::vector<std::int64_t> sorted = order;
  std::ranges::sort(sorted);
  bool valid = order.size() == x.shape.size();
  for (std::size_t i = 0; valid && i < sorted.size(); ++i) valid = sorted[i] == static_cast<std::int64_t>(i);
  if (!valid) return fault(call.node, fmt::format("perm [{}] is no order of the axes of {}", fmt::join(order, ", "), to_string(x.shape)));
  Shape shape;
  for (std::int64_t axis : order) shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred concat(const Call& call) {
  const ValueInfo& first = *call.inputs[0];
  if (!call.node.attributes.contains("axis")) return fault(call.node, "the axis is missing");
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", 0), first.shape.size()));
  const auto at = static_cast<std::size_t>(axis);
  Shape shape = first.shape;
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    const ValueInfo* value = call.inputs[i];
    if (value == nullptr) return fault(call.node, "an input is left out");
    bool fits = value->shape.size() == shape.size() && value->dtype == first.dtype;
    for (std::size_t d = 0; fits && d < shape.size(); ++d) {
      if (d == at) continue;
      if (shape[d] < 0) shape[d] = value->shape[d];
      fits = value->shape[d] < 0 || value->shape[d] == shape[d];
    }
    if (!fits)
      return fault(call.node, fmt::format("\"{}\" ({} {}) does not fit \"{}\" ({} {}) along axis {}", value->name, name_of(value->dtype),
                                          to_string(value->shape), first.name, name_of(first.dtype), to_string(first.shape), axis));
    shape[at] = shape[at] < 0 || value->shape[at] < 0 ? -1 : shape[at] + value->shape[at];
    if (!known_count(shape)) return fault(call.node, "its output is too large");
  }
  return std::vector<Typed>{{first.dtype, shape}};
}

Inferred gather(const Call& call) {
  const ValueInfo& data = *call.inputs[0];
  const ValueInfo& indices = *call.inputs[1];
  if (indices.dtype != Dtype::i64 && indices.dtype != Dtype::i32) return fault(call.node, "its indices are not integers");
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", 0), data.shape.size()));
  const std::int64_t length = data.shape[static_cast<std::size_t>(axis)];
  if (const Tensor* constant = call.constant(1); constant != nullptr && length >= 0) {
    const auto numbers = integers_of(*constant);
    for (std::int64_t index : *numbers) {
      if (index < -length || index >= length) return fault(call.node, fmt::format("index {} is outside {}", index, length));
    }
  }
  Shape shape(data.shape.begin(), data.shape.begin() + axis);
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), data.shape.begin() + axis + 1, data.shape.end());
  return std::vector<Typed>{{data.dtype, shape}};
}

Inferred pad(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const std::vector<std::int64_t> pads, pads_of(call.constants, call.node, x.shape.size()));
  const std::string mode = call.node.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge") return fault(call.node, fmt::format("unknown mode \"{}\"", mode));
  Shape shape = x.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t both = pads[i] + pads[i + shape.size()];
    if (shape[i] < 0) {
      if (both != 0) return Error{ErrorKind::unsupported, describe(call.node) + ": padding of a free dimension"};
      continue;
    }
    shape[i] += both;
    if (shape[i] < 0) return fault(call.node, "its padding cuts more away than there is");
  }
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred squeeze(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const auto axes, axes_of(call.constants, call.node, x.shape.size()));
  Shape shape;
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    const bool named = axes && std::ranges::find(*axes, static_cast<std::int64_t>(i)) != axes->end();
    if (named && x.shape[i] != 1) return fault(call.node, fmt::format("axis {} of {} is not 1", i, to_string(x.shape)));
    if (!(named || (!axes && x.shape[i] == 1))) shape.push_back(x.shape[i]);
  }
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred unsqueeze(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  // The axes are of the output, whose rank depends on how many there are.
  std::size_t added = call.node.integers("axes").size();
  if (const Tensor* tensor = call.constant(1); added == 0 && tensor != nullptr) added = static_cast<std::size_t>(tensor->count());
  if (added > 16) return fault(call.node, "too many axes");
  SIGHTLINE_TRY(const auto axes, axes_of(call.constants, call.node, x.shape.size() + added));
  if (!axes) return fault(call.node, "the axes are missing");
  Shape shape = x.shape;
  for (std::int64_t axis : *axes) shape.insert(shape.begin() + axis, 1);
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred reduce(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const auto axes, axes_of(call.constants, call.node, x.shape.size()));
  const bool keep = call.node.integer("keepdims", 1) != 0;
  const bool all = !axes || axes->empty();
  if (all && call.node.integer("noop_with_empty_axes", 0) != 0) return std::vector<Typed>{{x.dtype, x.shape}};
  Shape shape;
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    if (all || std::ranges::find(*axes, static_cast<std::int64_t>(i)) != axes->end()) {
      if (keep) shape.push_back(1);
    } else {
      shape.push_back(x.shape[i]);
    }
  }
  return std::vector<Typed>{{x.dtype, shape}};
}

}  // namespace shape_rules
}  // namespace sightline::graph
