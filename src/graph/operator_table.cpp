// The operator table: what each operator takes, and the rules for functions of whole tensors and broadcasting ones. Rules: the ONNX
// operator specification, opsets 7 to 17 (and what of 18 and later is spelled the same).
#include <fmt/format.h>

#include <algorithm>

#include "graph/operators.h"

namespace sightline::graph {

std::optional<Shape> shape_rules::broadcast_shape(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t p = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t q = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (p != q && p != 1 && q != 1 && p >= 0 && q >= 0) return std::nullopt;
    // A free dimension beside a fixed one above 1 must be 1 or that one, so the result is the fixed one.
    shape[shape.size() - 1 - i] = p == 1 ? q : q == 1 ? p : std::max(p, q);
  }
  return shape;
}

namespace {

using shape_rules::Inferred;

Inferred same(const Call& call) { return std::vector<Typed>{{call.inputs[0]->dtype, call.inputs[0]->shape}}; }

Inferred along_axis(const Call& call) {
  // Before opset 13 the default axis was 1.
  SIGHTLINE_TRY([[maybe_unused]] const std::int64_t axis,
                axis_of(call.node, call.node.integer("axis", call.graph.opset < 13 ? 1 : -1), call.inputs[0]->shape.size()));
  return same(call);
}

// The common shape of all inputs, which share a dtype unless they may differ.
Inferred broadcast_to(const Call& call, std::optional<Dtype> dtype, bool may_differ) {
  const ValueInfo& a = *call.inputs[0];
  Shape shape = a.shape;
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    if (call.inputs[i] == nullptr) return fault(call.node, fmt::format("input {} is missing", i));
    const ValueInfo& b = *call.inputs[i];
    const auto both = shape_rules::broadcast_shape(shape, b.shape);
    if (!both || (a.dtype != b.dtype && !may_differ))
      return fault(call.node, fmt::format("\"{}\" ({} {}) and \"{}\" ({} {}) do not fit", a.name, name_of(a.dtype), to_string(a.shape),
                                          b.name, name_of(b.dtype), to_string(b.shape)));
    shape = *both;
  }
  return std::vector<Typed>{{dtype.value_or(a.dtype), shape}};
}

Inferred broadcast(const Call& call) { return broadcast_to(call, std::nullopt, call.node.op_type == "Pow"); }

Inferred comparison(const Call& call) { return broadcast_to(call, Dtype::boolean, false); }

Inferred logical(const Call& call) {
  for (const ValueInfo* value : call.inputs)
    if (value != nullptr && value->dtype != Dtype::boolean) return fault(call.node, fmt::format("\"{}\" is not boolean", value->name));
  return comparison(call);
}

Inferred where(const Call& call) {
  if (call.inputs[0]->dtype != Dtype::boolean || call.inputs[1]->dtype != call.inputs[2]->dtype)
    return fault(call.node, "it chooses by booleans between two tensors of one dtype");
  return broadcast_to(call, call.inputs[1]->dtype, true);
}

Inferred test(const Call& call) { return std::vector<Typed>{{Dtype::boolean, call.inputs[0]->shape}}; }

Inferred cast_like(const Call& call) { return std::vector<Typed>{{call.inputs[1]->dtype, call.inputs[0]->shape}}; }

Inferred slope(const Call& call) {
  SIGHTLINE_TRY(const std::vector<Typed> wide, broadcast(call));
  const ValueInfo& x = *call.inputs[0];
  if (wide[0].shape != x.shape)
    return fault(call.node, fmt::format("the slope {} does not broadcast to {}", to_string(call.inputs[1]->shape), to_string(x.shape)));
  return wide;
}

Inferred cast(const Call& call) {
  const std::int64_t code = call.node.integer("to", 0);
  const auto dtype = dtype_from_onnx(code);
  if (!dtype) return Error{ErrorKind::unsupported, fmt::format("{}: cast to ONNX data type {}", describe(call.node), code)};
  return std::vector<Typed>{{*dtype, call.inputs[0]->shape}};
}

Inferred clip(const Call& call) {
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    if (call.inputs[i] != nullptr && (call.inputs[i]->dtype != call.inputs[0]->dtype || known_count(call.inputs[i]->shape) != 1))
      return fault(call.node, fmt::format("the limit \"{}\" must be one {}", call.inputs[i]->name, name_of(call.inputs[0]->dtype)));
  }
  return same(call);
}

Inferred dropout(const Call& call) {
  return std::vector<Typed>{{call.inputs[0]->dtype, call.inputs[0]->shape}, {Dtype::boolean, call.inputs[0]->shape}};
}

Inferred last_axis(const Call& call) {
  SIGHTLINE_TRY([[maybe_unused]] const std::int64_t axis, axis_of(call.node, call.node.integer("axis", -1), call.inputs[0]->shape.size()));
  return same(call);
}

