#include "autograd/operators.h"

#include <fmt/format.h>

#include <algorithm>

namespace sightline::autograd {
namespace {

using Unary = torch::Tensor (*)(const torch::Tensor&);
template <Unary function>
Result<Kernel> compile_unary(const Site& site) {
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = function(frame.slots[x]); });
}

torch::Tensor divide(const torch::Tensor& a, const torch::Tensor& b) {
  return at::isIntegralType(a.scalar_type(), true) ? at::div(a, b, "trunc") : at::div(a, b);
}
torch::Tensor power(const torch::Tensor& a, const torch::Tensor& b) { return at::pow(a, b).to(a.scalar_type()); }
torch::Tensor subtract(const torch::Tensor& a, const torch::Tensor& b) { return at::sub(a, b); }
torch::Tensor multiply(const torch::Tensor& a, const torch::Tensor& b) { return at::mul(a, b); }
// The gradient at 0 is that of the positive side. The slope is broadcast from the right, as ONNX has it.
torch::Tensor prelu(const torch::Tensor& x, const torch::Tensor& slope) { return at::where(x >= 0, x, x * slope); }
torch::Tensor matmul(const torch::Tensor& a, const torch::Tensor& b) { return at::matmul(a, b); }

using Binary = torch::Tensor (*)(const torch::Tensor&, const torch::Tensor&);
template <Binary function>
Result<Kernel> compile_binary(const Site& site) {
  const auto a = static_cast<std::size_t>(site.in(0));
  const auto b = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = function(frame.slots[a], frame.slots[b]); });
}

Result<Kernel> compile_add(const Site& site) {
  auto a = static_cast<std::size_t>(site.in(0));
  auto b = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  if (a != b && (site.may_overwrite(0) || site.may_overwrite(1))) {
    if (!site.may_overwrite(0)) std::swap(a, b);
    return Kernel([=](Frame& frame) { frame.slots[y] = frame.slots[a].add_(frame.slots[b]); });
  }
  return Kernel([=](Frame& frame) { frame.slots[y] = at::add(frame.slots[a], frame.slots[b]); });
}

Result<Kernel> compile_relu(const Site& site) {
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  if (site.may_overwrite(0)) return Kernel([=](Frame& frame) { frame.slots[y] = frame.slots[x].relu_(); });
  return Kernel([=](Frame& frame) { frame.slots[y] = at::relu(frame.slots[x]); });
}

Result<Kernel> compile_leaky_relu(const Site& site) {
  const double alpha = site.node.real("alpha", 0.01F);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = at::leaky_relu(frame.slots[x], alpha); });
}

Result<Kernel> compile_clip(const Site& site) {
  SIGHTLINE_TRY(std::optional<double> low, site.scalar(1, "min"));
  SIGHTLINE_TRY(std::optional<double> high, site.scalar(2, "max"));
  // Before opset 11 they were attributes.
  if (!low && site.node.attributes.contains("min")) low = site.node.real("min", 0);
  if (!high && site.node.attributes.contains("max")) high = site.node.real("max", 0);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  if (!low && !high) return Kernel([=](Frame& frame) { frame.slots[y] = frame.slots[x]; });
  const c10::optional<at::Scalar> least = low ? c10::optional<at::Scalar>(*low) : c10::nullopt;
  const c10::optional<at::Scalar> most = high ? c10::optional<at::Scalar>(*high) : c10::nullopt;
  return Kernel([=](Frame& frame) { frame.slots[y] = at::clamp(frame.slots[x], least, most).to(frame.slots[x].scalar_type()); });
}

Result<Kernel> compile_hard_sigmoid(const Site& site) {
  const double alpha = site.node.real("alpha", 0.2F);
  const double beta = site.node.real("beta", 0.5F);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = at::clamp(frame.slots[x] * alpha + beta, 0, 1); });
}

// Before opset 13 the axes from `axis` on were taken together, and the default was 1.
template <bool logarithm>
Result<Kernel> compile_softmax(const Site& site) {
  const bool together = site.graph.opset < 13;
  const auto axis = site.node.integer("axis", together ? 1 : -1);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    if (!together) {
      frame.slots[y] = logarithm ? at::log_softmax(input, axis) : at::softmax(input, axis);
      return;
    }
    const std::int64_t first = axis < 0 ? axis + input.dim() : axis;
    const torch::Tensor flat = input.flatten(first);
    frame.slots[y] = (logarithm ? at::log_softmax(flat, first) : at::softmax(flat, first)).reshape(input.sizes());
  });
}

