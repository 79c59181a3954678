#include "runtime/post_ops.h"

#include <cmath>

#include "graph/operators.h"

namespace sightline::runtime {
namespace {

using dnnl::algorithm;
using graph::Node;

std::vector<Eltwise> arithmetic_with_scalar(const Planner& planner, const Node& node, const std::string& x) {
  const bool left = node.inputs[0] == x;
  const std::string& other = node.inputs[left ? 1 : 0];
  if (planner.shape_of(other).size() > planner.shape_of(x).size()) return {};
  auto scalar = planner.scalar(other);
  if (const Tensor* exponent = planner.constant(other); node.op_type == "Pow" && left && exponent != nullptr && exponent->count() == 1) {
    const auto number = graph::scalar_of(*exponent);  // Pow alone may mix dtypes
    if (number) scalar = static_cast<float>(*number);
  }
  if (!scalar) return {};
  const float c = *scalar;
  if (node.op_type == "Add") return {{algorithm::eltwise_linear, 1, c}};
  if (node.op_type == "Mul") return {{algorithm::eltwise_linear, c, 0}};
  if (node.op_type == "Sub")
    return left ? std::vector<Eltwise>{{algorithm::eltwise_linear, 1, -c}} : std::vector<Eltwise>{{algorithm::eltwise_linear, -1, c}};
  if (node.op_type == "Div")
    return left ? std::vector<Eltwise>{{algorithm::eltwise_linear, 1 / c, 0}} : std::vector<Eltwise>{{algorithm::eltwise_pow, c, -1}};
  if (node.op_type == "Pow" && left) return {c == 2.0F ? Eltwise{algorithm::eltwise_square, 0, 0} : Eltwise{algorithm::eltwise_pow, 1, c}};
  return {};
}

// Whether a constant broadcasts over a tensor of this shape with one number for all (axis 1 free or not): 1, C×1×1, 1×C×1×1.
bool per_channel(const Shape& constant, const Shape& shape) {
  if (constant.size() > shape.size() || shape.size() < 2) return false;
  const std::size_t lead = shape.size() - constant.size();
  for (std::size_t i = 0; i < constant.size(); ++i) {
    const std::size_t axis = lead + i;
    if (constant[i] != 1 && (axis != 1 || constant[i] != shape[1])) return false;
  }
  return true;
}

dnnl::memory::desc with_leading_ones(const Shape& constant, std::size_t rank) {
  Shape shape(rank - constant.size(), 1);
  shape.insert(shape.end(), constant.begin(), constant.end());
  return row_major(shape);
}

}  // namespace

std::vector<Eltwise> eltwise_of(const Planner& planner, const Node& node, const std::string& x) {
  const std::string& op = node.op_type;
  if (op == "Relu") return {{algorithm::eltwise_relu, 0, 0}};
  if (op == "LeakyRelu") return {{algorithm::eltwise_relu, node.real("alpha", 0.01F), 0}};
  if (op == "Sigmoid") return {{algorithm::eltwise_logistic, 0, 0}};
  if (op == "Tanh") return {{algorithm::eltwise_tanh, 0, 0}};
  if (op == "Sqrt") return {{algorithm::eltwise_sqrt, 0, 0}};
  if (op == "Exp") return {{algorithm::eltwise_exp, 0, 0}};
  if (op == "Elu") return {{algorithm::eltwise_elu, node.real("alpha", 1.0F), 0}};
  if (op == "Gelu")
    return {{node.text("approximate", "none") == "tanh" ? algorithm::eltwise_gelu_tanh : algorithm::eltwise_gelu_erf, 0, 0}};
  if (op == "HardSwish") return {{algorithm::eltwise_hardswish, 0, 0}};
  if (op == "HardSigmoid")
    return {{algorithm::eltwise_linear, node.real("alpha", 0.2F), node.real("beta", 0.5F)}, {algorithm::eltwise_clip, 0, 1}};
  if (op == "Clip") {
    const auto range = graph::clip_range(planner.constants(), node);
    if (!range.ok()) return {};
    return {{algorithm::eltwise_clip, range->first, range->second}};
  }
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Pow") return arithmetic_with_scalar(planner, node, x);
  return {};
}

namespace {

// The same for one node. False when it cannot be one.
bool append_single(Planner& planner, const Node& follower, const std::string& previous, const Shape& shape, const dnnl::memory::desc& dst,
                   PostOps& post_ops) {
  if (const auto functions = eltwise_of(planner, follower, previous); !functions.empty()) {
    for (const Eltwise& f : functions)
      if (!may_append(post_ops.ops, f.algorithm)) return false;
    for (const Eltwise& f : functions) post_ops.ops.append_eltwise(1.0F, f.algorithm, f.alpha, f.beta);
    return true;
  }
  if (follower.inputs.size() != 2) return false;
  const bool left = follower.inputs[0] == previous;
  const std::string& other = follower.inputs[left ? 1 : 0];
  const bool constant = planner.constant(other) != nullptr;
  if (planner.dtype_of(other) != Dtype::f32 || planner.shape_of(follower.outputs[0]) != shape) return false;
  const Shape& other_shape = planner.shape_of(other);

  if (follower.op_type == "PRelu") {
    if (!left || !constant || !per_channel(other_shape, shape)) return false;
    const bool one = element_count(other_shape) == 1;
    const int position = post_ops.ops.len();
    post_ops.ops.append_prelu(one ? 0 : 1 << 1);
    post_ops.extras.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_WEIGHTS, other, row_major({one ? 1 : shape[1]})});
    return true;
  }
  const bool add = follower.op_type == "Add", mul = follower.op_type == "Mul";
  if (!add && !mul && !(left && (follower.op_type == "Sub" || follower.op_type == "Div"))) return false;
  const algorithm binary = add                         ? algorithm::binary_add
                           : mul                       ? algorithm::binary_mul
                           : follower.op_type == "Sub" ? algorithm::binary_sub
                                                       : algorithm::binary_div;
  dnnl::memory::desc desc;
  if (constant) {
    if (!per_channel(other_shape, shape)) return false;
    desc = with_leading_ones(other_shape, shape.size());
  } else {
    if (other_shape != shape) return false;
    if (add && post_ops.summed.empty() && planner.dies_here(planner.native(other))) {
      post_ops.ops.append_sum(1.0F);
      post_ops.summed = other;
      return true;
    }
    desc = dst;
  }
  const int position = post_ops.ops.len();
  post_ops.ops.append_binary(binary, desc);
  post_ops.extras.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1, other, desc});
  return true;
}

}  // namespace