// --- cost ---

double elements(const Shape& shape) {
  double count = 1;
  for (std::int64_t d : shape) count *= static_cast<double>(d < 0 ? 1 : d);
  return count;
}

double nothing(const Call&, const Shape&) { return 0; }
double one_each(const Call&, const Shape& output) { return elements(output); }
double two_each(const Call&, const Shape& output) { return 2 * elements(output); }
double four_each(const Call&, const Shape& output) { return 4 * elements(output); }
double one_per_input(const Call& call, const Shape&) { return elements(call.inputs[0]->shape); }

double conv_flops(const Call& call, const Shape& output) {
  const Shape& w = call.inputs[1]->shape;
  // Each output element sums over the weights of its channel.
  return elements(output) * (2 * elements(w) / static_cast<double>(w[0]) + (call.input(2) != nullptr ? 1 : 0));
}
double conv_transpose_flops(const Call& call, const Shape& output) {
  const Shape& w = call.inputs[1]->shape;
  return 2 * elements(call.inputs[0]->shape) * elements(w) / static_cast<double>(w[0]) + (call.input(2) != nullptr ? elements(output) : 0);
}
double pool_flops(const Call& call, const Shape& output) {
  double window = 1;
  for (std::int64_t k : call.node.integers("kernel_shape")) window *= static_cast<double>(k);
  return elements(output) * window;
}
double recurrent_flops(const Call& call, const Shape&) {
  const Shape &x = call.inputs[0]->shape, &w = call.inputs[1]->shape, &r = call.inputs[2]->shape;
  return 2 * elements({x[0], x[1]}) * (elements(w) + elements(r));
}
double gemm_flops(const Call& call, const Shape& output) {
  const std::int64_t inner = call.inputs[0]->shape[call.node.integer("transA", 0) != 0 ? 0 : 1];
  return elements(output) * (2 * static_cast<double>(inner) + (call.input(2) != nullptr ? 1 : 0));
}
double matmul_flops(const Call& call, const Shape& output) {
  return elements(output) * 2 * static_cast<double>(std::max<std::int64_t>(1, call.inputs[0]->shape.back()));
}

constexpr const char* kWindow = "auto_pad=s dilations=I group=i kernel_shape=I pads=I strides=I";

