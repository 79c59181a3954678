// Functions of one tensor, arithmetic and comparisons with broadcasting, choices.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "autograd/operators.h"

namespace sightline::autograd {
namespace {

using torch::Tensor;

// a and b are the attributes that the row names, with their defaults.
struct Function {
  const char* op;
  Tensor (*apply)(const Tensor& x, double a, double b);
  const char* first = nullptr;
  float a = 0;
  const char* second = nullptr;
  float b = 0;
};
// PRelu, LeakyRelu and their kin have at 0 the gradient of the positive side.
constexpr Function functions[] = {
    {"Abs", [](const Tensor& x, double, double) { return at::abs(x); }},
    {"Ceil", [](const Tensor& x, double, double) { return at::ceil(x); }},
    {"Celu", [](const Tensor& x, double a, double) { return at::celu(x, a); }, "alpha", 1.0F},
    {"Cos", [](const Tensor& x, double, double) { return at::cos(x); }},
    {"Elu", [](const Tensor& x, double a, double) { return at::elu(x, a); }, "alpha", 1.0F},
    {"Erf", [](const Tensor& x, double, double) { return at::erf(x); }},
    {"Exp", [](const Tensor& x, double, double) { return at::exp(x); }},
    {"Floor", [](const Tensor& x, double, double) { return at::floor(x); }},
    {"HardSigmoid", [](const Tensor& x, double a, double b) { return at::clamp(x * a + b, 0, 1); }, "alpha", 0.2F, "beta", 0.5F},
    {"HardSwish", [](const Tensor& x, double, double) { return at::hardswish(x); }},
    {"Identity", [](const Tensor& x, double, double) { return x; }},
    {"LeakyRelu", [](const Tensor& x, double a, double) { return at::leaky_relu(x, a); }, "alpha", 0.01F},
    {"Log", [](const Tensor& x, double, double) { return at::log(x); }},
    {"Mish", [](const Tensor& x, double, double) { return at::mish(x); }},
    {"Neg", [](const Tensor& x, double, double) { return at::neg(x); }},
    {"Not", [](const Tensor& x, double, double) { return at::logical_not(x); }},
    {"Reciprocal", [](const Tensor& x, double, double) { return at::reciprocal(x); }},
    {"Round", [](const Tensor& x, double, double) { return at::round(x); }},
    {"Selu", [](const Tensor& x, double a, double b) { return at::elu(x, a, b); }, "alpha", 1.67326319F, "gamma", 1.05070102F},
    {"Sigmoid", [](const Tensor& x, double, double) { return at::sigmoid(x); }},
    {"Sign", [](const Tensor& x, double, double) { return at::sign(x); }},
    {"Sin", [](const Tensor& x, double, double) { return at::sin(x); }},
    {"Softplus", [](const Tensor& x, double, double) { return at::softplus(x, 1, 40); }},
    {"Softsign", [](const Tensor& x, double, double) { return x / (1 + at::abs(x)); }},
    {"Sqrt", [](const Tensor& x, double, double) { return at::sqrt(x); }},
    {"Tanh", [](const Tensor& x, double, double) { return at::tanh(x); }},
    {"ThresholdedRelu", [](const Tensor& x, double a, double) { return at::threshold(x, a, 0); }, "alpha", 1.0F},
};

struct Binary {
  const char* op;
  Tensor (*apply)(const Tensor& a, const Tensor& b);
};
constexpr Binary binaries[] = {
    {"And", [](const Tensor& a, const Tensor& b) { return at::logical_and(a, b); }},
    {"Div",
     [](const Tensor& a, const Tensor& b) { return at::isIntegralType(a.scalar_type(), true) ? at::div(a, b, "trunc") : at::div(a, b); }},
    {"Equal", [](const Tensor& a, const Tensor& b) { return at::eq(a, b); }},
    {"Greater", [](const Tensor& a, const Tensor& b) { return at::gt(a, b); }},
    {"GreaterOrEqual", [](const Tensor& a, const Tensor& b) { return at::ge(a, b); }},
    {"Less", [](const Tensor& a, const Tensor& b) { return at::lt(a, b); }},
    {"LessOrEqual", [](const Tensor& a, const Tensor& b) { return at::le(a, b); }},
    {"Mul", [](const Tensor& a, const Tensor& b) { return at::mul(a, b); }},
    {"Or", [](const Tensor& a, const Tensor& b) { return at::logical_or(a, b); }},
    // The slope is broadcast from the right, as ONNX has it.
    {"PRelu", [](const Tensor& x, const Tensor& slope) { return at::where(x >= 0, x, x * slope); }},
    {"Pow", [](const Tensor& a, const Tensor& b) { return at::pow(a, b).to(a.scalar_type()); }},
    {"Sub", [](const Tensor& a, const Tensor& b) { return at::sub(a, b); }},
    {"Xor", [](const Tensor& a, const Tensor& b) { return at::logical_xor(a, b); }},
};

constexpr Binary folds[] = {
    {"Max", [](const Tensor& a, const Tensor& b) { return at::maximum(a, b); }},
    {"Mean", [](const Tensor& a, const Tensor& b) { return at::add(a, b); }},
    {"Min", [](const Tensor& a, const Tensor& b) { return at::minimum(a, b); }},
    {"Sum", [](const Tensor& a, const Tensor& b) { return at::add(a, b); }},
};

template <class Rows>
const auto* row_of(const Rows& rows, const std::string& op) {
  const auto* const found = std::find_if(std::begin(rows), std::end(rows), [&](const auto& row) { return op == row.op; });
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace

Result<Kernel> compile_function(const Site& site) {
  const Function* row = row_of(functions, site.node.op_type);
  if (row == nullptr) return site.unsupported("this function");
  const double a = row->first == nullptr ? 0 : site.node.real(row->first, row->a);
  const double b = row->second == nullptr ? 0 : site.node.real(row->second, row->b);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=, apply = row->apply](Frame& frame) { frame.slots[y] = apply(frame.slots[x], a, b); });
}

Result<Kernel> compile_binary(const Site& site) {
  const Binary* row = row_of(binaries, site.node.op_type);
  if (row == nullptr) return site.unsupported("this function of two tensors");
  const auto a = static_cast<std::size_t>(site.in(0));
  const auto b = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=, apply = row->apply](Frame& frame) { frame.slots[y] = apply(frame.slots[a], frame.slots[b]); });
}

