#include "autograd/operators.h"

#include <fmt/format.h>

#include <algorithm>

namespace sightline::autograd {
namespace {

// One row per operator, sorted by name.
constexpr Operator table[] = {
    {"Abs", 1, compile_function},
    {"Add", 2, compile_add, true},
    {"And", 2, compile_binary},
    {"AveragePool", 1, compile_average_pool},
    {"BatchNormalization", 5, compile_batch_normalization, true},
    {"Cast", 1, compile_cast},
    {"Ceil", 1, compile_function},
    {"Celu", 1, compile_function},
    {"Clip", 1, compile_clip},
    {"Concat", 1, compile_concat},
    {"ConstantOfShape", 1, compile_constant_of_shape},
    {"Conv", 2, compile_conv, true},
    {"ConvTranspose", 2, compile_conv_transpose},
    {"Cos", 1, compile_function},
    {"DepthToSpace", 1, compile_depth_to_space},
    {"Div", 2, compile_binary},
    {"Dropout", 1, compile_dropout},
    {"Einsum", 1, compile_einsum},
    {"Elu", 1, compile_function},
    {"Equal", 2, compile_binary},
    {"Erf", 1, compile_function},
    {"Exp", 1, compile_function},
    {"Expand", 2, compile_expand},
    {"Flatten", 1, compile_flatten},
    {"Floor", 1, compile_function},
    {"FusedNorm", 5, compile_fused_norm, false, true},
    {"GRU", 3, compile_recurrent},
    {"Gather", 2, compile_gather},
    {"GatherElements", 2, compile_gather_elements},
    {"Gelu", 1, compile_gelu},
    {"Gemm", 2, compile_gemm, true},
    {"GlobalAveragePool", 1, compile_global_pool},
    {"GlobalMaxPool", 1, compile_global_pool},
    {"Greater", 2, compile_binary},
    {"GreaterOrEqual", 2, compile_binary},
    {"HardSigmoid", 1, compile_function},
    {"HardSwish", 1, compile_function},
    {"Identity", 1, compile_function},
    {"InstanceNormalization", 3, compile_instance_normalization},
    {"LRN", 1, compile_local_response_normalization},
    {"LSTM", 3, compile_recurrent},
    {"LayerNormalization", 2, compile_layer_normalization},
    {"LeakyRelu", 1, compile_function},
    {"Less", 2, compile_binary},
    {"LessOrEqual", 2, compile_binary},
    {"Log", 1, compile_function},
    {"LogSoftmax", 1, compile_softmax},
    {"LpNormalization", 1, compile_lp_normalization},
    {"MatMul", 2, compile_matmul},
    {"Max", 1, compile_fold},
    {"MaxPool", 1, compile_max_pool},
    {"Mean", 1, compile_fold},
    {"MeanVarianceNormalization", 1, compile_mean_variance_normalization},
    {"Min", 1, compile_fold},
    {"Mish", 1, compile_function},
    {"Mul", 2, compile_binary},
    {"Neg", 1, compile_function},
    {"NonMaxSuppression", 2, compile_non_max_suppression},
    {"Not", 1, compile_function},
    {"Or", 2, compile_binary},
    {"PRelu", 2, compile_binary},
    {"Pad", 1, compile_pad},
    {"Pow", 2, compile_binary},
    {"RNN", 3, compile_recurrent},
    {"Range", 3, compile_range},
    {"Reciprocal", 1, compile_function},
    {"ReduceL1", 1, compile_reduction},
    {"ReduceL2", 1, compile_reduction},
    {"ReduceLogSum", 1, compile_reduction},
    {"ReduceLogSumExp", 1, compile_reduction},
    {"ReduceMax", 1, compile_reduction},
    {"ReduceMean", 1, compile_reduction},
    {"ReduceMin", 1, compile_reduction},
    {"ReduceProd", 1, compile_reduction},
    {"ReduceSum", 1, compile_reduction},
    {"ReduceSumSquare", 1, compile_reduction},
    {"Relu", 1, compile_relu},
    {"Reshape", 2, compile_reshape},
    {"Resize", 1, compile_resize},
    {"Round", 1, compile_function},
    {"Selu", 1, compile_function},
    {"Shape", 1, compile_shape},
    {"Sigmoid", 1, compile_function},
    {"Sign", 1, compile_function},
    {"Sin", 1, compile_function},
    {"Size", 1, compile_size},
    {"Slice", 1, compile_slice},
    {"Softmax", 1, compile_softmax},
    {"Softplus", 1, compile_function},
    {"Softsign", 1, compile_function},
    {"SpaceToDepth", 1, compile_space_to_depth},
    {"Split", 1, compile_split},
    {"Sqrt", 1, compile_function},
    {"Squeeze", 1, compile_squeeze},
    {"Sub", 2, compile_binary},
    {"Sum", 1, compile_fold},
    {"Tanh", 1, compile_function},
    {"ThresholdedRelu", 1, compile_function},
    {"Tile", 2, compile_tile},
    {"Transpose", 1, compile_transpose},
    {"Unsqueeze", 1, compile_unsqueeze},
    {"Upsample", 1, compile_resize},
    {"Where", 3, compile_where},
    {"Xor", 2, compile_binary},
};

}  // namespace

std::span<const Operator> operators() { return table; }

const Operator* find_operator(const std::string& name) {
  for (const Operator& each : table)
    if (name == each.name) return &each;
  return nullptr;
}

const Tensor* Site::constant(std::size_t i) const {
  if (i >= node.inputs.size()) return nullptr;
  const auto found = graph.initializers.find(node.inputs[i]);
  return found == graph.initializers.end() ? nullptr : &found->second;
}

Result<std::vector<std::int64_t>> Site::integers(std::size_t i, const char* what) const {
  const Tensor* tensor = constant(i);
  if (tensor == nullptr) return unsupported(fmt::format("a computed {}; it must be an initializer", what));
  std::vector<std::int64_t> numbers;
  if (tensor->dtype() == Dtype::i64) {
    const auto stored = tensor->values<std::int64_t>();
    numbers.assign(stored.begin(), stored.end());
  } else if (tensor->dtype() == Dtype::i32) {
    const auto stored = tensor->values<std::int32_t>();
    numbers.assign(stored.begin(), stored.end());
  } else {
    return invalid(fmt::format("{} must be integers, not {}", what, sightline::name_of(tensor->dtype())));
  }
  return numbers;
}

std::vector<std::int64_t> Integers::operator()(const Frame& frame) const {
  if (fixed_) return *fixed_;
  if (slot_ < 0) return {};
  const torch::Tensor values = frame.slots[static_cast<std::size_t>(slot_)].to(torch::kLong).contiguous().view({-1});
  return {values.data_ptr<std::int64_t>(), values.data_ptr<std::int64_t>() + values.numel()};
}

Result<Integers> Site::integers_when_run(std::size_t i, const char* what, const char* attribute) const {
  if (in(i) >= 0 && constant(i) == nullptr) return Integers(in(i));
  if (in(i) >= 0) {
    SIGHTLINE_TRY(std::vector<std::int64_t> known, integers(i, what));
    return Integers(std::move(known));
  }
  if (attribute != nullptr && node.attributes.contains(attribute)) return Integers(node.integers(attribute));
  return Integers();
}

Result<std::optional<std::vector<std::int64_t>>> Site::axes(std::size_t i) const {
  if (in(i) >= 0) {
    SIGHTLINE_TRY(std::vector<std::int64_t> given, integers(i, "axes"));
    return std::optional(std::move(given));
  }
  if (node.attributes.contains("axes")) return std::optional(node.integers("axes"));
  return std::optional<std::vector<std::int64_t>>();
}

Result<std::optional<double>> Site::scalar(std::size_t i, const char* what) const {
  if (in(i) < 0) return std::optional<double>();
  const Tensor* tensor = constant(i);
  if (tensor == nullptr) return unsupported(fmt::format("a computed {}; it must be an initializer", what));
  if (tensor->count() != 1) return invalid(fmt::format("{} must be one number", what));
  switch (tensor->dtype()) {
    case Dtype::f32: return std::optional<double>(tensor->values<float>()[0]);
    case Dtype::f64: return std::optional<double>(tensor->values<double>()[0]);
    case Dtype::i64: return std::optional<double>(static_cast<double>(tensor->values<std::int64_t>()[0]));
    case Dtype::i32: return std::optional<double>(tensor->values<std::int32_t>()[0]);
    default: return unsupported(fmt::format("{} of type {}", what, sightline::name_of(tensor->dtype())));
  }
}

Error Site::unsupported(const std::string& what) const {
  return {ErrorKind::unsupported, fmt::format("node \"{}\" ({}): training does not know {}", node.name, node.op_type, what)};
}
Error Site::invalid(const std::string& what) const {
  return {ErrorKind::invalid_data, fmt::format("node \"{}\" ({}): {}", node.name, node.op_type, what)};
}

}  // namespace sightline::autograd