// Sorted by name. The last number says which inputs must be known when the graph is planned (bit i: input i).
constexpr Operator kOperators[] = {
    {"Abs", 1, 1, "", same, one_each},
    {"Acos", 1, 1, "", same, four_each},
    {"Acosh", 1, 1, "", same, four_each},
    {"Add", 2, 2, "", broadcast, one_each},
    {"And", 2, 2, "", logical, nothing},
    {"ArgMax", 1, 1, "axis=i keepdims=i select_last_index=i", shape_rules::arg, one_per_input},
    {"ArgMin", 1, 1, "axis=i keepdims=i select_last_index=i", shape_rules::arg, one_per_input},
    {"Asin", 1, 1, "", same, four_each},
    {"Asinh", 1, 1, "", same, four_each},
    {"Atan", 1, 1, "", same, four_each},
    {"Atanh", 1, 1, "", same, four_each},
    {"AveragePool", 1, 1, "auto_pad=s ceil_mode=i count_include_pad=i dilations=I kernel_shape=I pads=I strides=I", shape_rules::pool,
     pool_flops},
    {"BatchNormalization", 5, 5, "epsilon=f momentum=f spatial=i training_mode=i", shape_rules::batch_normalization, two_each},
    {"BitShift", 2, 2, "direction=s", broadcast, nothing},
    {"Cast", 1, 1, "to=i saturate=i", cast, nothing},
    {"CastLike", 2, 2, "saturate=i", cast_like, nothing},
    {"Ceil", 1, 1, "", same, one_each},
    {"Celu", 1, 1, "alpha=f", same, four_each},
    {"Clip", 1, 3, "min=f max=f", clip, one_each},
    {"Concat", 1, -1, "axis=i", shape_rules::concat, nothing},
    {"ConstantOfShape", 1, 1, "value=t", shape_rules::constant_of_shape, nothing, 0x1},
    {"Conv", 2, 3, kWindow, shape_rules::conv, conv_flops, 0x6},
    {"ConvTranspose", 2, 3, "auto_pad=s dilations=I group=i kernel_shape=I output_padding=I output_shape=I pads=I strides=I",
     shape_rules::conv_transpose, conv_transpose_flops, 0x6},
    {"Cos", 1, 1, "", same, four_each},
    {"Cosh", 1, 1, "", same, four_each},
    {"CumSum", 2, 2, "exclusive=i reverse=i", shape_rules::cumulative_sum, one_each, 0x2},
    {"DepthToSpace", 1, 1, "blocksize=i mode=s", shape_rules::depth_to_space, nothing},
    {"DequantizeLinear", 2, 3, "axis=i", shape_rules::dequantize, two_each},
    {"Div", 2, 2, "", broadcast, one_each},
    {"Dropout", 1, 3, "ratio=f seed=i", dropout, nothing},
    {"Einsum", 1, 2, "equation=s", shape_rules::einsum, two_each},
    {"Elu", 1, 1, "alpha=f", same, four_each},
    {"Equal", 2, 2, "", comparison, one_each},
    {"Erf", 1, 1, "", same, four_each},
    {"Exp", 1, 1, "", same, one_each},
    {"Expand", 2, 2, "", shape_rules::expand, nothing, 0x2},
    {"EyeLike", 1, 1, "dtype=i k=i", shape_rules::eye_like, nothing},
    {"Flatten", 1, 1, "axis=i", shape_rules::flatten, nothing},
    {"Floor", 1, 1, "", same, one_each},
    {"GRU", 3, 6, "activation_alpha=F activation_beta=F activations=S clip=f direction=s hidden_size=i layout=i linear_before_reset=i",
     shape_rules::recurrent, recurrent_flops},
    {"Gather", 2, 2, "axis=i", shape_rules::gather, nothing},
    {"GatherElements", 2, 2, "axis=i", shape_rules::gather_elements, nothing},
    {"GatherND", 2, 2, "batch_dims=i", shape_rules::gather_nd, nothing},
    {"Gelu", 1, 1, "approximate=s", same, four_each},
    {"Gemm", 2, 3, "alpha=f beta=f transA=i transB=i", shape_rules::gemm, gemm_flops},
    {"GlobalAveragePool", 1, 1, "", shape_rules::global_pool, one_per_input},
    {"GlobalLpPool", 1, 1, "p=i", shape_rules::global_pool, one_per_input},
    {"GlobalMaxPool", 1, 1, "", shape_rules::global_pool, one_per_input},
    {"Greater", 2, 2, "", comparison, one_each},
    {"GreaterOrEqual", 2, 2, "", comparison, one_each},
    {"HardSigmoid", 1, 1, "alpha=f beta=f", same, four_each},
    {"HardSwish", 1, 1, "", same, four_each},
    {"Hardmax", 1, 1, "axis=i", along_axis, one_each},
    {"Identity", 1, 1, "", same, nothing},
    {"InstanceNormalization", 3, 3, "epsilon=f", shape_rules::instance_normalization, four_each},
    {"IsInf", 1, 1, "detect_negative=i detect_positive=i", test, one_each},
    {"IsNaN", 1, 1, "", test, one_each},
    {"LRN", 1, 1, "alpha=f beta=f bias=f size=i", same, four_each},
    {"LSTM", 3, 8, "activation_alpha=F activation_beta=F activations=S clip=f direction=s hidden_size=i layout=i input_forget=i",
     shape_rules::recurrent, recurrent_flops},
    {"LayerNormalization", 2, 3, "axis=i epsilon=f stash_type=i", shape_rules::layer_normalization, four_each},
    {"LeakyRelu", 1, 1, "alpha=f", same, one_each},
    {"Less", 2, 2, "", comparison, one_each},
    {"LessOrEqual", 2, 2, "", comparison, one_each},
    {"Log", 1, 1, "", same, four_each},
    {"LogSoftmax", 1, 1, "axis=i", along_axis, four_each},
    {"LpNormalization", 1, 1, "axis=i p=i", last_axis, four_each},
    {"LpPool", 1, 1, "auto_pad=s ceil_mode=i dilations=I kernel_shape=I p=i pads=I strides=I", shape_rules::lp_pool, pool_flops},
    {"MatMul", 2, 2, "", shape_rules::matmul, matmul_flops},
    {"Max", 1, -1, "", broadcast, one_each},
    {"MaxPool", 1, 1, "auto_pad=s ceil_mode=i dilations=I kernel_shape=I pads=I storage_order=i strides=I", shape_rules::pool, pool_flops},
    {"Mean", 1, -1, "", broadcast, one_each},
    {"MeanVarianceNormalization", 1, 1, "axes=I", same, four_each},
    {"Min", 1, -1, "", broadcast, one_each},
    {"Mish", 1, 1, "", same, four_each},
    {"Mod", 2, 2, "fmod=i", broadcast, one_each},
    {"Mul", 2, 2, "", broadcast, one_each},
    {"Neg", 1, 1, "", same, one_each},
    {"NonMaxSuppression", 2, 5, "center_point_box=i", shape_rules::non_max_suppression, one_per_input, 0x4},
    {"Not", 1, 1, "", logical, nothing},
    {"OneHot", 3, 3, "axis=i", shape_rules::one_hot, nothing, 0x2},
    {"Or", 2, 2, "", logical, nothing},
    {"PRelu", 2, 2, "", slope, one_each},
    {"Pad", 1, 4, "mode=s pads=I value=f", shape_rules::pad, nothing, 0xe},
    {"Pow", 2, 2, "", broadcast, one_each},
    {"QuantizeLinear", 2, 3, "axis=i saturate=i", shape_rules::quantize, two_each},
    {"RNN", 3, 6, "activation_alpha=F activation_beta=F activations=S clip=f direction=s hidden_size=i layout=i", shape_rules::recurrent,
     recurrent_flops},
    {"Range", 3, 3, "", shape_rules::range, nothing, 0x7},
    {"Reciprocal", 1, 1, "", same, one_each},
    {"ReduceL1", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceL2", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceLogSum", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceLogSumExp", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceMax", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceMean", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceMin", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceProd", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceSum", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"ReduceSumSquare", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input, 0x2},
    {"Relu", 1, 1, "", same, one_each},
    {"Reshape", 2, 2, "allowzero=i", shape_rules::reshape, nothing, 0x2},
    {"Resize", 1, 4,
     "antialias=i axes=I coordinate_transformation_mode=s cubic_coeff_a=f exclude_outside=i extrapolation_value=f "
     "keep_aspect_ratio_policy=s mode=s nearest_mode=s",
     shape_rules::resize, one_each, 0xe},
    {"ReverseSequence", 2, 2, "batch_axis=i time_axis=i", shape_rules::reverse_sequence, nothing},
    {"Round", 1, 1, "", same, one_each},
    {"Scatter", 3, 3, "axis=i", shape_rules::scatter_elements, nothing},
    {"ScatterElements", 3, 3, "axis=i reduction=s", shape_rules::scatter_elements, nothing},
    {"ScatterND", 3, 3, "reduction=s", shape_rules::scatter_nd, nothing},
    {"Selu", 1, 1, "alpha=f gamma=f", same, four_each},
    {"Shape", 1, 1, "start=i end=i", shape_rules::shape, nothing},
    {"Shrink", 1, 1, "bias=f lambd=f", same, two_each},
    {"Sigmoid", 1, 1, "", same, four_each},
    {"Sign", 1, 1, "", same, one_each},
    {"Sin", 1, 1, "", same, four_each},
    {"Sinh", 1, 1, "", same, four_each},
    {"Size", 1, 1, "", shape_rules::size, nothing},
    {"Slice", 1, 5, "starts=I ends=I axes=I", shape_rules::slice, nothing, 0x1e},
    {"Softmax", 1, 1, "axis=i", along_axis, four_each},
    {"Softplus", 1, 1, "", same, four_each},
    {"Softsign", 1, 1, "", same, four_each},
    {"SpaceToDepth", 1, 1, "blocksize=i mode=s", shape_rules::space_to_depth, nothing},
    {"Split", 1, 2, "axis=i split=I num_outputs=i", shape_rules::split, nothing, 0x2},
    {"Sqrt", 1, 1, "", same, one_each},
    {"Squeeze", 1, 2, "axes=I", shape_rules::squeeze, nothing, 0x2},
    {"Sub", 2, 2, "", broadcast, one_each},
    {"Sum", 1, -1, "", broadcast, one_each},
    {"Tan", 1, 1, "", same, four_each},
    {"Tanh", 1, 1, "", same, four_each},
    {"ThresholdedRelu", 1, 1, "alpha=f", same, one_each},
    {"Tile", 2, 2, "", shape_rules::tile, nothing, 0x2},
    {"TopK", 1, 2, "axis=i k=i largest=i sorted=i", shape_rules::top_k, one_per_input, 0x2},
    {"Transpose", 1, 1, "perm=I", shape_rules::transpose, nothing},
    {"Trilu", 1, 2, "upper=i", shape_rules::triangle, nothing, 0x2},
    {"Unsqueeze", 1, 2, "axes=I", shape_rules::unsqueeze, nothing, 0x2},
    {"Upsample", 1, 2, "mode=s scales=F", shape_rules::resize, one_each, 0x2},
    {"Where", 3, 3, "", where, nothing},
    {"Xor", 2, 2, "", logical, nothing},
};

}  // namespace

std::span<const Operator> operators() { return kOperators; }

const Operator* find_operator(const Node& node) {
  if (!node.domain.empty()) return nullptr;
  const auto found = std::ranges::lower_bound(kOperators, std::string_view(node.op_type), {},
                                              [](const Operator& row) { return std::string_view(row.op_type); });
  return found != std::end(kOperators) && node.op_type == found->op_type ? found : nullptr;
}

}  // namespace sightline::graph
