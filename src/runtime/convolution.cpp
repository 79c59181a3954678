// Conv and ConvTranspose with bias and whatever follows that oneDNN can do before storing. oneDNN chooses all layouts.
#include <algorithm>
#include <string_view>

#include "graph/operators.h"
#include "runtime/integers.h"
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

bool pads(const graph::Window& window) {
  const auto any = [](const Dims& values) { return std::ranges::any_of(values, [](std::int64_t v) { return v != 0; }); };
  return any(window.pads_begin) || any(window.pads_end);
}

// Whether one of Winograd's algorithms for 3×3 windows (Lavin and Gray 2015) is faster than the direct one. Measured shape by shape on
// AVX-512, the only set for which oneDNN has them in f32: 1.1 to 2 times faster wherever channels fill whole vectors and the picture is
// not so small that tiles hang over its edges; there the larger weights cost more memory traffic than the saved products bring.
bool winograd_pays(const graph::Window& window, std::int64_t groups, const Shape& weight, const Shape& result) {
  constexpr std::int64_t least_pixels = 10 * 10;
  const auto all = [](const Dims& values, std::int64_t wanted) { return std::ranges::count(values, wanted) == std::ssize(values); };
  if (groups != 1 || window.kernel.size() != 2 || !all(window.kernel, 3) || !all(window.strides, 1) || !all(window.dilations, 1))
    return false;
  constexpr std::int64_t most_pixels = 64 * 64;  // with few results per tile: the transforms of large pictures come from memory
  const std::int64_t outputs = weight[0], inputs = weight[1], pixels = result[2] * result[3];
  return inputs % channel_block == 0 && outputs % channel_block == 0 && pixels >= least_pixels && (outputs > 32 || pixels <= most_pixels);
}

Shape one_of(Shape images) {
  images[0] = 1;
  return images;
}

// Of the two algorithms that oneDNN has, F(2×2) and F(4×4), it takes F(4×4) where F(2×2) does not fit: its weights are four times the plain
// ones, its scratch memory many megabytes, and transforming the weights takes long. That pays (measured) between these numbers of
// inputs × outputs; with more of them the load would take longer than a hundred answers save.
bool is_good_winograd(const dnnl::primitive_desc& primitive, const Shape& weight) {
  constexpr std::int64_t least = 128 * 128, most = 256 * 256;
  if (std::string_view(primitive.impl_info_str()).find("wino_4x3") == std::string_view::npos) return true;
  return weight[0] * weight[1] >= least && weight[0] * weight[1] <= most;
}

