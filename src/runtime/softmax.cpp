// Softmax and LogSoftmax.
#include "graph/operators.h"
#include "runtime/operators.h"

namespace sightline::runtime {

Result<void> plan_softmax(Planner& planner, const graph::Node& node) {
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32) return plan_softmax_loops(planner, node);
  const Shape& shape = planner.shape_of(node.inputs[0]);
  if (shape.empty()) return planner.invalid(node, "its input is a scalar");
  const bool early = planner.opset() < 13;
  SIGHTLINE_TRY(std::int64_t axis, graph::axis_of(node, node.integer("axis", early ? 1 : -1), shape.size()));
  Location source = planner.row_major_of(node.inputs[0]);
  if (early) {
    // Before opset 13 everything from the axis on was one long row.
    Shape matrix{1, 1};
    for (std::size_t i = 0; i < shape.size(); ++i) matrix[static_cast<std::int64_t>(i) < axis ? 0 : 1] *= shape[i];
    source.desc = row_major(matrix);
    axis = 1;
  }
  Location destination = planner.make_like(source, node.outputs[0]);
  const auto algorithm = node.op_type == "Softmax" ? dnnl::algorithm::softmax_accurate : dnnl::algorithm::softmax_log;
  const dnnl::softmax_v2_forward::desc desc(dnnl::prop_kind::forward_inference, algorithm, source.desc, source.desc,
                                            static_cast<int>(axis));
  const dnnl::softmax_v2_forward::primitive_desc pd(desc, Planner::attributes(), cpu_engine());
  planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, dnnl::softmax_v2_forward(pd), pd,
              {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
  destination.desc = row_major(shape);
  planner.define(node.outputs[0], destination);
  return {};
}

}  // namespace sightline::runtime
