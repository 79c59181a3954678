// Pools that oneDNN has no primitive for: MaxPool with indices or of other dtypes, AveragePool of doubles, LpPool.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;
using Triple = std::array<std::int64_t, 3>;

// Windows over up to three spatial axes (missing ones are 1).
struct Windows {
  std::int64_t planes = 0;
  Triple source{1, 1, 1}, result{1, 1, 1}, kernel{1, 1, 1}, strides{1, 1, 1}, dilations{1, 1, 1}, begin{0, 0, 0}, end{0, 0, 0};

  static std::int64_t count(const Triple& of) { return of[0] * of[1] * of[2]; }

  // visit(output element, its plane, taps): taps calls back with the place of each element inside, and gives how many places of the window
  // lie inside of the padded input.
  template <class Visit>
  void each(Visit visit) const {
    std::int64_t element = 0;
    for (std::int64_t plane = 0; plane < planes; ++plane)
      for (std::int64_t z = 0; z < result[0]; ++z)
        for (std::int64_t y = 0; y < result[1]; ++y)
          for (std::int64_t x = 0; x < result[2]; ++x) visit(element++, plane, Triple{z, y, x});
  }
  template <class Tap>
  std::int64_t taps(const Triple& place, Tap tap) const {
    std::int64_t padded = 0;
    for (std::int64_t k = 0; k < count(kernel); ++k) {
      const Triple offset{k / (kernel[1] * kernel[2]), k / kernel[2] % kernel[1], k % kernel[2]};
      bool inside = true, counted = true;
      Triple at{};
      for (std::size_t i = 0; i < 3; ++i) {
        at[i] = place[i] * strides[i] - begin[i] + offset[i] * dilations[i];
        inside = inside && at[i] >= 0 && at[i] < source[i];
        counted = counted && at[i] < source[i] + end[i];
      }
      padded += counted ? 1 : 0;
      if (inside) tap(at);
    }
    return padded;
  }
  std::int64_t offset(const Triple& at) const { return (at[0] * source[1] + at[1]) * source[2] + at[2]; }
  std::int64_t column_major(const Triple& at) const { return (at[2] * source[1] + at[1]) * source[0] + at[0]; }
};

template <class T>
Kernel greatest(const Windows& windows, bool column_major) {
  return [=](std::span<std::byte* const> at) {
    windows.each([&](std::int64_t element, std::int64_t plane, const Triple& place) {
      const T* x = read_as<T>(at[0]) + plane * Windows::count(windows.source);
      T best = std::numeric_limits<T>::lowest();
      std::int64_t where = -1;
      windows.taps(place, [&](const Triple& tap) {
        const T value = x[windows.offset(tap)];
        if (where >= 0 && !(value > best)) return;
        best = value;
        where = plane * Windows::count(windows.source) + (column_major ? windows.column_major(tap) : windows.offset(tap));
      });
      if (at[1] != nullptr) write_as<T>(at[1])[element] = best;
      if (at.size() > 2 && at[2] != nullptr) write_as<std::int64_t>(at[2])[element] = where;
    });
  };
}

template <class T>
Kernel average(const Windows& windows, bool padding_counts) {
  return [=](std::span<std::byte* const> at) {
    windows.each([&](std::int64_t element, std::int64_t plane, const Triple& place) {
      const T* x = read_as<T>(at[0]) + plane * Windows::count(windows.source);
      double sum = 0;
      std::int64_t inside = 0;
      const std::int64_t padded = windows.taps(place, [&](const Triple& tap) {
        sum += static_cast<double>(x[windows.offset(tap)]);
        ++inside;
      });
      write_as<T>(at[1])[element] = static_cast<T>(sum / static_cast<double>(std::max<std::int64_t>(padding_counts ? padded : inside, 1)));
    });
  };
}

template <class T>
Kernel norm(const Windows& windows, std::int64_t p) {
  return [=](std::span<std::byte* const> at) {
    windows.each([&](std::int64_t element, std::int64_t plane, const Triple& place) {
      const T* x = read_as<T>(at[0]) + plane * Windows::count(windows.source);
      double sum = 0;
      windows.taps(place, [&](const Triple& tap) {
        const double v = std::abs(static_cast<double>(x[windows.offset(tap)]));
        sum += p == 1 ? v : p == 2 ? v * v : std::pow(v, static_cast<double>(p));
      });
      write_as<T>(at[1])[element] = static_cast<T>(p == 1 ? sum : p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / static_cast<double>(p)));
    });
  };
}

}  // namespace

Result<void> plan_pool_loops(Planner& planner, const Node& node) {
  const Shape &shape = planner.shape_of(node.inputs[0]),
              &result = planner.shape_of(node.outputs[0].empty() ? node.outputs[1] : node.outputs[0]);
  if (shape.size() > 5) return planner.unsupported(node, "more than three spatial axes");
  Windows windows;
  windows.planes = shape[0] * shape[1];
  const std::size_t lead = 5 - shape.size();
  const bool global = node.op_type.starts_with("Global");
  graph::Window window;
  if (!global) {
    SIGHTLINE_TRY(window, graph::window_of(node, shape, node.integers("kernel_shape")));
  }
  for (std::size_t i = 0; i + 2 < shape.size(); ++i) {
    windows.source[lead + i] = shape[i + 2];
    windows.result[lead + i] = result[i + 2];
    windows.kernel[lead + i] = global ? shape[i + 2] : window.kernel[i];
    if (global) continue;
    windows.strides[lead + i] = window.strides[i];
    windows.dilations[lead + i] = window.dilations[i];
    windows.begin[lead + i] = window.pads_begin[i];
    windows.end[lead + i] = window.pads_end[i];
  }
  const std::string& op = node.op_type;
  const std::int64_t p = node.integer("p", 2);
  if (p < 1) return planner.invalid(node, "p below 1");
  Kernel kernel;
  if (op == "MaxPool" || op == "GlobalMaxPool") {
    const bool column_major = node.integer("storage_order", 0) != 0;
    with_number(planner.dtype_of(node.inputs[0]), [&](auto number) { kernel = greatest<decltype(number)>(windows, column_major); });
  } else if (op == "LpPool" || op == "GlobalLpPool") {
    with_real(planner.dtype_of(node.inputs[0]), [&](auto number) { kernel = norm<decltype(number)>(windows, p); });
  } else {
    const bool counts = node.integer("count_include_pad", 0) != 0;
    with_real(planner.dtype_of(node.inputs[0]), [&](auto number) { kernel = average<decltype(number)>(windows, counts); });
  }
  if (!kernel) return planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(node.inputs[0])));
  add_plain(planner, node, std::move(kernel));
  return {};
}

}  // namespace sightline::runtime
