// Elements picked and placed by computed indices: Gather, GatherElements, GatherND, Scatter*, OneHot; and CumSum, Trilu, EyeLike,
// ReverseSequence. An index outside of its axis is an error when it is constant; a computed one is taken as the nearest inside, because a
// step cannot fail.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Indices of either dtype, negative ones counted from the end.
class Indices {
 public:
  Indices(const std::byte* address, bool wide) : address_(address), wide_(wide) {}
  std::int64_t at(std::int64_t i, std::int64_t size) const {
    const std::int64_t index = wide_ ? read_as<std::int64_t>(address_)[i] : read_as<std::int32_t>(address_)[i];
    return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size - 1);
  }

 private:
  const std::byte* address_;
  bool wide_;
};

bool wide(const Planner& planner, const Node& node) { return planner.dtype_of(node.inputs[1]) == Dtype::i64; }

Result<std::size_t> axis_at(const Planner& planner, const Node& node, std::int64_t otherwise) {
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", otherwise), planner.shape_of(node.inputs[0]).size()));
  return static_cast<std::size_t>(axis);
}

Result<void> check_indices(const Planner& planner, const Node& node, std::int64_t size) {
  const Tensor* constant = planner.constant(node.inputs[1]);
  const auto numbers = constant != nullptr ? graph::integers_of(*constant) : std::nullopt;
  if (!numbers) return {};
  for (std::int64_t index : *numbers)
    if (index < -size || index >= size)
      return planner.invalid(node, "index " + std::to_string(index) + " on an axis of " + std::to_string(size));
  return {};
}

// Combines what is there with an update, as Scatter's attribute "reduction" says.
template <class T>
T scattered(const std::string& reduction, T old, T update) {
  if (reduction == "add") return sum_of(old, update);
  if (reduction == "mul") return product_of(old, update);
  if (reduction == "max") return std::max(old, update);
  if (reduction == "min") return std::min(old, update);
  return update;
}

Result<void> check_reduction(const Planner& planner, const Node& node) {
  const std::string reduction = node.text("reduction", "none");
  for (const char* known : {"none", "add", "mul", "max", "min"})
    if (reduction == known) return {};
  return planner.unsupported(node, "reduction \"" + reduction + "\"");
}

}  // namespace

Result<void> plan_gather(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const std::size_t axis, axis_at(planner, node, 0));
  const Split3 split = around(shape, axis);
  SIGHTLINE_CHECK(check_indices(planner, node, split.size));
  const std::size_t run = static_cast<std::size_t>(split.inner) * size_of(planner.dtype_of(node.inputs[0]));
  const std::int64_t count = element_count(planner.shape_of(node.inputs[1]));
  add_plain(planner, node, [split, run, count, is_wide = wide(planner, node)](std::span<std::byte* const> at) {
    const Indices indices(at[1], is_wide);
    std::byte* to = at[2];
    for (std::int64_t row = 0; row < split.outer; ++row)
      for (std::int64_t i = 0; i < count; ++i, to += run)
        std::memcpy(to, at[0] + static_cast<std::size_t>(row * split.size + indices.at(i, split.size)) * run, run);
  });
  return {};
}

Result<void> plan_gather_elements(Planner& planner, const Node& node) {
  const Shape &from = planner.shape_of(node.inputs[0]), &to = planner.shape_of(node.inputs[1]);
  SIGHTLINE_TRY(const std::size_t axis, axis_at(planner, node, 0));
  SIGHTLINE_CHECK(check_indices(planner, node, from[axis]));
  const auto from_strides = strides_of(from), to_strides = strides_of(to);
  with_element(planner.dtype_of(node.inputs[0]), [&](auto element) {
    using T = decltype(element);
    add_plain(planner, node, [=, is_wide = wide(planner, node)](std::span<std::byte* const> at) {
      const Indices indices(at[1], is_wide);
      for (std::int64_t i = 0; i < element_count(to); ++i) {
        std::int64_t offset = 0;
        for (std::size_t k = 0; k < to.size(); ++k) {
          const std::int64_t place = k == axis ? indices.at(i, from[axis]) : i / to_strides[k] % to[k];
          offset += place * from_strides[k];
        }
        write_as<T>(at[2])[i] = read_as<T>(at[0])[offset];
      }
    });
  });
  return {};
}

