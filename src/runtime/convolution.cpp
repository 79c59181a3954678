// Conv and ConvTranspose with bias and whatever follows that oneDNN can do before storing. oneDNN chooses all layouts.
#include <algorithm>
#include <string_view>

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

// Whether one of Winograd's algorithms for 3×3 windows (Lavin and Gray 2015) is faster than the direct one. Measured shape by shape on
// AVX-512, the only set for which oneDNN has them in f32: 1.1 to 2 times faster wherever channels fill whole vectors and the picture is
// not so small that tiles hang over its edges; there the larger weights cost more memory traffic than the saved products bring.
bool winograd_pays(const graph::Window& window, std::int64_t groups, const Shape& weight, const Shape& result) {
  constexpr std::int64_t least_pixels = 10 * 10;
  const auto all = [](const Dims& values, std::int64_t wanted) { return std::ranges::count(values, wanted) == std::ssize(values); };
  if (groups != 1 || window.kernel.size() != 2 || !all(window.kernel, 3) || !all(window.strides, 1) || !all(window.dilations, 1))
    return false;
  const std::int64_t outputs = weight[0], inputs = weight[1], pixels = result[2] * result[3];
  return inputs % channel_block == 0 && outputs % channel_block == 0 && pixels >= least_pixels;
}

// Of the two algorithms that oneDNN has, F(2×2) and F(4×4), it takes F(4×4) where F(2×2) does not fit: its weights are four times the plain
// ones and its scratch memory many megabytes, which pays (measured) between these numbers of inputs × outputs.
bool is_good_winograd(const dnnl::primitive_desc& primitive, const Shape& weight) {
  constexpr std::int64_t least = 128 * 128, most = 512 * 256;
  if (std::string_view(primitive.impl_info_str()).find("wino_4x3") == std::string_view::npos) return true;
  return weight[0] * weight[1] >= least && weight[0] * weight[1] <= most;
}

// Source and destination of a convolution, in the order in which they are to be tried.
struct Ends {
  Desc source, destination;
};

// Blocks of channels where a generated kernel takes them: oneDNN's own choice looks at one convolution at a time, and a net in which
// layouts alternate spends its time reordering. Measured, channels last are never faster, and Winograd's algorithms know blocks only.
std::vector<Ends> ends_to_try(const Desc& given, const Shape& source, const Shape& result) {
  const Ends any{any_layout(source), any_layout(result)};
  if (!has_channel_blocks() || source.size() > 5) return {any};
  const Ends blocks{in_blocks(source), in_blocks(result)};
  // A picture of few channels is read as it comes: a block would be mostly padding.
  if (source[1] < channel_block && is_row_major(given)) return {{row_major(source), in_blocks(result)}, blocks, any};
  return {blocks, any};
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
  const Nodes done = chain.first(fused.nodes);
  const Location destination = fused.destination(planner, done.back()->outputs[0]);
  arguments.emplace_back(DNNL_ARG_DST, destination);
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
  const auto fused_by = [&](dnnl::algorithm algorithm, Numbers numbers, const Ends& ends) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return Convolution::primitive_desc(
          Convolution::desc(dnnl::prop_kind::forward_inference, algorithm, ends.source, any_layout(grouped, numbers), bias_desc, dst,
                            window.strides, dilations, window.pads_begin, window.pads_end),
          attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), ends.destination);
    return bare ? fuse(planner, chain, bare, make) : Fused<Convolution::primitive_desc>{};
  };
  const Numbers numbers = planner.numbers_of(node);
  Fused<Convolution::primitive_desc> fused;
  if (numbers != Numbers::f32)
    fused = fused_by(dnnl::algorithm::convolution_direct, numbers,
                     {any_layout(source, numbers), any_layout(result, planner.result_numbers_of(chain))});
  if (!fused.descriptor || is_reference(fused.descriptor)) {
    for (const Ends& ends : ends_to_try(planner.native(node.inputs[0]).desc, source, result)) {
      fused = fused_by(dnnl::algorithm::convolution_direct, Numbers::f32, ends);
      if (fused.descriptor && is_fast(fused.descriptor)) break;
    }
  }
  if (numbers == Numbers::f32 && winograd_pays(window, groups, weight, result)) {
    const auto winograd = fused_by(dnnl::algorithm::convolution_winograd, Numbers::f32, {any_layout(source), any_layout(result)});
    if (winograd.descriptor && winograd.nodes >= fused.nodes && is_good_winograd(winograd.descriptor, weight)) fused = winograd;
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
