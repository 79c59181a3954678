// Resize by nearest neighbour or linear interpolation, each axis on its own: indices and shares are worked out when the plan is made.
#include <algorithm>
#include <cmath>
#include <optional>

#include "runtime/operators.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// For each output position of an axis: two source positions and the share of the second.
struct Axis {
  std::vector<std::int64_t> low, high;
  std::vector<float> share;
};

std::optional<double> source_position(const std::string& mode, double x, double scale, double from, double to) {
  if (mode == "half_pixel") return (x + 0.5) / scale - 0.5;
  if (mode == "pytorch_half_pixel") return to > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
  if (mode == "asymmetric") return x / scale;
  if (mode == "align_corners") return to > 1 ? x * (from - 1) / (to - 1) : 0.0;
  return std::nullopt;
}

std::optional<double> nearest(const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return std::ceil(x - 0.5);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  return std::nullopt;
}

// Interpolates along one axis: source rows×from×run → rows×to×run.
void interpolate(const Axis& axis, const float* from, float* to, std::int64_t rows, std::int64_t size, std::int64_t run) {
  for (std::int64_t row = 0; row < rows; ++row, from += size * run)
    for (std::size_t i = 0; i < axis.low.size(); ++i, to += run) {
      const float *a = from + axis.low[i] * run, *b = from + axis.high[i] * run;
      const float share = axis.share[i];
      if (share == 0.0F) {
        std::copy_n(a, run, to);
      } else {
        for (std::int64_t k = 0; k < run; ++k) to[k] = a[k] + (b[k] - a[k]) * share;
      }
    }
}

}  // namespace

Result<void> plan_resize(Planner& planner, const Node& node) {
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  SIGHTLINE_CHECK(planner.expect_f32(node, x));
  const bool early = planner.opset() < 11;
  const std::string mode = node.text("mode", "nearest");
  const std::string coordinates = node.text("coordinate_transformation_mode", early ? "asymmetric" : "half_pixel");
  const std::string rounding = node.text("nearest_mode", early ? "floor" : "round_prefer_floor");
  if (mode != "nearest" && mode != "linear") return planner.unsupported(node, "mode \"" + mode + "\"");
  if (node.integer("antialias", 0) != 0 || node.integer("exclude_outside", 0) != 0 || node.attributes.contains("axes"))
    return planner.unsupported(node, "antialias, exclude_outside and axes");
  const Shape &from = planner.shape_of(x), &to = planner.shape_of(y);
  const std::size_t slot = early ? 1 : 2;
  const Tensor* scales = Planner::has_input(node, slot) ? planner.constant(node.inputs[slot]) : nullptr;

  std::vector<Axis> axes(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto source = static_cast<double>(from[i]), result = static_cast<double>(to[i]);
    const double scale = scales != nullptr && scales->count() > 0 ? static_cast<double>(scales->values<float>()[i]) : result / source;
    for (std::int64_t k = 0; k < to[i]; ++k) {
      auto position = source_position(coordinates, static_cast<double>(k), scale, source, result);
      if (!position) return planner.unsupported(node, "coordinate_transformation_mode \"" + coordinates + "\"");
      double low = 0, share = 0;
      if (mode == "nearest") {
        const auto rounded = nearest(rounding, *position);
        if (!rounded) return planner.unsupported(node, "nearest_mode \"" + rounding + "\"");
        low = std::clamp(*rounded, 0.0, source - 1);
      } else {
        const double inside = std::clamp(*position, 0.0, source - 1);
        low = std::floor(inside);
        share = inside - low;
      }
      axes[i].low.push_back(static_cast<std::int64_t>(low));
      axes[i].high.push_back(std::min(axes[i].low.back() + 1, from[i] - 1));
      axes[i].share.push_back(static_cast<float>(share));
    }
  }

  // One pass per axis that changes.
  Location current = planner.row_major_of(x);
  Shape shape = from;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] == to[i]) continue;
    const std::int64_t size = shape[i];
    shape[i] = to[i];
    std::int64_t rows = 1, run = 1;
    for (std::size_t k = 0; k < i; ++k) rows *= shape[k];
    for (std::size_t k = i + 1; k < shape.size(); ++k) run *= shape[k];
    const Location next = planner.make(row_major(shape));
    planner.add(node.name.empty() ? y : node.name, node.op_type,
                [axis = axes[i], rows, size, run](std::span<std::byte* const> at) {
                  interpolate(axis, reinterpret_cast<const float*>(at[0]), reinterpret_cast<float*>(at[1]), rows, size, run);
                },
                {current, next});
    current = next;
  }
  planner.define(y, current);
  return {};
}

}  // namespace sightline::runtime