// Whether the nodes from `done` on, which the other kernel would do before it stores, are functions of one tensor: a step of their own for
// those costs less than Winograd's algorithm saves.
bool costs_little(const Planner& planner, Nodes chain, std::size_t done, std::size_t wanted) {
  for (std::size_t i = done; i < wanted; ++i) {
    const std::string& previous = chain[i - 1]->outputs[0];
    if (i + 1 < chain.size() && is_gated(*chain[i], *chain[i + 1], previous)) {
      ++i;
      continue;
    }
    // A sum reads two values and writes one, which is still little beside the products of many channels.
    if (chain[i]->op_type != "Add" && eltwise_of(planner, *chain[i], previous).empty()) return false;
  }
  return true;
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

// Adds the step for a descriptor of a convolution or a transposed convolution; weights are read as `plain`. It writes where `last` belongs,
// which is made of its result in place.
template <class Primitive, class Descriptor>
std::size_t add_step(Planner& planner, Nodes chain, const Fused<Descriptor>& fused, const Desc& plain, const std::string& last) {
  const Node& node = *chain[0];
  const auto& pd = fused.descriptor;
  Arguments arguments{{DNNL_ARG_SRC, planner.in_layout(node.inputs[0], pd.src_desc())},
                      {DNNL_ARG_WEIGHTS, planner.constant_as(node.inputs[1], plain, pd.weights_desc())}};
  if (Planner::has_input(node, 2)) arguments.emplace_back(DNNL_ARG_BIAS, planner.native(node.inputs[2]));
  fused.add_arguments(planner, arguments);
  const Nodes done = chain.first(fused.nodes);
  const Location destination = fused.destination(planner, last);
  arguments.emplace_back(DNNL_ARG_DST, destination);
  planner.add(step_name(done), fused_name(done), Primitive(pd), pd, arguments);
  planner.define(done.back()->outputs[0], destination);
  return fused.nodes;
}

template <class Primitive, class Descriptor>
std::size_t add_step(Planner& planner, Nodes chain, const Fused<Descriptor>& fused, const Desc& plain) {
  return add_step<Primitive>(planner, chain, fused, plain, chain[fused.nodes - 1]->outputs[0]);
}

// A kernel for one image, in blocks of channels, run for each image of a batch by itself.
using Convolution = dnnl::convolution_forward;
struct ImageByImage {
  Fused<Convolution::primitive_desc> fused;
  std::int64_t images = 1;
};

// Whether what it reads and writes beside constants lies image by image as in the whole batch.
bool is_cut_by_image(const Planner& planner, const Fused<Convolution::primitive_desc>& one, const Shape& source, const Shape& result) {
  return same_bytes(one.descriptor.src_desc(), in_blocks(source)) && same_bytes(one.descriptor.dst_desc(), in_blocks(result)) &&
         std::ranges::all_of(one.post_ops.extras, [&](const PostOps::Extra& extra) { return planner.constant(extra.value) != nullptr; });
}

std::size_t add_step_by_image(Planner& planner, Nodes chain, const ImageByImage& each, const Desc& plain, const std::string& last) {
  const Node& node = *chain[0];
  const auto& pd = each.fused.descriptor;
  const Nodes done = chain.first(each.fused.nodes);
  const std::string& residual = each.fused.post_ops.summed;
  const Desc all = in_blocks(planner.shape_of(node.outputs[0]));
  Arguments constants{{DNNL_ARG_WEIGHTS, planner.constant_as(node.inputs[1], plain, pd.weights_desc())}};
  if (Planner::has_input(node, 2)) constants.emplace_back(DNNL_ARG_BIAS, planner.native(node.inputs[2]));
  each.fused.add_arguments(planner, constants);
  const Location source = planner.in_layout(node.inputs[0], in_blocks(planner.shape_of(node.inputs[0])));
  const Location destination = residual.empty() ? planner.make_for(last, all) : planner.in_layout(residual, all);
  for (std::size_t image = 0; image < static_cast<std::size_t>(each.images); ++image) {
    Arguments arguments = constants;
    arguments.emplace_back(DNNL_ARG_SRC, Location{pd.src_desc(), source.buffer, source.offset + image * pd.src_desc().get_size()});
    arguments.emplace_back(DNNL_ARG_DST,
                           Location{pd.dst_desc(), destination.buffer, destination.offset + image * pd.dst_desc().get_size()});
    planner.add(step_name(done), fused_name(done), Convolution(pd), pd, arguments);
  }
  planner.define(done.back()->outputs[0], destination);
  return done.size();
}

// A transposed convolution whose windows lie side by side (stride = kernel: how decoders double a picture) gives each output pixel from one
// input pixel: it is a 1×1 convolution to kernel × kernel times as many channels, whose results are then spread over the picture. oneDNN's
// own kernels for it reach a tenth of a 1×1 convolution's speed.
bool windows_lie_side_by_side(const graph::Window& window, std::int64_t groups, const Shape& source, const Shape& weight,
                              const Shape& result) {
  if (!has_channel_blocks() || groups != 1 || source.size() != 4 || source[1] % channel_block != 0 || weight[1] % channel_block != 0)
    return false;
  for (std::size_t i = 0; i < 2; ++i) {
    const bool plain = window.kernel[i] == window.strides[i] && window.dilations[i] == 1 && window.pads_begin[i] == 0;
    if (!plain || result[i + 2] != source[i + 2] * window.kernel[i]) return false;
  }
  return true;
}

// plain: I×O×kernel as (kernel, O)×I×1×1
Tensor as_pointwise(const Tensor& weight) {
  const std::int64_t inputs = weight.dim(0), outputs = weight.dim(1), taps = weight.dim(2) * weight.dim(3);
  Tensor pointwise(Dtype::f32, {taps * outputs, inputs, 1, 1});
  const float* from = weight.values<float>().data();
  float* to = pointwise.values<float>().data();
  for (std::int64_t i = 0; i < inputs; ++i)
    for (std::int64_t o = 0; o < outputs; ++o)
      for (std::int64_t tap = 0; tap < taps; ++tap) to[(tap * outputs + o) * inputs + i] = *from++;
  return pointwise;
}

Tensor repeated(const Tensor& bias, std::int64_t times) {
  Tensor all(Dtype::f32, {bias.count() * times});
  const auto values = bias.values<float>();
  for (std::int64_t i = 0; i < times; ++i) std::ranges::copy(values, all.values<float>().begin() + i * bias.count());
  return all;
}

Result<std::size_t> plan_side_by_side(Planner& planner, Nodes chain, const graph::Window& window) {
  const Node& node = *chain[0];
  const Shape& source = planner.shape_of(node.inputs[0]);
  const Shape& result = planner.shape_of(node.outputs[0]);
  const std::int64_t rows = window.kernel[0], columns = window.kernel[1], taps = rows * columns, outputs = result[1];
  const Shape wide{source[0], taps * outputs, source[2], source[3]};
  const bool bias = Planner::has_input(node, 2);
  // Functions of one tensor may be done on the way.
  PostOps post_ops;
  std::size_t done = 1;
  for (; done < chain.size(); ++done) {
    const auto functions = eltwise_of(planner, *chain[done], chain[done - 1]->outputs[0]);
    if (functions.empty() || (done + 1 < chain.size() && is_gated(*chain[done], *chain[done + 1], chain[done - 1]->outputs[0]))) break;
    for (const Eltwise& f : functions) post_ops.ops.append_eltwise(1.0F, f.algorithm, f.alpha, f.beta);
  }
  dnnl::primitive_attr attributes = Planner::attributes();
  attributes.set_post_ops(post_ops.ops);
  const Convolution::primitive_desc pd(
      Convolution::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, in_blocks(source),
                        any_layout({taps * outputs, source[1], 1, 1}), bias ? row_major({taps * outputs}) : Desc(), in_blocks(wide), {1, 1},
                        {0, 0}, {0, 0}, {0, 0}),
      attributes, cpu_engine(), true);
  if (!pd) return planner.unsupported(node, "oneDNN has no kernel for it");
  const Location spread_from = planner.make(pd.dst_desc());
  Arguments arguments{{DNNL_ARG_SRC, planner.in_layout(node.inputs[0], pd.src_desc())},
                      {DNNL_ARG_WEIGHTS, planner.derived("pointwise " + node.inputs[1], pd.weights_desc(),
                                                         [&] { return as_pointwise(*planner.constant(node.inputs[1])); })},
                      {DNNL_ARG_DST, spread_from}};
  if (bias)
    arguments.emplace_back(DNNL_ARG_BIAS, planner.derived("repeated " + std::to_string(taps) + " " + node.inputs[2], pd.bias_desc(),
                                                          [&] { return repeated(*planner.constant(node.inputs[2]), taps); }));
  const Nodes nodes = chain.first(done);
  planner.add(step_name(nodes), fused_name(nodes), Convolution(pd), pd, arguments);
  const Location destination = planner.make_for(nodes.back()->outputs[0], in_blocks(result));
  // Every tap's channels go to every so-many-eth pixel, a block of channels at a time.
  Shape part = source;
  part[1] = outputs;
  Desc from = in_blocks(part), to = in_blocks(part);
  from.data.format_desc.blocking.strides[0] = pd.dst_desc().data.format_desc.blocking.strides[0];
  const auto& strides = destination.desc.data.format_desc.blocking.strides;
  const std::int64_t steps[] = {1, 1, rows, columns};
  for (int i = 0; i < 4; ++i) to.data.format_desc.blocking.strides[i] = strides[i] * steps[i];
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const auto pixel = static_cast<std::size_t>((tap / columns * result[3] + tap % columns) * channel_block);
    const auto channels = static_cast<std::size_t>(tap * outputs * source[2] * source[3]);
    const dnnl::reorder::primitive_desc spread(cpu_engine(), from, cpu_engine(), to, Planner::attributes());
    planner.add(step_name(nodes), "reorder", dnnl::reorder(spread), spread,
                {{DNNL_ARG_FROM, {from, spread_from.buffer, spread_from.offset + channels * sizeof(float)}},
                 {DNNL_ARG_TO, {to, destination.buffer, destination.offset + pixel * sizeof(float)}}});
  }
  planner.define(nodes.back()->outputs[0], destination);
  return done;
}

}  // namespace