bool may_append(const dnnl::post_ops& ops, algorithm algorithm) {
  for (int i = 0; i < ops.len(); ++i) {
    if (ops.kind(i) != dnnl::primitive::kind::eltwise) continue;
    float scale = 0, alpha = 0, beta = 0;
    dnnl::algorithm there = dnnl::algorithm::undef;
    ops.get_params_eltwise(i, scale, there, alpha, beta);
    if (there == algorithm) return false;
  }
  return true;
}

bool is_gated(const Node& gate, const Node& product, const std::string& x) {
  if ((gate.op_type != "Sigmoid" && gate.op_type != "HardSigmoid") || product.op_type != "Mul") return false;
  if (gate.inputs[0] != x || product.inputs.size() != 2) return false;
  const std::string& open = gate.outputs[0];
  return (product.inputs[0] == x && product.inputs[1] == open) || (product.inputs[0] == open && product.inputs[1] == x);
}

std::optional<Eltwise> gate_of(const Node& gate) {
  // x·min(1, max(0, x/6 + 1/2)) is the only hard gate that oneDNN has as one function.
  const bool hard = gate.op_type == "HardSigmoid";
  if (hard && (std::abs(gate.real("alpha", 0.2F) - 1.0F / 6) > 1e-6F || gate.real("beta", 0.5F) != 0.5F)) return std::nullopt;
  return Eltwise{hard ? algorithm::eltwise_hardswish : algorithm::eltwise_swish, 1, 0};
}

std::size_t append_post_op(Planner& planner, Nodes followers, const std::string& previous, const Shape& shape,
                           const dnnl::memory::desc& dst, PostOps& post_ops) {
  const Node& follower = *followers[0];
  if (followers.size() > 1 && is_gated(follower, *followers[1], previous)) {
    const auto function = gate_of(follower);
    if (!function || !may_append(post_ops.ops, function->algorithm)) return 0;
    post_ops.ops.append_eltwise(1.0F, function->algorithm, function->alpha, function->beta);
    return 2;
  }
  return append_single(planner, follower, previous, shape, dst, post_ops) ? 1 : 0;
}

std::string fused_name(Nodes nodes) {
  std::string name;
  for (const Node* node : nodes) name += (name.empty() ? "" : "+") + node->op_type;
  return name;
}

std::string step_name(Nodes nodes) { return nodes[0]->name.empty() ? nodes[0]->outputs[0] : nodes[0]->name; }

}  // namespace sightline::runtime
