// The operator table, and shape inference that walks a graph with it. Rules: the ONNX operator specification, opsets 9 to 17 (and what
// of 18 and later is spelled the same).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

using shape_rules::Inferred;

constexpr std::int64_t kCountLimit = std::int64_t{1} << 40;
constexpr std::size_t kRankLimit = 32;

Inferred same(const Call& call) { return std::vector<Typed>{{call.inputs[0]->dtype, call.inputs[0]->shape}}; }

Inferred along_axis(const Call& call) {
  // Before opset 13 the default axis was 1.
  SIGHTLINE_TRY([[maybe_unused]] const std::int64_t axis,
                axis_of(call.node, call.node.integer("axis", call.graph.opset < 13 ? 1 : -1), call.inputs[0]->shape.size()));
  return same(call);
}

Inferred broadcast(const Call& call) {
  const ValueInfo& a = *call.inputs[0];
  const ValueInfo& b = *call.inputs[1];
  const auto misfit = [&] {
    return fault(call.node, fmt::format("\"{}\" ({} {}) and \"{}\" ({} {}) do not fit", a.name, name_of(a.dtype), to_string(a.shape),
                                        b.name, name_of(b.dtype), to_string(b.shape)));
  };
  // Pow alone may mix dtypes.
  if (a.dtype != b.dtype && call.node.op_type != "Pow") return misfit();
  Shape shape(std::max(a.shape.size(), b.shape.size()));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t p = i < a.shape.size() ? a.shape[a.shape.size() - 1 - i] : 1;
    const std::int64_t q = i < b.shape.size() ? b.shape[b.shape.size() - 1 - i] : 1;
    if (p != q && p != 1 && q != 1 && p >= 0 && q >= 0) return misfit();
    // A free dimension beside a fixed one above 1 must be 1 or that one, so the result is the fixed one.
    shape[shape.size() - 1 - i] = p == 1 ? q : q == 1 ? p : std::max(p, q);
  }
  return std::vector<Typed>{{a.dtype, shape}};
}

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
double gemm_flops(const Call& call, const Shape& output) {
  const std::int64_t inner = call.inputs[0]->shape[call.node.integer("transA", 0) != 0 ? 0 : 1];
  return elements(output) * (2 * static_cast<double>(inner) + (call.input(2) != nullptr ? 1 : 0));
}
double matmul_flops(const Call& call, const Shape& output) {
  return elements(output) * 2 * static_cast<double>(std::max<std::int64_t>(1, call.inputs[0]->shape.back()));
}

constexpr const char* kWindow = "auto_pad=s dilations=I group=i kernel_shape=I pads=I strides=I";

// Sorted by name.
constexpr Operator kOperators[] = {
    {"Add", 2, 2, "", broadcast, one_each},
    {"AveragePool", 1, 1, "auto_pad=s ceil_mode=i count_include_pad=i dilations=I kernel_shape=I pads=I strides=I", shape_rules::pool,
     pool_flops},
    {"BatchNormalization", 5, 5, "epsilon=f momentum=f spatial=i training_mode=i", shape_rules::batch_normalization, two_each},
    {"Cast", 1, 1, "to=i saturate=i", cast, nothing},
    {"Clip", 1, 3, "min=f max=f", clip, one_each},
    {"Concat", 1, -1, "axis=i", shape_rules::concat, nothing},
    {"Conv", 2, 3, kWindow, shape_rules::conv, conv_flops},
    {"ConvTranspose", 2, 3, "auto_pad=s dilations=I group=i kernel_shape=I output_padding=I output_shape=I pads=I strides=I",
     shape_rules::conv_transpose, conv_transpose_flops},
    {"Div", 2, 2, "", broadcast, one_each},
    {"Dropout", 1, 3, "ratio=f seed=i", dropout, nothing},
    {"Exp", 1, 1, "", same, one_each},
    {"Flatten", 1, 1, "axis=i", shape_rules::flatten, nothing},
    {"Gather", 2, 2, "axis=i", shape_rules::gather, nothing},
    {"Gemm", 2, 3, "alpha=f beta=f transA=i transB=i", shape_rules::gemm, gemm_flops},
    {"GlobalAveragePool", 1, 1, "", shape_rules::global_pool, one_per_input},
    {"GlobalMaxPool", 1, 1, "", shape_rules::global_pool, one_per_input},
    {"HardSigmoid", 1, 1, "alpha=f beta=f", same, four_each},
    {"HardSwish", 1, 1, "", same, four_each},
    {"Identity", 1, 1, "", same, nothing},
    {"LeakyRelu", 1, 1, "alpha=f", same, one_each},
    {"LogSoftmax", 1, 1, "axis=i", along_axis, four_each},
    {"MatMul", 2, 2, "", shape_rules::matmul, matmul_flops},
    {"MaxPool", 1, 1, "auto_pad=s ceil_mode=i dilations=I kernel_shape=I pads=I storage_order=i strides=I", shape_rules::pool, pool_flops},
    {"Mul", 2, 2, "", broadcast, one_each},
    {"PRelu", 2, 2, "", slope, one_each},
    {"Pad", 1, 4, "mode=s pads=I value=f", shape_rules::pad, nothing},
    {"Pow", 2, 2, "", broadcast, one_each},
    {"ReduceMean", 1, 2, "axes=I keepdims=i noop_with_empty_axes=i", shape_rules::reduce, one_per_input},
    {"Relu", 1, 1, "", same, one_each},
    {"Reshape", 2, 2, "allowzero=i", shape_rules::reshape, nothing},
    {"Resize", 1, 4,
     "antialias=i axes=I coordinate_transformation_mode=s cubic_coeff_a=f exclude_outside=i extrapolation_value=f "
     "keep_aspect_ratio_policy=s mode=s nearest_mode=s",
     shape_rules::resize, one_each},
    {"Sigmoid", 1, 1, "", same, four_each},
    {"Softmax", 1, 1, "axis=i", along_axis, four_each},
    {"Sqrt", 1, 1, "", same, one_each},
    {"Squeeze", 1, 2, "axes=I", shape_rules::squeeze, nothing},
    {"Sub", 2, 2, "", broadcast, one_each},
    {"Tanh", 1, 1, "", same, four_each},
    {"Transpose", 1, 1, "perm=I", shape_rules::transpose, nothing},
    {"Unsqueeze", 1, 2, "axes=I", shape_rules::unsqueeze, nothing},
};

