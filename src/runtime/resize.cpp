// Resize and Upsample: nearest neighbour, linear or cubic interpolation, each axis on its own. Which elements an output position reads,
// and with which shares, is worked out when the plan is made.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "graph/operators.h"
#include "runtime/operators.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Up to four taps for each output position of an axis; `outside` positions take the extrapolation value.
struct Axis {
  std::size_t taps = 1;
  std::vector<std::int64_t> from;  // taps for each position
  std::vector<float> share;
  std::vector<bool> outside;
};

struct Coordinates {
  std::string mode;
  double scale = 1, from = 1, to = 1, roi_begin = 0, roi_end = 1;

  std::optional<double> source(double x) const {
    if (mode == "half_pixel") return (x + 0.5) / scale - 0.5;
    if (mode == "pytorch_half_pixel") return to > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
    if (mode == "asymmetric") return x / scale;
    if (mode == "align_corners") return to > 1 ? x * (from - 1) / (to - 1) : 0.0;
    if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
    if (mode == "tf_crop_and_resize")
      return to > 1 ? roi_begin * (from - 1) + x * (roi_end - roi_begin) * (from - 1) / (to - 1) : 0.5 * (roi_begin + roi_end) * (from - 1);
    return std::nullopt;
  }
};

std::optional<double> nearest(const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return std::ceil(x - 0.5);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  return std::nullopt;
}

// Keys' cubic convolution with parameter a: shares of the four neighbours of a point `t` behind the second of them.
std::array<double, 4> cubic_shares(double t, double a) {
  const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(t + 1), near(t), near(1 - t), far(2 - t)};
}

void add_cubic(Axis& axis, double position, double size, double a, bool exclude_outside) {
  const double low = std::floor(position);
  std::array<double, 4> shares = cubic_shares(position - low, a);
  double sum = 0;
  for (std::size_t tap = 0; tap < 4; ++tap) {
    const double place = low - 1 + static_cast<double>(tap);
    if (exclude_outside && (place < 0 || place >= size)) shares[tap] = 0;
    sum += shares[tap];
    axis.from.push_back(static_cast<std::int64_t>(std::clamp(place, 0.0, size - 1)));
  }
  for (double share : shares) axis.share.push_back(static_cast<float>(share / (exclude_outside ? sum : 1.0)));
}

// Along one axis: source rows×from×run → rows×to×run.
void interpolate(const Axis& axis, const float* from, float* to, std::int64_t rows, std::int64_t size, std::int64_t run,
                 float extrapolated) {
  for (std::int64_t row = 0; row < rows; ++row, from += size * run)
    for (std::size_t i = 0; i < axis.outside.size(); ++i, to += run) {
      const std::int64_t* taps = axis.from.data() + i * axis.taps;
      const float* share = axis.share.data() + i * axis.taps;
      const float* a = from + taps[0] * run;
      if (axis.outside[i]) {
        std::fill_n(to, run, extrapolated);
      } else if (axis.taps == 1 || (axis.taps == 2 && share[1] == 0.0F)) {
        std::copy_n(a, run, to);
      } else if (axis.taps == 2) {
        const float* b = from + taps[1] * run;
        for (std::int64_t k = 0; k < run; ++k) to[k] = a[k] + (b[k] - a[k]) * share[1];
      } else {
        const float *b = from + taps[1] * run, *c = from + taps[2] * run, *d = from + taps[3] * run;
        for (std::int64_t k = 0; k < run; ++k) to[k] = a[k] * share[0] + b[k] * share[1] + c[k] * share[2] + d[k] * share[3];
      }
    }
}

// Whether rows and columns of N×C×H×W come from where oneDNN takes them: the source's centre nearest to the target's.
bool nearest_as_onednn(const std::vector<Axis>& axes, const Shape& from, const Shape& to) {
  if (from.size() != 4 || from[0] != to[0] || from[1] != to[1]) return false;
  for (std::size_t i = 2; i < 4; ++i) {
    for (std::int64_t k = 0; k < to[i]; ++k) {
      const float position = (static_cast<float>(k) + 0.5F) * static_cast<float>(from[i]) / static_cast<float>(to[i]) - 0.5F;
      if (axes[i].from[static_cast<std::size_t>(k)] != std::lround(position)) return false;
    }
  }
  return true;
}

}  // namespace

