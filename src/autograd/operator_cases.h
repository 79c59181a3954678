// One-node graphs for every operator: the gradient test and the parity test of the two engines run the same rows. For tests only.
#pragma once

#include <fmt/format.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"

namespace sightline::autograd::operator_cases {

using graph::Attribute;
using graph::Graph;
using Integers = std::vector<std::int64_t>;

inline Tensor random_tensor(Dtype dtype, const Shape& shape, Random& random, double low, double high) {
  std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
  for (double& value : values) value = random.uniform(low, high);
  if (dtype == Dtype::f64) return Tensor::of(shape, values);
  return Tensor::of(shape, std::vector<float>(values.begin(), values.end()));
}

// One operator with its other inputs as initializers.
struct Case {
  std::string label, op;
  Shape input;
  std::vector<Shape> weights;  // real initializers, inputs 1..
  std::map<std::string, Attribute> attributes{};
  std::vector<Integers> structure{};  // integer initializers behind them (shapes, axes, pads)
  bool training = true;
  double low = -1.5, high = 1.5;  // of the input
  std::int64_t opset = 17;
};
inline void PrintTo(const Case& each, std::ostream* stream) { *stream << each.label; }

inline Graph graph_of(const Case& each, Dtype dtype) {
  Random random(17);
  Graph graph;
  graph.opset = each.opset;
  Shape signature = each.input;
  graph.inputs = {{"x", dtype, signature}};
  graph::Node node{.name = "node", .op_type = each.op, .inputs = {"x"}, .outputs = {"y"}, .attributes = each.attributes, .domain = ""};
  for (const Shape& shape : each.weights) {
    const std::string name = fmt::format("w{}", node.inputs.size());
    node.inputs.push_back(name);
    const bool positive = each.op == "BatchNormalization" || each.op == "Div" || each.op == "Pow";
    graph.initializers[name] = random_tensor(dtype, shape, random, positive ? 0.5 : -1, positive ? 1.5 : 1);
  }
  for (const Integers& values : each.structure) {
    const std::string name = fmt::format("s{}", node.inputs.size());
    node.inputs.push_back(name);
    graph.initializers[name] = Tensor::of({static_cast<std::int64_t>(values.size())}, values);
  }
  graph.nodes = {node};
  graph.outputs = {{"y", dtype, {}}};
  auto shapes = graph::infer_shapes(graph);
  // Where the shapes do not fit, the engines say so.
  if (shapes.ok()) graph.outputs[0].shape = shapes->at("y").shape;
  return graph;
}

inline std::vector<Case> cases() {
  const std::int64_t two = 2;
  const std::int64_t one = 1;
  const std::string upper = "SAME_UPPER";
  const std::string lower = "SAME_LOWER";
  return {
      {"conv", "Conv", {2, 3, 5, 6}, {{4, 3, 3, 3}, {4}}, {{"pads", Integers{1, 1, 1, 1}}}},
      {"conv_stride_dilation", "Conv", {2, 2, 7, 8}, {{3, 2, 3, 2}}, {{"strides", Integers{2, 1}}, {"dilations", Integers{1, 2}}}},
      {"conv_groups", "Conv", {2, 4, 5, 5}, {{4, 2, 3, 3}, {4}}, {{"group", two}, {"pads", Integers{1, 1, 1, 1}}}},
      {"conv_depthwise", "Conv", {2, 3, 5, 5}, {{3, 1, 3, 3}}, {{"group", std::int64_t{3}}}},
      {"conv_asymmetric", "Conv", {2, 2, 5, 5}, {{3, 2, 2, 2}, {3}}, {{"pads", Integers{0, 1, 1, 0}}}},
      {"conv_same_upper", "Conv", {2, 2, 5, 6}, {{3, 2, 2, 4}}, {{"auto_pad", upper}, {"strides", Integers{2, 2}}}},
      {"conv_same_lower", "Conv", {2, 2, 5, 6}, {{3, 2, 2, 4}}, {{"auto_pad", lower}, {"strides", Integers{2, 2}}}},
      {"conv_1d", "Conv", {2, 2, 9}, {{3, 2, 3}, {3}}, {{"pads", Integers{1, 2}}}},
      {"conv_transpose", "ConvTranspose", {2, 3, 3, 4}, {{3, 2, 3, 3}, {2}}, {{"strides", Integers{2, 2}}, {"pads", Integers{1, 0, 0, 1}}}},
      {"conv_transpose_output_padding",
       "ConvTranspose",
       {1, 2, 3, 3},
       {{2, 2, 3, 3}, {2}},
       {{"strides", Integers{2, 2}}, {"pads", Integers{1, 1, 1, 1}}, {"output_padding", Integers{1, 1}}}},
      {"batch_norm_training", "BatchNormalization", {4, 3, 2, 3}, {{3}, {3}, {3}, {3}}},
      {"batch_norm_serving", "BatchNormalization", {4, 3, 2, 3}, {{3}, {3}, {3}, {3}}, {}, {}, false},
      {"relu", "Relu", {2, 7}, {}},
      {"leaky_relu", "LeakyRelu", {2, 7}, {}, {{"alpha", 0.2F}}},
      {"prelu", "PRelu", {2, 3, 2, 2}, {{3, 1, 1}}},
      {"clip", "Clip", {2, 7}, {}, {{"min", -0.5F}, {"max", 0.75F}}, {}, true, -1.5, 1.5, 10},
      {"sigmoid", "Sigmoid", {2, 7}, {}},
      {"hard_sigmoid", "HardSigmoid", {2, 7}, {}, {{"alpha", 0.5F}, {"beta", 0.25F}}},
      {"hard_swish", "HardSwish", {2, 7}, {}, {}, {}, true, -4, 4},
      {"tanh", "Tanh", {2, 7}, {}},
      {"softmax", "Softmax", {2, 7}, {}},
      {"softmax_axis", "Softmax", {2, 3, 4}, {}, {{"axis", one}}},
      {"softmax_old", "Softmax", {2, 3, 4}, {}, {{"axis", one}}, {}, true, -1.5, 1.5, 11},
      {"log_softmax", "LogSoftmax", {2, 7}, {}},
      {"add", "Add", {2, 3, 4}, {{3, 1}}},
      {"sub", "Sub", {2, 3, 4}, {{4}}},
      {"mul", "Mul", {2, 3, 4}, {{3, 1}}},
      {"div", "Div", {2, 3, 4}, {{3, 1}}},
      {"pow", "Pow", {2, 3}, {{1}}, {}, {}, true, 0.5, 2},
      {"sqrt", "Sqrt", {2, 3}, {}, {}, {}, true, 0.5, 2},
      {"exp", "Exp", {2, 3}, {}},
      {"max_pool",
       "MaxPool",
       {2, 2, 6, 5},
       {},
       {{"kernel_shape", Integers{3, 2}}, {"strides", Integers{2, 1}}, {"pads", Integers{1, 1, 1, 1}}}},
      {"max_pool_asymmetric", "MaxPool", {2, 2, 5, 5}, {}, {{"kernel_shape", Integers{2, 2}}, {"pads", Integers{0, 0, 1, 1}}}},
      {"max_pool_ceil", "MaxPool", {2, 2, 6, 6}, {}, {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}, {"ceil_mode", one}}},
      {"average_pool", "AveragePool", {2, 2, 6, 6}, {}, {{"kernel_shape", Integers{2, 3}}, {"strides", Integers{2, 1}}}},
      {"average_pool_asymmetric", "AveragePool", {2, 2, 5, 5}, {}, {{"kernel_shape", Integers{2, 2}}, {"pads", Integers{0, 0, 1, 1}}}},
      {"average_pool_counting_pads",
       "AveragePool",
       {2, 2, 5, 5},
       {},
       {{"kernel_shape", Integers{3, 3}}, {"pads", Integers{1, 1, 1, 1}}, {"count_include_pad", one}}},
      {"average_pool_ceil",
       "AveragePool",
       {2, 2, 6, 6},
       {},
       {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}, {"ceil_mode", one}}},
      {"global_average_pool", "GlobalAveragePool", {2, 3, 4, 5}, {}},
      {"global_max_pool", "GlobalMaxPool", {2, 3, 4, 5}, {}},
      {"gemm", "Gemm", {3, 4}, {{5, 4}, {5}}, {{"transB", one}}},
      {"gemm_scaled", "Gemm", {4, 3}, {{4, 5}, {1, 5}}, {{"transA", one}, {"alpha", 0.5F}, {"beta", 2.0F}}},
      {"matmul", "MatMul", {2, 3, 4}, {{4, 5}}},
      {"flatten", "Flatten", {2, 3, 4}, {}, {{"axis", two}}},
      {"reshape", "Reshape", {2, 3, 4}, {}, {}, {{0, -1, 2}}},
      {"transpose", "Transpose", {2, 3, 4}, {}, {{"perm", Integers{2, 0, 1}}}},
      {"concat", "Concat", {2, 3, 4}, {{2, 2, 4}}, {{"axis", one}}},
      {"pad", "Pad", {2, 3, 4}, {}, {}, {{0, 1, 2, 1, 0, 0}}},
      {"pad_reflect", "Pad", {2, 2, 4, 4}, {}, {{"mode", std::string("reflect")}}, {{0, 0, 1, 2, 0, 0, 0, 1}}},
      {"pad_edge", "Pad", {2, 2, 4, 4}, {}, {{"mode", std::string("edge")}}, {{0, 0, 1, 2, 0, 0, 0, 1}}},
      {"squeeze", "Squeeze", {2, 1, 4, 1}, {}, {}, {{1, -1}}},
      {"unsqueeze", "Unsqueeze", {2, 4}, {}, {}, {{0, -1}}},
      {"identity", "Identity", {2, 4}, {}},
      {"dropout_serving", "Dropout", {2, 4}, {}, {}, {}, false},
      {"reduce_mean", "ReduceMean", {2, 3, 4}, {}, {{"axes", Integers{1, -1}}, {"keepdims", std::int64_t{0}}}},
  };
}

}  // namespace sightline::autograd::operator_cases