Result<Kernel> compile_fold(const Site& site) {
  const Binary* row = row_of(folds, site.node.op_type);
  if (row == nullptr) return site.unsupported("this function of several tensors");
  std::vector<std::size_t> inputs;
  for (const int slot : site.inputs) inputs.push_back(static_cast<std::size_t>(slot));
  const auto y = static_cast<std::size_t>(site.out());
  const bool mean = site.node.op_type == "Mean";
  return Kernel([=, apply = row->apply](Frame& frame) {
    Tensor result = frame.slots[inputs[0]];
    for (std::size_t i = 1; i < inputs.size(); ++i) result = apply(result, frame.slots[inputs[i]]);
    frame.slots[y] = mean ? result / static_cast<double>(inputs.size()) : result;
  });
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

Result<Kernel> compile_gelu(const Site& site) {
  const std::string form = site.node.text("approximate", "none");
  if (form != "none" && form != "tanh") return site.invalid(fmt::format("approximate \"{}\" is neither none nor tanh", form));
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = at::gelu(frame.slots[x], form); });
}

Result<Kernel> compile_where(const Site& site) {
  const auto condition = static_cast<std::size_t>(site.in(0));
  const auto a = static_cast<std::size_t>(site.in(1));
  const auto b = static_cast<std::size_t>(site.in(2));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = at::where(frame.slots[condition].to(torch::kBool), frame.slots[a], frame.slots[b]); });
}

}  // namespace sightline::autograd
