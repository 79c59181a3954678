// Where Resize and Upsample take their output from. Both engines read it here, so that they agree.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

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

void add_cubic(Taps& axis, double position, double size, double a, bool exclude_outside) {
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

}  // namespace

Result<std::vector<Taps>> resize_taps(const Constants& constants, std::int64_t opset, const Node& node, const Shape& from,
                                      const Shape& to) {
  const auto unsupported = [&](const std::string& what) {
    return Error{ErrorKind::unsupported, fmt::format("{}: {} is not known", describe(node), what)};
  };
  const bool early = opset < 11 || node.op_type == "Upsample";
  std::string mode = node.text("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  const std::string coordinates = node.text("coordinate_transformation_mode", early ? "asymmetric" : "half_pixel");
  const std::string rounding = node.text("nearest_mode", early ? "floor" : "round_prefer_floor");
  if (mode != "nearest" && mode != "linear" && mode != "cubic") return unsupported("mode \"" + mode + "\"");
  if (node.integer("antialias", 0) != 0 || node.attributes.contains("axes")) return unsupported("antialias or axes");
  SIGHTLINE_TRY(const Stretch stretch, stretch_of(constants, opset, node, from));
  const bool crops = coordinates == "tf_crop_and_resize", exclude_outside = node.integer("exclude_outside", 0) != 0;

  std::vector<Taps> axes(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    Taps& axis = axes[i];
    axis.count = mode == "nearest" ? 1 : mode == "linear" ? 2 : 4;
    if (from[i] < 0) continue;
    const auto size = static_cast<double>(from[i]);
    const Coordinates axis_coordinates{coordinates,          stretch.scale[i],  size, static_cast<double>(to[i]),
                                       stretch.roi_begin[i], stretch.roi_end[i]};
    for (std::int64_t k = 0; k < to[i]; ++k) {
      const auto position = axis_coordinates.source(static_cast<double>(k));
      if (!position) return unsupported("coordinate_transformation_mode \"" + coordinates + "\"");
      axis.outside.push_back(crops && (*position < 0 || *position > size - 1));
      if (mode == "cubic") {
        add_cubic(axis, *position, size, static_cast<double>(node.real("cubic_coeff_a", -0.75F)), exclude_outside);
      } else if (mode == "nearest") {
        const auto rounded = nearest(rounding, *position);
        if (!rounded) return unsupported("nearest_mode \"" + rounding + "\"");
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
  return axes;
}

}  // namespace sightline::graph
