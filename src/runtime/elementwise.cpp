// Functions of one tensor. They keep the layout, and work in place when nobody else reads their input.
#include "runtime/operators.h"
#include "runtime/post_ops.h"

namespace sightline::runtime {

Result<void> plan_elementwise(Planner& planner, const graph::Node& node) {
  // Of Add and the like, the tensor is the input that is not the number.
  const std::string& x =
      node.inputs.size() == 2 && planner.scalar(node.inputs[0]) && !planner.scalar(node.inputs[1]) ? node.inputs[1] : node.inputs[0];
  const auto functions = planner.dtype_of(x) == Dtype::f32 ? eltwise_of(planner, node, x) : std::vector<Eltwise>();
  if (functions.empty()) return node.op_type == "Clip" ? plan_clip_loops(planner, node) : plan_function(planner, node);
  Location source = planner.operand(node, x);
  const Location destination = planner.make_like(source, node.outputs[0]);
  for (const Eltwise& f : functions) {
    const dnnl::eltwise_forward::desc desc(dnnl::prop_kind::forward_inference, f.algorithm, source.desc, f.alpha, f.beta);
    const dnnl::eltwise_forward::primitive_desc pd(desc, Planner::attributes(), cpu_engine());
    planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, dnnl::eltwise_forward(pd), pd,
                {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
    source = destination;
  }
  planner.define(node.outputs[0], destination);
  return {};
}

Result<std::size_t> plan_gate(Planner& planner, Nodes chain) {
  const graph::Node& gate = *chain[0];
  const std::string& x = gate.inputs[0];
  const bool gated = chain.size() > 1 && planner.dtype_of(x) == Dtype::f32 && is_gated(gate, *chain[1], x);
  const auto function = gated ? gate_of(gate) : std::nullopt;
  if (!function) {
    SIGHTLINE_CHECK(plan_elementwise(planner, gate));
    return 1;
  }
  const Nodes done = chain.first(2);
  const Location source = planner.operand(gate, x);
  const Location destination = planner.make_like(source, done.back()->outputs[0], 2);  // gate and product are one read
  const dnnl::eltwise_forward::desc desc(dnnl::prop_kind::forward_inference, function->algorithm, source.desc, function->alpha,
                                         function->beta);
  const dnnl::eltwise_forward::primitive_desc pd(desc, Planner::attributes(), cpu_engine());
  planner.add(step_name(done), fused_name(done), dnnl::eltwise_forward(pd), pd, {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
  planner.define(done.back()->outputs[0], destination);
  return 2;
}

Result<void> plan_prelu(Planner& planner, const graph::Node& node) {
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32) return plan_prelu_loops(planner, node);
  const Location source = planner.operand(node, node.inputs[0]);
  const std::size_t rank = planner.shape_of(node.inputs[0]).size();
  const Shape& given = planner.shape_of(node.inputs[1]);
  Shape slope(rank - given.size(), 1);
  slope.insert(slope.end(), given.begin(), given.end());
  // oneDNN has a generated kernel only where the slopes lie as the source does.
  const bool constant = planner.constant(node.inputs[1]) != nullptr;
  const dnnl::prelu_forward::desc desc(dnnl::prop_kind::forward_inference, source.desc, constant ? any_layout(slope) : row_major(slope));
  const dnnl::prelu_forward::primitive_desc pd(desc, Planner::attributes(), cpu_engine(), true);
  if (!pd) return plan_prelu_loops(planner, node);
  Location weights;
  if (constant) {
    weights = planner.constant_as(node.inputs[1], row_major(slope), pd.weights_desc());
  } else {
    weights = planner.row_major_of(node.inputs[1]);
    weights.desc = row_major(slope);
  }
  const Location destination = planner.make_like(source, node.outputs[0]);
  planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, dnnl::prelu_forward(pd), pd,
              {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, destination}});
  planner.define(node.outputs[0], destination);
  return {};
}

}  // namespace sightline::runtime