struct DtypeCode {
  Dtype dtype;
  std::int64_t code;
};
constexpr std::array<DtypeCode, 9> kDtypeCodes{{{Dtype::f32, 1},
                                                {Dtype::u8, 2},
                                                {Dtype::i8, 3},
                                                {Dtype::i32, 6},
                                                {Dtype::i64, 7},
                                                {Dtype::boolean, 9},
                                                {Dtype::f16, 10},
                                                {Dtype::f64, 11},
                                                {Dtype::bf16, 16}}};

}  // namespace

std::span<const Operator> operators() { return kOperators; }

const Operator* find_operator(const Node& node) {
  if (!node.domain.empty()) return nullptr;
  const auto found = std::ranges::lower_bound(kOperators, std::string_view(node.op_type), {},
                                              [](const Operator& row) { return std::string_view(row.op_type); });
  return found != std::end(kOperators) && node.op_type == found->op_type ? found : nullptr;
}

std::string describe(const Node& node) {
  if (!node.name.empty()) return fmt::format("node \"{}\" ({})", node.name, node.op_type);
  return fmt::format("the node that makes \"{}\" ({})", node.outputs.empty() ? "" : node.outputs[0], node.op_type);
}

Error fault(const Node& node, std::string what) { return {ErrorKind::invalid_data, describe(node) + ": " + std::move(what)}; }

const Tensor* find_constant(const Graph& graph, const std::string& value) {
  const auto found = graph.initializers.find(value);
  return found == graph.initializers.end() ? nullptr : &found->second;
}

const Tensor* Call::constant(std::size_t i) const {
  return i < node.inputs.size() && !node.inputs[i].empty() ? find_constant(graph, node.inputs[i]) : nullptr;
}

std::optional<std::vector<std::int64_t>> integers_of(const Tensor& tensor) {
  if (tensor.dtype() == Dtype::i64) {
    const auto values = tensor.values<std::int64_t>();
    return std::vector<std::int64_t>(values.begin(), values.end());
  }
  if (tensor.dtype() == Dtype::i32) {
    const auto values = tensor.values<std::int32_t>();
    return std::vector<std::int64_t>(values.begin(), values.end());
  }
  return std::nullopt;
}

std::optional<double> scalar_of(const Tensor& tensor) {
  if (tensor.count() < 1) return std::nullopt;
  switch (tensor.dtype()) {
    case Dtype::f32: return static_cast<double>(tensor.values<float>()[0]);
    case Dtype::f64: return tensor.values<double>()[0];
    case Dtype::i64: return static_cast<double>(tensor.values<std::int64_t>()[0]);
    case Dtype::i32: return static_cast<double>(tensor.values<std::int32_t>()[0]);
    default: return std::nullopt;
  }
}