Result<void> plan_gather_nd(Planner& planner, const Node& node) {
  const Shape &from = planner.shape_of(node.inputs[0]), &indices = planner.shape_of(node.inputs[1]);
  const auto batch_axes = static_cast<std::size_t>(node.integer("batch_dims", 0)), named = static_cast<std::size_t>(indices.back());
  std::int64_t batches = 1, run = 1;
  for (std::size_t i = 0; i < batch_axes; ++i) batches *= from[i];
  for (std::size_t i = batch_axes + named; i < from.size(); ++i) run *= from[i];
  const std::int64_t each = element_count(indices) / indices.back() / batches, batch_size = element_count(from) / batches;
  const std::size_t bytes = static_cast<std::size_t>(run) * size_of(planner.dtype_of(node.inputs[0]));
  add_plain(planner, node, [=, is_wide = wide(planner, node)](std::span<std::byte* const> at) {
    const Indices picked(at[1], is_wide);
    std::byte* to = at[2];
    for (std::int64_t i = 0; i < batches * each; ++i, to += bytes) {
      std::int64_t place = 0;
      for (std::size_t k = 0; k < named; ++k)
        place = place * from[batch_axes + k] +
                picked.at(i * static_cast<std::int64_t>(named) + static_cast<std::int64_t>(k), from[batch_axes + k]);
      const std::int64_t element = i / each * batch_size + place * run;
      std::memcpy(to, at[0] + static_cast<std::size_t>(element) * (bytes / static_cast<std::size_t>(run)), bytes);
    }
  });
  return {};
}

