// Resize and Upsample: nearest neighbour, linear or cubic interpolation, each axis on its own. Which elements an output position reads,
// and with which shares, is worked out when the plan is made (graph::resize_taps).
#include <algorithm>
#include <cmath>

#include "graph/operators.h"
#include "runtime/integers.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Along one axis: source rows×from×run → rows×to×run.
void interpolate(const graph::Taps& axis, const float* from, float* to, std::int64_t rows, std::int64_t size, std::int64_t run,
                 float extrapolated) {
  for (std::int64_t row = 0; row < rows; ++row, from += size * run)
    for (std::size_t i = 0; i < axis.outside.size(); ++i, to += run) {
      const std::int64_t* taps = axis.from.data() + i * axis.count;
      const float* share = axis.share.data() + i * axis.count;
      const float* a = from + taps[0] * run;
      if (axis.outside[i]) {
        std::fill_n(to, run, extrapolated);
      } else if (axis.count == 1 || (axis.count == 2 && share[1] == 0.0F)) {
        std::copy_n(a, run, to);
      } else if (axis.count == 2) {
        const float* b = from + taps[1] * run;
        for (std::int64_t k = 0; k < run; ++k) to[k] = a[k] + (b[k] - a[k]) * share[1];
      } else {
        const float *b = from + taps[1] * run, *c = from + taps[2] * run, *d = from + taps[3] * run;
        for (std::int64_t k = 0; k < run; ++k) to[k] = a[k] * share[0] + b[k] * share[1] + c[k] * share[2] + d[k] * share[3];
      }
    }
}

// Whether rows and columns of N×C×H×W come from where oneDNN takes them: the source's centre nearest to the target's.
bool nearest_as_onednn(const std::vector<graph::Taps>& axes, const Shape& from, const Shape& to) {
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
  const Shape &from = planner.shape_of(x), &to = planner.shape_of(y);
  SIGHTLINE_TRY(const graph::Stretch stretch, graph::stretch_of(planner.constants(), planner.opset(), node, from));
  SIGHTLINE_TRY(const std::vector<graph::Taps> axes, graph::resize_taps(planner.constants(), planner.opset(), node, from, to));
  const bool crops = node.text("coordinate_transformation_mode", "") == "tf_crop_and_resize";

  if (node.text("mode", "nearest") == "nearest" && !crops && nearest_as_onednn(axes, from, to)) {
    // In whatever layout and numbers the value has: nothing is reordered before or after it.
    const Quantized* known = planner.quantized(x);
    const Location source = known != nullptr ? planner.native(known->integers) : planner.operand(node, x);
    const auto pd = dnnl::resampling_forward::primitive_desc(
        dnnl::resampling_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::resampling_nearest, source.desc,
                                       any_layout(to, source.desc.data_type())),
        Planner::attributes(), cpu_engine(), true);
    if (pd && !is_reference(pd)) {
      const Location destination = planner.make_for(y, pd.dst_desc());
      planner.add(node.name.empty() ? y : node.name, node.op_type, dnnl::resampling_forward(pd), pd,
                  {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
      if (known == nullptr) {
        planner.define(y, destination);
        return {};
      }
      const std::string integers = planner.name_integers(y, known->how, to);
      planner.define(integers, destination);
      planner.define_quantized(y, {integers, known->how});
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
