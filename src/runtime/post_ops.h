// What can be done to a primitive's result before it is stored: the followers of a convolution, a matrix product or an addition as
// oneDNN's post-ops.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/operators.h"

namespace sightline::runtime {

struct Eltwise {
  dnnl::algorithm algorithm = dnnl::algorithm::undef;
  float alpha = 0, beta = 0;
};
// A node as functions of the one tensor `x`, one after the other. Empty when it is none (another input is neither constant nor a number).
std::vector<Eltwise> eltwise_of(const Planner& planner, const graph::Node& node, const std::string& x);

struct PostOps {
  struct Extra {
    int argument = 0;
    std::string value;
    dnnl::memory::desc desc;
  };
  dnnl::post_ops ops;
  std::vector<Extra> extras;  // further operands
  std::string summed;         // the value into whose memory the result is accumulated; "" for none
};
// oneDNN 2.6 makes one function of an algorithm for all post-ops of a primitive: a second one would get the numbers of the first.
bool may_append(const dnnl::post_ops& ops, dnnl::algorithm algorithm);
// Whether the two nodes are x·gate(x), which reads x twice: Swish (Sigmoid) and Hard-Swish (HardSigmoid) as exporters write them.
bool is_gated(const graph::Node& gate, const graph::Node& product, const std::string& x);
// The gate with its product as one function; nullopt where oneDNN has none.
std::optional<Eltwise> gate_of(const graph::Node& gate);
// Appends the first of `followers`, which reads `previous` of this shape, laid out as dst; the first two when they are a gate and its
// product. Gives how many: 0 when the first cannot be a post-op.
std::size_t append_post_op(Planner& planner, Nodes followers, const std::string& previous, const Shape& shape,
                           const dnnl::memory::desc& dst, PostOps& post_ops);

// "Conv+Add+Relu"
std::string fused_name(Nodes nodes);
std::string step_name(Nodes nodes);

template <class Descriptor>
struct Fused {
  Descriptor descriptor;
  PostOps post_ops;
  std::size_t nodes = 1;  // of the chain

  // Where the result goes, and the operands of the post-ops; to be called once, when the step is added.
  Location destination(Planner& planner, const std::string& result) const {
    return post_ops.summed.empty() ? planner.make_for(result, descriptor.dst_desc())
                                   : planner.in_layout(post_ops.summed, descriptor.dst_desc());
  }
  void add_arguments(Planner& planner, Arguments& arguments) const {
    for (const PostOps::Extra& extra : post_ops.extras)
      arguments.emplace_back(extra.argument, planner.constant(extra.value) != nullptr
                                                 ? planner.constant_as(extra.value, extra.desc, extra.desc)
                                                 : planner.in_layout(extra.value, extra.desc));
  }
};

// Finds the longest part of the chain for which oneDNN has a fast kernel. make(attributes, dst) makes a primitive descriptor or an empty
// one; bare is what it made without post-ops.
template <class Descriptor, class Make>
Fused<Descriptor> fuse(Planner& planner, Nodes chain, const Descriptor& bare, Make make) {
  const Shape& shape = planner.shape_of(chain[0]->outputs[0]);
  PostOps post_ops;
  for (std::size_t last = chain.size() - 1; last > 0; --last) {
    post_ops = {};
    std::size_t done = 1;
    while (done <= last) {
      const std::string& previous = chain[done - 1]->outputs[0];
      // A gate without its product would overwrite what the product still reads.
      if (done == last && done + 1 < chain.size() && is_gated(*chain[done], *chain[done + 1], previous)) break;
      const std::size_t taken = append_post_op(planner, chain.subspan(done), previous, shape, bare.dst_desc(), post_ops);
      if (taken == 0) break;
      done += taken;
    }
    if (done == 1) break;
    last = done - 1;
    dnnl::primitive_attr attributes = Planner::attributes();
    attributes.set_post_ops(post_ops.ops);
    const Descriptor fused = make(attributes, bare.dst_desc());
    if (fused && (!is_reference(fused) || is_reference(bare))) return {fused, post_ops, done};
  }
  return {bare, {}, 1};
}

}  // namespace sightline::runtime