Result<void> plan_scatter_elements(Planner& planner, const Node& node) {
  const Shape &shape = planner.shape_of(node.inputs[0]), &updates = planner.shape_of(node.inputs[1]);
  SIGHTLINE_TRY(const std::size_t axis, axis_at(planner, node, 0));
  SIGHTLINE_CHECK(check_indices(planner, node, shape[axis]));
  SIGHTLINE_CHECK(check_reduction(planner, node));
  const auto strides = strides_of(shape), update_strides = strides_of(updates);
  const std::string reduction = node.text("reduction", "none");
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [=, is_wide = wide(planner, node)](std::span<std::byte* const> at) {
      const Indices indices(at[1], is_wide);
      T* to = write_as<T>(at[3]);
      std::copy_n(read_as<T>(at[0]), element_count(shape), to);
      for (std::int64_t i = 0; i < element_count(updates); ++i) {
        std::int64_t offset = 0;
        for (std::size_t k = 0; k < updates.size(); ++k)
          offset += (k == axis ? indices.at(i, shape[axis]) : i / update_strides[k] % updates[k]) * strides[k];
        to[offset] = scattered(reduction, to[offset], read_as<T>(at[2])[i]);
      }
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_scatter_nd(Planner& planner, const Node& node) {
  const Shape &shape = planner.shape_of(node.inputs[0]), &indices = planner.shape_of(node.inputs[1]);
  SIGHTLINE_CHECK(check_reduction(planner, node));
  const auto named = static_cast<std::size_t>(indices.back());
  std::int64_t run = 1;
  for (std::size_t i = named; i < shape.size(); ++i) run *= shape[i];
  const std::int64_t count = element_count(indices) / indices.back();
  const std::string reduction = node.text("reduction", "none");
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [=, is_wide = wide(planner, node)](std::span<std::byte* const> at) {
      const Indices places(at[1], is_wide);
      T* to = write_as<T>(at[3]);
      std::copy_n(read_as<T>(at[0]), element_count(shape), to);
      for (std::int64_t i = 0; i < count; ++i) {
        std::int64_t place = 0;
        for (std::size_t k = 0; k < named; ++k)
          place = place * shape[k] + places.at(i * static_cast<std::int64_t>(named) + static_cast<std::int64_t>(k), shape[k]);
        for (std::int64_t k = 0; k < run; ++k) {
          T& target = to[place * run + k];
          target = scattered(reduction, target, read_as<T>(at[2])[i * run + k]);
        }
      }
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_one_hot(Planner& planner, const Node& node) {
  const Shape& result = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", -1), result.size()));
  const Split3 split = around(result, static_cast<std::size_t>(axis));
  const bool known = with_number(planner.dtype_of(node.inputs[0]), [&](auto index) {
    using I = decltype(index);
    with_element(planner.dtype_of(node.inputs[2]), [&](auto element) {
      using T = decltype(element);
      add_plain(planner, node, [split](std::span<std::byte* const> at) {
        const T* values = read_as<T>(at[2]);
        T* to = write_as<T>(at[3]);
        std::fill_n(to, split.outer * split.size * split.inner, values[0]);
        for (std::int64_t i = 0; i < split.outer * split.inner; ++i) {
          auto place = static_cast<double>(read_as<I>(at[0])[i]);
          if (place < 0) place += static_cast<double>(split.size);
          // Outside there is nothing hot.
          if (place >= 0 && place < static_cast<double>(split.size))
            to[(i / split.inner * split.size + static_cast<std::int64_t>(place)) * split.inner + i % split.inner] = values[1];
        }
      });
    });
  });
  return known ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_cumulative_sum(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  const auto given = graph::integers_of(*planner.constant(node.inputs[1]));
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, given ? (*given)[0] : 0, shape.size()));
  const Split3 split = around(shape, static_cast<std::size_t>(axis));
  const bool exclusive = node.integer("exclusive", 0) != 0, reverse = node.integer("reverse", 0) != 0;
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
    add_plain(planner, node, [=](std::span<std::byte* const> at) {
      for (std::int64_t row = 0; row < split.outer * split.inner; ++row) {
        const std::int64_t begin = row / split.inner * split.size * split.inner + row % split.inner;
        Sum sum{0};
        for (std::int64_t i = 0; i < split.size; ++i) {
          const std::int64_t place = begin + (reverse ? split.size - 1 - i : i) * split.inner;
          const T value = read_as<T>(at[0])[place];
          if (exclusive) write_as<T>(at[2])[place] = static_cast<T>(sum);
          sum = sum_of(sum, static_cast<Sum>(value));
          if (!exclusive) write_as<T>(at[2])[place] = static_cast<T>(sum);
        }
      }
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_triangle(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  std::int64_t diagonal = 0;
  if (Planner::has_input(node, 1)) {
    const auto given = graph::integers_of(*planner.constant(node.inputs[1]));
    if (!given || given->size() != 1) return planner.invalid(node, "its diagonal is not one integer");
    diagonal = std::clamp<std::int64_t>((*given)[0], -(std::int64_t{1} << 41), std::int64_t{1} << 41);
  }
  const bool upper = node.integer("upper", 1) != 0;
  const std::int64_t columns = shape.back(), rows = shape[shape.size() - 2], count = element_count(shape);
  with_element(planner.dtype_of(node.inputs[0]), [&](auto element) {
    using T = decltype(element);
    add_plain(planner, node, [=, slot = node.inputs.size()](std::span<std::byte* const> at) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t above = i % columns - i / columns % rows - diagonal;
        write_as<T>(at[slot])[i] = (upper ? above >= 0 : above <= 0) ? read_as<T>(at[0])[i] : T{0};
      }
    });
  });
  return {};
}

Result<void> plan_eye(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.outputs[0]);
  const std::int64_t diagonal = std::clamp<std::int64_t>(node.integer("k", 0), -(std::int64_t{1} << 41), std::int64_t{1} << 41);
  const auto plan = [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [shape, diagonal](std::span<std::byte* const> at) {
      for (std::int64_t i = 0; i < element_count(shape); ++i)
        write_as<T>(at[1])[i] = static_cast<T>(i % shape[1] - i / shape[1] == diagonal ? 1 : 0);
    });
  };
  if (planner.dtype_of(node.outputs[0]) == Dtype::boolean) {
    plan(std::uint8_t{});
    return {};
  }
  return with_number(planner.dtype_of(node.outputs[0]), plan) ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_reverse_sequence(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  const bool time_first = node.integer("time_axis", 0) == 0;
  std::size_t run = size_of(planner.dtype_of(node.inputs[0]));
  for (std::size_t i = 2; i < shape.size(); ++i) run *= static_cast<std::size_t>(shape[i]);
  const std::int64_t times = shape[time_first ? 0 : 1], batch = shape[time_first ? 1 : 0];
  add_plain(planner, node, [=](std::span<std::byte* const> at) {
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::int64_t length = std::clamp<std::int64_t>(read_as<std::int64_t>(at[1])[b], 0, times);
      for (std::int64_t t = 0; t < times; ++t) {
        const auto place = [&](std::int64_t time) {
          return static_cast<std::size_t>(time_first ? time * batch + b : b * times + time) * run;
        };
        std::memcpy(at[2] + place(t), at[0] + place(t < length ? length - 1 - t : t), run);
      }
    }
  });
  return {};
}

}  // namespace sightline::runtime