Result<std::size_t> plan_convolution(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
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
  if (const auto layer = integer_layer(planner, node, 0, weight[0], pads(window))) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return Convolution::primitive_desc(Convolution::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                                           any_layout(source, layer->input.numbers), any_layout(grouped, Numbers::s8),
                                                           layer->has_bias() ? row_major({weight[0]}) : Desc(), dst, window.strides,
                                                           dilations, window.pads_begin, window.pads_end),
                                         attributes, cpu_engine(), true);
    };
    if (const auto done =
            add_integer_layer<Convolution>(planner, chain, *layer, 0, row_major(grouped, Numbers::s8), any_layout(result), make))
      return done;
  }
  SIGHTLINE_CHECK(check_constant_weights(planner, node));
  const bool bias = Planner::has_input(node, 2);
  const Desc bias_desc = bias ? row_major({weight[0]}) : Desc();
  const auto fused_by = [&](dnnl::algorithm algorithm, Numbers numbers, const Ends& ends, Nodes offered) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return Convolution::primitive_desc(
          Convolution::desc(dnnl::prop_kind::forward_inference, algorithm, ends.source, any_layout(grouped, numbers), bias_desc, dst,
                            window.strides, dilations, window.pads_begin, window.pads_end),
          attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), ends.destination);
    return bare ? fuse(planner, offered, bare, make) : Fused<Convolution::primitive_desc>{};
  };
  const Numbers numbers = planner.numbers_of(node);
  Fused<Convolution::primitive_desc> fused;
  if (numbers != Numbers::f32) {
    const Ends ends{any_layout(source, numbers), any_layout(result, planner.result_numbers_of(chain))};
    const auto alone = fused_by(dnnl::algorithm::convolution_direct, numbers, ends, chain.first(1));
    const bool fast = alone.descriptor && is_fast(alone.descriptor);
    if (const auto finish = fast ? finish_of(planner, chain, alone.descriptor, alone.descriptor.dst_desc()) : std::nullopt) {
      add_step<Convolution>(planner, chain.first(1), alone, row_major(grouped));
      add_finish(planner, chain, *finish, planner.native(node.outputs[0]));
      return finish->nodes;
    }
    fused = fused_by(dnnl::algorithm::convolution_direct, numbers, ends, chain);
  }
  const auto chosen = [&](Nodes offered) {
    auto best = fused;
    if (!best.descriptor || is_reference(best.descriptor)) {
      for (const Ends& ends : ends_to_try(planner.native(node.inputs[0]).desc, source, result)) {
        best = fused_by(dnnl::algorithm::convolution_direct, Numbers::f32, ends, offered);
        if (best.descriptor && is_fast(best.descriptor)) break;
      }
    }
    const auto is_better = [&](const Fused<Convolution::primitive_desc>& winograd) {
      return winograd.descriptor && is_good_winograd(winograd.descriptor, weight) &&
             costs_little(planner, offered, winograd.nodes, best.nodes);
    };
    std::int64_t images = 1;  // that are computed one by one
    if (numbers == Numbers::f32 && winograd_pays(window, groups, weight, result)) {
      constexpr auto algorithm = dnnl::algorithm::convolution_winograd;
      const Shape one_source = one_of(source), one_result = one_of(result);
      if (const auto whole = fused_by(algorithm, numbers, {any_layout(source), any_layout(result)}, offered); is_better(whole)) {
        best = whole;
      } else if (source[0] > 1) {
        const auto one = fused_by(algorithm, numbers, {any_layout(one_source), any_layout(one_result)}, offered);
        if (is_better(one) && is_cut_by_image(planner, one, one_source, one_result)) {
          best = one;
          images = source[0];
        }
      }
    }
    return ImageByImage{best, images};
  };
  const auto add = [&](Nodes nodes, const ImageByImage& best, const std::string& last) {
    return best.images > 1 ? add_step_by_image(planner, nodes, best, row_major(grouped), last)
                           : add_step<Convolution>(planner, nodes, best.fused, row_major(grouped), last);
  };
  if (numbers == Numbers::f32 && chain.size() > 2 && is_gated(*chain[1], *chain[2], node.outputs[0])) {
    const ImageByImage alone = chosen(chain.first(1));
    const auto& descriptor = alone.fused.descriptor;
    const bool fast = descriptor && is_fast(descriptor);
    if (const auto finish = fast ? finish_of(planner, chain, descriptor, descriptor.dst_desc()) : std::nullopt) {
      add(chain.first(1), alone, chain[finish->nodes - 1]->outputs[0]);
      add_finish(planner, chain, *finish, planner.native(node.outputs[0]));
      return finish->nodes;
    }
  }
  const ImageByImage best = chosen(chain);
  if (!best.fused.descriptor) return planner.unsupported(node, "oneDNN has no kernel for it");
  return add(chain, best, chain[best.fused.nodes - 1]->outputs[0]);
}