template <bool largest>
Result<Kernel> compile_global_pool(const Site& site) {
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    std::vector<std::int64_t> spatial;
    for (std::int64_t i = 2; i < input.dim(); ++i) spatial.push_back(i);
    frame.slots[y] = largest ? at::amax(input, spatial, true) : at::mean(input, spatial, true);
  });
}

// alpha A' B' + beta C, C broadcast to the result.
Result<Kernel> compile_gemm(const Site& site) {
  const double alpha = site.node.real("alpha", 1.0F);
  const double beta = site.node.real("beta", 1.0F);
  const bool turn_a = site.node.integer("transA", 0) != 0;
  const bool turn_b = site.node.integer("transB", 0) != 0;
  const auto a = static_cast<std::size_t>(site.in(0));
  const auto b = static_cast<std::size_t>(site.in(1));
  const int c = site.in(2);
  const auto y = static_cast<std::size_t>(site.out());
  const Tensor* bias = site.constant(2);
  if (alpha == 1 && beta == 1 && !turn_a && turn_b && bias != nullptr && bias->rank() == 1) {
    return Kernel(
        [=](Frame& frame) { frame.slots[y] = at::linear(frame.slots[a], frame.slots[b], frame.slots[static_cast<std::size_t>(c)]); });
  }
  return Kernel([=](Frame& frame) {
    const torch::Tensor left = turn_a ? frame.slots[a].t() : frame.slots[a];
    const torch::Tensor right = turn_b ? frame.slots[b].t() : frame.slots[b];
    torch::Tensor product = at::mm(left, right);
    if (alpha != 1) product = product * alpha;
    if (c >= 0 && beta != 0) product = at::add(product, frame.slots[static_cast<std::size_t>(c)], beta);
    frame.slots[y] = product;
  });
}

torch::Tensor same(const torch::Tensor& x) { return x; }

// One row per operator, sorted by name.
constexpr Operator table[] = {
    {"Add", 2, compile_add, true},
    {"AveragePool", 1, compile_average_pool},
    {"BatchNormalization", 5, compile_batch_normalization, true},
    {"Cast", 1, compile_cast},
    {"Clip", 1, compile_clip},
    {"Concat", 1, compile_concat},
    {"Conv", 2, compile_conv, true},
    {"ConvTranspose", 2, compile_conv_transpose},
    {"Div", 2, compile_binary<divide>},
    {"Dropout", 1, compile_dropout},
    {"Exp", 1, compile_unary<at::exp>},
    {"Flatten", 1, compile_flatten},
    {"FusedNorm", 5, compile_fused_norm, false, true},
    {"Gemm", 2, compile_gemm, true},
    {"GlobalAveragePool", 1, compile_global_pool<false>},
    {"GlobalMaxPool", 1, compile_global_pool<true>},
    {"HardSigmoid", 1, compile_hard_sigmoid},
    {"HardSwish", 1, compile_unary<at::hardswish>},
    {"Identity", 1, compile_unary<same>},
    {"LeakyRelu", 1, compile_leaky_relu},
    {"LogSoftmax", 1, compile_softmax<true>},
    {"MatMul", 2, compile_binary<matmul>},
    {"MaxPool", 1, compile_max_pool},
    {"Mul", 2, compile_binary<multiply>},
    {"PRelu", 2, compile_binary<prelu>},
    {"Pad", 1, compile_pad},
    {"Pow", 2, compile_binary<power>},
    {"ReduceMean", 1, compile_reduce_mean},
    {"Relu", 1, compile_relu},
    {"Reshape", 2, compile_reshape},
    {"Sigmoid", 1, compile_unary<at::sigmoid>},
    {"Softmax", 1, compile_softmax<false>},
    {"Sqrt", 1, compile_unary<at::sqrt>},
    {"Squeeze", 1, compile_squeeze},
    {"Sub", 2, compile_binary<subtract>},
    {"Tanh", 1, compile_unary<at::tanh>},
    {"Transpose", 1, compile_transpose},
    {"Unsqueeze", 1, compile_unsqueeze},
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
  std::vector<std::int64_t> values;
  if (tensor->dtype() == Dtype::i64) {
    const auto stored = tensor->values<std::int64_t>();
    values.assign(stored.begin(), stored.end());
  } else if (tensor->dtype() == Dtype::i32) {
    const auto stored = tensor->values<std::int32_t>();
    values.assign(stored.begin(), stored.end());
  } else {
    return invalid(fmt::format("{} must be integers, not {}", what, sightline::name_of(tensor->dtype())));
  }
  return values;
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
