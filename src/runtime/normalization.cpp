// BatchNormalization that could not be folded into what is before it: scale and shift with the running statistics.
#include "runtime/post_ops.h"

namespace sightline::runtime {

Result<std::size_t> plan_batch_normalization(Planner& planner, Nodes chain) {
  const graph::Node& node = *chain[0];
  SIGHTLINE_CHECK(planner.expect_f32(node, node.inputs[0]));
  if (node.integer("training_mode", 0) != 0) return planner.unsupported(node, "training_mode is for training, not for serving");
  using Flags = dnnl::normalization_flags;
  using Normalization = dnnl::batch_normalization_forward;
  const Location source = planner.operand(node, node.inputs[0]);
  const auto flags = Flags::use_global_stats | Flags::use_scale | Flags::use_shift;
  const auto make = [&](Flags with) {
    return Normalization::primitive_desc(
        Normalization::desc(dnnl::prop_kind::forward_inference, source.desc, node.real("epsilon", 1e-5F), with), Planner::attributes(),
        cpu_engine(), true);
  };
  auto pd = make(flags);
  if (!pd) return planner.unsupported(node, "oneDNN has no kernel for it");
  std::size_t done = 1;
  if (chain.size() > 1 && chain[1]->op_type == "Relu") {
    if (auto fused = make(flags | Flags::fuse_norm_relu); fused && (!is_reference(fused) || is_reference(pd))) {
      pd = fused;
      done = 2;
    }
  }
  const Nodes nodes = chain.first(done);
  const Location destination = planner.make_like(source, nodes.back()->outputs[0]);
  planner.add(step_name(nodes), fused_name(nodes), Normalization(pd), pd,
              {{DNNL_ARG_SRC, source},
               {DNNL_ARG_SCALE, planner.row_major_of(node.inputs[1])},
               {DNNL_ARG_SHIFT, planner.row_major_of(node.inputs[2])},
               {DNNL_ARG_MEAN, planner.row_major_of(node.inputs[3])},
               {DNNL_ARG_VARIANCE, planner.row_major_of(node.inputs[4])},
               {DNNL_ARG_DST, destination}});
  planner.define(nodes.back()->outputs[0], destination);
  return done;
}

}  // namespace sightline::runtime
