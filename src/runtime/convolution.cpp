// Conv and ConvTranspose with bias and whatever follows that oneDNN can do before storing. oneDNN chooses all layouts.
#include <algorithm>

#include "graph/operators.h"
#include "runtime/post_ops.h"

namespace sightline::runtime {
namespace {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Numbers = dnnl::memory::data_type;
using graph::Node;

Result<void> check_constant_weights(const Planner& planner, const Node& node) {
  SIGHTLINE_CHECK(planner.expect_f32(node, node.inputs[0]));
  for (std::size_t i = 1; i < node.inputs.size(); ++i)
    if (!node.inputs[i].empty() && planner.constant(node.inputs[i]) == nullptr)
      return planner.unsupported(node, "its weight or bias \"" + node.inputs[i] + "\" is computed; only constant ones can be run");
  return {};
}

// Whether Winograd's algorithm F(4×4, 3×3) (Lavin and Gray 2015) is the faster one: enough channels to pay for the transforms of tiles, and
// enough tiles or channels to fill the products. Measured shape by shape on AVX-512, the only set for which oneDNN has it in f32.
bool winograd_pays(const graph::Window& window, std::int64_t groups, const Shape& weight, const Shape& result) {
  const auto all = [](const Dims& values, std::int64_t wanted) { return std::ranges::count(values, wanted) == std::ssize(values); };
  if (groups != 1 || window.kernel.size() != 2 || !all(window.kernel, 3) || !all(window.strides, 1) || !all(window.dilations, 1))
    return false;
  const std::int64_t outputs = weight[0], inputs = weight[1], pixels = result[2] * result[3];
  if (inputs < 64 || outputs < 64 || inputs % 16 != 0 || outputs % 16 != 0) return false;
  return pixels >= 28 * 28 || (pixels >= 7 * 7 && inputs * outputs >= 256 * 256);
}

// Adds the step for a descriptor of a convolution or a transposed convolution; weights are read as `plain`.
template <class Primitive, class Descriptor>
std::size_t add_step(Planner& planner, Nodes chain, const Fused<Descriptor>& fused, const Desc& plain) {
  const Node& node = *chain[0];
  const auto& pd = fused.descriptor;
  Arguments arguments{{DNNL_ARG_SRC, planner.in_layout(node.inputs[0], pd.src_desc())},
                      {DNNL_ARG_WEIGHTS, planner.constant_as(node.inputs[1], plain, pd.weights_desc())}};
  if (Planner::has_input(node, 2)) arguments.emplace_back(DNNL_ARG_BIAS, planner.native(node.inputs[2]));
  fused.add_arguments(planner, arguments);
  const Location destination = fused.destination(planner);
  arguments.emplace_back(DNNL_ARG_DST, destination);
  const Nodes done = chain.first(fused.nodes);
  planner.add(step_name(done), fused_name(done), Primitive(pd), pd, arguments);
  planner.define(done.back()->outputs[0], destination);
  return fused.nodes;
}

}  // namespace

Result<std::size_t> plan_convolution(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  SIGHTLINE_CHECK(check_constant_weights(planner, node));
  const Shape& source = planner.shape_of(node.inputs[0]);
  const Shape& weight = planner.shape_of(node.inputs[1]);  // O×I/groups×kernel
  const Shape& result = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const graph::Window window, graph::window_of(node, source, Shape(weight.begin() + 2, weight.end())));
  const std::int64_t groups = node.integer("group", 1);
  Shape grouped = weight;
  if (groups > 1) {
    grouped[0] /= groups;
    grouped.insert(grouped.begin(), groups);
  }
  Dims dilations = window.dilations;
  for (auto& d : dilations) --d;
  const bool bias = Planner::has_input(node, 2);
  const Desc bias_desc = bias ? row_major({weight[0]}) : Desc();
  using Convolution = dnnl::convolution_forward;
  const auto fused_by = [&](dnnl::algorithm algorithm, Numbers numbers, Numbers stored) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return Convolution::primitive_desc(
          Convolution::desc(dnnl::prop_kind::forward_inference, algorithm, any_layout(source, numbers), any_layout(grouped, numbers),
                            bias_desc, dst, window.strides, dilations, window.pads_begin, window.pads_end),
          attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), any_layout(result, stored));
    return bare ? fuse(planner, chain, bare, make) : Fused<Convolution::primitive_desc>{};
  };
  const Numbers numbers = planner.numbers_of(node);
  auto fused = fused_by(dnnl::algorithm::convolution_direct, numbers, planner.result_numbers_of(chain));
  if (numbers != Numbers::f32 && (!fused.descriptor || is_reference(fused.descriptor)))
    fused = fused_by(dnnl::algorithm::convolution_direct, Numbers::f32, Numbers::f32);
  if (numbers == Numbers::f32 && winograd_pays(window, groups, weight, result)) {
    const auto winograd = fused_by(dnnl::algorithm::convolution_winograd, Numbers::f32, Numbers::f32);
    if (winograd.descriptor && winograd.nodes >= fused.nodes) fused = winograd;
  }
  if (!fused.descriptor) return planner.unsupported(node, "oneDNN has no kernel for it");
  return add_step<Convolution>(planner, chain, fused, row_major(grouped));
}