Result<void> plan_resize(Planner& planner, const Node& node) {
  const std::string &x = node.inputs[0], &y = node.outputs[0];
  SIGHTLINE_CHECK(planner.expect_f32(node, x));
  const bool early = planner.opset() < 11 || node.op_type == "Upsample";
  std::string mode = node.text("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  const std::string coordinates = node.text("coordinate_transformation_mode", early ? "asymmetric" : "half_pixel");
  const std::string rounding = node.text("nearest_mode", early ? "floor" : "round_prefer_floor");
  if (mode != "nearest" && mode != "linear" && mode != "cubic") return planner.unsupported(node, "mode \"" + mode + "\"");
  if (node.integer("antialias", 0) != 0 || node.attributes.contains("axes")) return planner.unsupported(node, "antialias and axes");
  const Shape &from = planner.shape_of(x), &to = planner.shape_of(y);
  SIGHTLINE_TRY(const graph::Stretch stretch, graph::stretch_of(planner.constants(), planner.opset(), node, from));
  const bool crops = coordinates == "tf_crop_and_resize", exclude_outside = node.integer("exclude_outside", 0) != 0;

  std::vector<Axis> axes(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto size = static_cast<double>(from[i]);
    const Coordinates axis_coordinates{coordinates,          stretch.scale[i],  size, static_cast<double>(to[i]),
                                       stretch.roi_begin[i], stretch.roi_end[i]};
    Axis& axis = axes[i];
    axis.taps = mode == "nearest" ? 1 : mode == "linear" ? 2 : 4;
    for (std::int64_t k = 0; k < to[i]; ++k) {
      const auto position = axis_coordinates.source(static_cast<double>(k));
      if (!position) return planner.unsupported(node, "coordinate_transformation_mode \"" + coordinates + "\"");
      axis.outside.push_back(crops && (*position < 0 || *position > size - 1));
      if (mode == "cubic") {
        add_cubic(axis, *position, size, static_cast<double>(node.real("cubic_coeff_a", -0.75F)), exclude_outside);
      } else if (mode == "nearest") {
        const auto rounded = nearest(rounding, *position);
        if (!rounded) return planner.unsupported(node, "nearest_mode \"" + rounding + "\"");
        axis.from.push_back(static_cast<std::int64_t>(std::clamp(*rounded, 0.0, size - 1)));
        axis.share.push_back(1.0F);
      } else {
        const double inside = std::clamp(*position, 0.0, size - 1), low = std::floor(inside);
        axis.from.push_back(static_cast<std::int64_t>(low));
        axis.from.push_back(std::min(axis.from.back() + 1, from[i] - 1));
        axis.share.push_back(static_cast<float>(1 - (inside - low)));
        axis.share.push_back(static_cast<float>(inside - low));
      }
    }
  }

  if (mode == "nearest" && !crops && nearest_as_onednn(axes, from, to)) {
    // In whatever layout the value has: nothing is reordered before or after it.
    const Location source = planner.operand(node, x);
    const auto pd = dnnl::resampling_forward::primitive_desc(
        dnnl::resampling_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::resampling_nearest, source.desc,
                                       any_layout(to, source.desc.data_type())),
        Planner::attributes(), cpu_engine(), true);
    if (pd && !is_reference(pd)) {
      const Location destination = planner.make(pd.dst_desc());
      planner.add(node.name.empty() ? y : node.name, node.op_type, dnnl::resampling_forward(pd), pd,
                  {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
      planner.define(y, destination);
      return {};
    }
  }
  // One pass per axis that changes.
  Location current = planner.row_major_of(x);
  Shape shape = from;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] == to[i] && !crops && stretch.scale[i] == 1.0) continue;
    const std::int64_t size = shape[i];
    shape[i] = to[i];
    std::int64_t rows = 1, run = 1;
    for (std::size_t k = 0; k < i; ++k) rows *= shape[k];
    for (std::size_t k = i + 1; k < shape.size(); ++k) run *= shape[k];
    const Location next = planner.make(row_major(shape));
    planner.add(node.name.empty() ? y : node.name, node.op_type,
                [axis = axes[i], rows, size, run, extrapolated = node.real("extrapolation_value", 0.0F)](std::span<std::byte* const> at) {
                  interpolate(axis, reinterpret_cast<const float*>(at[0]), reinterpret_cast<float*>(at[1]), rows, size, run, extrapolated);
                },
                {current, next});
    current = next;
  }
  planner.define(y, current);
  return {};
}

}  // namespace sightline::runtime
