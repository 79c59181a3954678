#include "runtime/operators.h"

#include <algorithm>

#include "runtime/session.h"

namespace sightline::runtime {
namespace {

// Sorted by name.
constexpr Operator operators[] = {
    {"Add", nullptr, plan_arithmetic},
    {"AveragePool", plan_pool, nullptr},
    {"BatchNormalization", nullptr, plan_batch_normalization},
    {"Cast", nullptr, plan_cast},
    {"Clip", plan_elementwise, nullptr},
    {"Concat", plan_concat, nullptr},
    {"Conv", nullptr, plan_convolution},
    {"ConvTranspose", nullptr, plan_transposed_convolution},
    {"Div", nullptr, plan_arithmetic},
    {"Dropout", plan_identity, nullptr},
    {"Exp", plan_elementwise, nullptr},
    {"Flatten", plan_reshape, nullptr},
    {"Gather", plan_gather, nullptr},
    {"Gemm", nullptr, plan_gemm},
    {"GlobalAveragePool", plan_global_pool, nullptr},
    {"GlobalMaxPool", plan_global_pool, nullptr},
    {"HardSigmoid", plan_elementwise, nullptr},
    {"HardSwish", plan_elementwise, nullptr},
    {"Identity", plan_identity, nullptr},
    {"LeakyRelu", plan_elementwise, nullptr},
    {"LogSoftmax", plan_softmax, nullptr},
    {"MatMul", nullptr, plan_matmul},
    {"MaxPool", plan_pool, nullptr},
    {"Mul", nullptr, plan_arithmetic},
    {"PRelu", plan_prelu, nullptr},
    {"Pad", plan_pad, nullptr},
    {"Pow", nullptr, plan_arithmetic},
    {"ReduceMean", plan_reduce_mean, nullptr},
    {"Relu", plan_elementwise, nullptr},
    {"Reshape", plan_reshape, nullptr},
    {"Resize", plan_resize, nullptr},
    {"Sigmoid", plan_elementwise, nullptr},
    {"Softmax", plan_softmax, nullptr},
    {"Sqrt", plan_elementwise, nullptr},
    {"Squeeze", plan_reshape, nullptr},
    {"Sub", nullptr, plan_arithmetic},
    {"Tanh", plan_elementwise, nullptr},
    {"Transpose", plan_transpose, nullptr},
    {"Unsqueeze", plan_reshape, nullptr},
};

}  // namespace

const Operator* find_operator(const graph::Node& node) {
  if (!node.domain.empty()) return nullptr;
  const auto* it = std::ranges::lower_bound(operators, std::string_view(node.op_type), {},
                                            [](const Operator& row) { return std::string_view(row.name); });
  return it != std::end(operators) && node.op_type == it->name ? it : nullptr;
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> names;
  for (const Operator& row : operators) names.emplace_back(row.name);
  return names;
}

}  // namespace sightline::runtime