Result<std::size_t> plan_transposed_convolution(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  SIGHTLINE_CHECK(check_constant_weights(planner, node));
  const Shape& source = planner.shape_of(node.inputs[0]);
  const Shape& weight = planner.shape_of(node.inputs[1]);  // I×O/groups×kernel
  const Shape& result = planner.shape_of(node.outputs[0]);
  SIGHTLINE_TRY(const graph::Window window, graph::transposed_window_of(node, source, Shape(weight.begin() + 2, weight.end())));
  const std::int64_t groups = node.integer("group", 1);
  // oneDNN's order is groups×O×I×kernel.
  Shape grouped{weight[1], weight[0] / groups};
  grouped.insert(grouped.end(), weight.begin() + 2, weight.end());
  Dims strides(weight.size(), 1);
  for (std::size_t i = weight.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * weight[i];
  std::swap(strides[0], strides[1]);
  if (groups > 1) {
    strides.insert(strides.begin(), strides[1] * grouped[1]);
    grouped.insert(grouped.begin(), groups);
  }
  const Desc plain(grouped, dnnl::memory::data_type::f32, strides);
  Dims dilations = window.dilations, pads_end = window.pads_end;
  for (std::size_t i = 0; i < dilations.size(); ++i) {
    --dilations[i];
    // output_padding is padding that is not cut off.
    pads_end[i] =
        (source[i + 2] - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1 - window.pads_begin[i] - result[i + 2];
  }
  const bool bias = Planner::has_input(node, 2);
  const Desc bias_desc = bias ? row_major({weight[1] * groups}) : Desc();
  using Deconvolution = dnnl::deconvolution_forward;
  const auto fused_in = [&](Numbers numbers, Numbers stored) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return Deconvolution::primitive_desc(
          Deconvolution::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::deconvolution_direct, any_layout(source, numbers),
                              any_layout(grouped, numbers), bias_desc, dst, window.strides, dilations, window.pads_begin, pads_end),
          attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), any_layout(result, stored));
    return bare ? fuse(planner, chain, bare, make) : Fused<Deconvolution::primitive_desc>{};
  };
  const Numbers numbers = planner.numbers_of(node);
  auto fused = fused_in(numbers, planner.result_numbers_of(chain));
  if (numbers != Numbers::f32 && (!fused.descriptor || is_reference(fused.descriptor))) fused = fused_in(Numbers::f32, Numbers::f32);
  if (!fused.descriptor) return planner.unsupported(node, "oneDNN has no kernel for it");
  return add_step<Deconvolution>(planner, chain, fused, plain);
}

}  // namespace sightline::runtime