Result<std::size_t> plan_transposed_convolution(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
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
  using Deconvolution = dnnl::deconvolution_forward;
  // Every place of a transposed convolution's result misses some products: a zero point cannot be folded.
  if (const auto layer = groups == 1 ? integer_layer(planner, node, 1, weight[1], true) : std::nullopt) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return Deconvolution::primitive_desc(Deconvolution::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::deconvolution_direct,
                                                               any_layout(source, layer->input.numbers), any_layout(grouped, Numbers::s8),
                                                               layer->has_bias() ? row_major({weight[1]}) : Desc(), dst, window.strides,
                                                               dilations, window.pads_begin, pads_end),
                                           attributes, cpu_engine(), true);
    };
    if (const auto done =
            add_integer_layer<Deconvolution>(planner, chain, *layer, 1, retyped(plain, Numbers::s8), any_layout(result), make))
      return done;
  }
  SIGHTLINE_CHECK(check_constant_weights(planner, node));
  if (planner.numbers_of(node) == dnnl::memory::data_type::f32 && windows_lie_side_by_side(window, groups, source, weight, result))
    return plan_side_by_side(planner, chain, window);
  const bool bias = Planner::has_input(node, 2);
  const Desc bias_desc = bias ? row_major({weight[1] * groups}) : Desc();
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
