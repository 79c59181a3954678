// Values and weights as 8-bit integers, as a graph in QDQ form (QuantizeLinear and DequantizeLinear around operators) has them, and the one
// step that computes a layer of them with all that follows up to the next QuantizeLinear.
//
// A value behind DequantizeLinear is not computed: the planner notes which integers it is known by (Planner::quantized), and makes real
// numbers of them only for a reader that wants real numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/finish.h"
#include "runtime/post_ops.h"

namespace sightline::runtime {

// What QuantizeLinear and DequantizeLinear say, when they say it for the whole tensor with constants, of 8-bit integers.
std::optional<Quantization> quantization_of(const Planner& planner, const graph::Node& node);
// The elements of DequantizeLinear of constants.
Tensor dequantized(const graph::Graph& graph, const graph::Node& node);
// A step: the integers or real numbers at `source` (from: null for real ones) become integers, or real numbers (to null) of this kind, in
// the wanted layout.
Location converted(Planner& planner, const std::string& name, const std::string& op_type, const Location& source, const Quantization* from,
                   const Quantization* to, const dnnl::memory::desc& wanted);

// A layer whose input and constant weights are integers.
struct IntegerLayer {
  std::string source;         // the value that holds the input's integers
  Quantization input;         //
  std::string weights;        // the constant
  std::int64_t offset = 0;    // that is taken off it; what is left fits s8
  std::vector<float> scales;  // of products, input · weight: one, or one for each output channel
  const Tensor* bias = nullptr;
  std::int64_t channels = 0;
  bool folds_zero = false;  // the input's zero point is a part of the bias: nothing is padded

  bool has_bias() const { return bias != nullptr || folds_zero; }
};
// Nothing when the node is no such layer, or the processor cannot. axis: of the output channels in the weights (first dimension of the
// groups where they are grouped); padded: whether the input is padded with zeros.
std::optional<IntegerLayer> integer_layer(Planner& planner, const graph::Node& node, std::size_t axis, std::int64_t channels, bool padded);
dnnl::primitive_attr integer_attributes(const IntegerLayer& layer, float unit);
// bias / scale - zero · sum of the channel's weights, f32
Location integer_bias(Planner& planner, const IntegerLayer& layer, std::size_t axis);
Location integer_weights(Planner& planner, const IntegerLayer& layer, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted);

// Followers of a step on integers as post-ops. The step's result is in units: a register r stands for unit · r.
struct IntegerPostOps {
  float first_unit = 1;   // that the step itself has to give
  PostOps post_ops;       // of `summed`, the integers
  std::size_t nodes = 1;  // of the chain
  struct Number {
    int argument = 0;
    float value = 0;
    dnnl::memory::desc desc;
  };
  std::vector<Number> numbers;            // further operands of the post-ops
  const graph::Node* quantize = nullptr;  // the last node, when it makes integers again
  dnnl::memory::data_type stored = dnnl::memory::data_type::f32;

  Location destination(Planner& planner, const dnnl::memory::desc& dst) const;
  void add_arguments(Planner& planner, Arguments& arguments) const;
};
// As many of the chain's nodes behind the first as can be, dst: the layout of the result; excess: what the step gives too much, in real
// numbers.
IntegerPostOps integer_post_ops(Planner& planner, Nodes chain, const dnnl::memory::desc& dst, float excess = 0);

// Adds the step for a layer and its followers. make(attributes, dst) makes a descriptor or an empty one; plain: how the weights are to be
// read; dst: wanted layout of the result. Gives how many nodes of the chain that were; 0 when oneDNN has no fast kernel.
template <class Primitive, class Make>
std::size_t add_integer_layer(Planner& planner, Nodes chain, const IntegerLayer& layer, std::size_t axis, const dnnl::memory::desc& plain,
                              const dnnl::memory::desc& dst, Make make) {
  using Numbers = dnnl::memory::data_type;
  const auto bare = make(integer_attributes(layer, 1), retyped(dst, Numbers::f32));
  if (!bare || is_reference(bare)) return 0;
  const auto operands_of = [&](const auto& pd) {
    Arguments arguments{{DNNL_ARG_SRC, planner.in_layout(layer.source, pd.src_desc())},
                        {DNNL_ARG_WEIGHTS, integer_weights(planner, layer, plain, pd.weights_desc())}};
    if (layer.has_bias()) arguments.emplace_back(DNNL_ARG_BIAS, integer_bias(planner, layer, axis));
    return arguments;
  };
  if (const auto finish = finish_of(planner, chain, bare, bare.dst_desc())) {
    Arguments arguments = operands_of(bare);
    const Location destination = planner.make(bare.dst_desc());
    arguments.emplace_back(DNNL_ARG_DST, destination);
    planner.add(step_name(chain.first(1)), chain[0]->op_type, Primitive(bare), bare, arguments);
    add_finish(planner, chain, *finish, destination);
    return finish->nodes;
  }
  for (std::size_t length = chain.size(); length > 0; --length) {
    const IntegerPostOps followers = integer_post_ops(planner, chain.first(length), bare.dst_desc());
    length = followers.nodes;
    dnnl::primitive_attr attributes = integer_attributes(layer, followers.first_unit);
    attributes.set_post_ops(followers.post_ops.ops);
    const auto pd = make(attributes, retyped(bare.dst_desc(), followers.stored));
    if (!pd || is_reference(pd)) continue;
    Arguments arguments = operands_of(pd);
    followers.add_arguments(planner, arguments);
    const Location destination = followers.destination(planner, pd.dst_desc());
    arguments.emplace_back(DNNL_ARG_DST, destination);
    const Nodes done = chain.first(followers.nodes);
    planner.add(step_name(done), fused_name(done), Primitive(pd), pd, arguments);
    planner.define(done.back()->outputs[0], destination);
    return done.size();
  }
  return 0;
}

}  // namespace sightline::runtime