Result<std::pair<float, float>> clip_range(const Graph& graph, const Node& node) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::pair<float, float> range{node.real("min", -kInfinity), node.real("max", kInfinity)};
  const auto limit = [&](std::size_t i, float& value) -> Result<void> {
    if (node.inputs.size() <= i || node.inputs[i].empty()) return {};
    const Tensor* tensor = find_constant(graph, node.inputs[i]);
    if (tensor == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: the limit \"{}\" is not constant", describe(node), node.inputs[i])};
    const auto number = scalar_of(*tensor);
    if (!number) return fault(node, fmt::format("the limit \"{}\" is not a number", node.inputs[i]));
    value = static_cast<float>(*number);
    return {};
  };
  SIGHTLINE_CHECK(limit(1, range.first));
  SIGHTLINE_CHECK(limit(2, range.second));
  return range;
}

std::int64_t onnx_dtype(Dtype dtype) { return std::ranges::find(kDtypeCodes, dtype, &DtypeCode::dtype)->code; }

std::optional<Dtype> dtype_from_onnx(std::int64_t code) {
  const auto found = std::ranges::find(kDtypeCodes, code, &DtypeCode::code);
  if (found == kDtypeCodes.end()) return std::nullopt;
  return found->dtype;
}

std::optional<std::int64_t> known_count(const Shape& shape) {
  if (shape.size() > kRankLimit) return std::nullopt;
  std::int64_t count = 1;
  bool empty = false;
  for (std::int64_t d : shape) {
    if (d < -1) return std::nullopt;
    if (d == 0) empty = true;
    if (d <= 0) continue;
    if (d > kCountLimit / count) return std::nullopt;
    count *= d;
  }
  return empty ? 0 : count;
}

Result<std::map<std::string, ValueInfo>> infer_shapes(const Graph& graph, std::int64_t batch) {
  std::map<std::string, ValueInfo> values;
  for (const auto& [name, tensor] : graph.initializers) {
    if (!known_count(tensor.shape())) return Error{ErrorKind::invalid_data, fmt::format("the initializer \"{}\" is too large", name)};
    values[name] = {name, tensor.dtype(), tensor.shape()};
  }
  for (const ValueInfo& input : graph.inputs) {
    ValueInfo value = input;
    if (batch > 0 && !value.shape.empty() && value.shape[0] < 0) value.shape[0] = batch;
    if (!known_count(value.shape))
      return Error{ErrorKind::invalid_data,
                   fmt::format("the input \"{}\" has the impossible shape {}", input.name, to_string(input.shape))};
    values[input.name] = std::move(value);
  }
  for (const Node& node : graph.nodes) {
    const Operator* row = find_operator(node);
    if (row == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: shape inference does not know the operator {}{}{}", describe(node), node.domain,
                                                       node.domain.empty() ? "" : ".", node.op_type)};
    Call call{graph, node, {}};
    for (const std::string& name : node.inputs) {
      const auto found = name.empty() ? values.end() : values.find(name);
      if (!name.empty() && found == values.end())
        return fault(node, fmt::format("its input \"{}\" is not made by anything before it", name));
      call.inputs.push_back(name.empty() ? nullptr : &found->second);
    }
    for (int i = 0; i < row->least_inputs; ++i) {
      if (call.input(static_cast<std::size_t>(i)) == nullptr) return fault(node, fmt::format("input {} is missing", i));
    }
    SIGHTLINE_TRY(const std::vector<Typed> inferred, row->infer(call));
    if (node.outputs.size() > inferred.size()) return fault(node, fmt::format("it cannot have {} outputs", node.outputs.size()));
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (!known_count(inferred[i].shape))
        return fault(node, fmt::format("its output would be {}, which is too large", to_string(inferred[i].shape)));
      values[node.outputs[i]] = {node.outputs[i], inferred[i].dtype, inferred[i].shape};
    }
  }
  return values;
}

Result<Cost> cost_of(const Graph& graph) {
  SIGHTLINE_TRY(const auto values, infer_shapes(graph, 1));
  Cost cost;
  for (const auto& [name, role] : roles_of(graph)) {
    if (role != Role::constant) cost.parameters += graph.initializers.at(name).count();
  }
  double flops = 0;
  for (const Node& node : graph.nodes) {
    Call call{graph, node, {}};
    for (const std::string& name : node.inputs) call.inputs.push_back(name.empty() ? nullptr : &values.at(name));
    if (!node.outputs.empty() && !node.outputs[0].empty()) flops += find_operator(node)->flops(call, values.at(node.outputs[0]).shape);
  }
  cost.flops = static_cast<std::int64_t>(std::min(flops, 9e18));
  return cost;
}

}  // namespace sightline::graph
