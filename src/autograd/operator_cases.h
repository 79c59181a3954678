// One-node graphs for every operator: the gradient test and the parity test of the two engines run the same rows. For tests only.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
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
  bool differentiable = true;                   // false: integers or choices come out; only the value is held
  std::function<void(Graph&)> adapt = nullptr;  // changes the graph before its shapes are inferred: other orders of inputs, more nodes
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
  if (each.adapt) each.adapt(graph);
  auto shapes = graph::infer_shapes(graph);
  // Where the shapes do not fit, the engines say so.
  if (shapes.ok()) graph.outputs[0] = {"y", shapes->at("y").dtype, shapes->at("y").shape};
  return graph;
}

// The node's inputs in this order.
inline std::function<void(Graph&)> inputs(std::vector<std::string> names) {
  return [names = std::move(names)](Graph& graph) { graph.nodes[0].inputs = names; };
}
// `tensor` as an initializer, and the node's inputs in this order.
inline std::function<void(Graph&)> with(const std::string& name, const Tensor& tensor, std::vector<std::string> names) {
  return [=](Graph& graph) {
    graph.initializers[name] = tensor;
    graph.nodes[0].inputs = names;
  };
}
// A boolean tensor.
inline Tensor choices(const Shape& shape, const std::vector<bool>& values) {
  Tensor tensor(Dtype::boolean, shape);
  std::copy(values.begin(), values.end(), tensor.values<bool>().begin());
  return tensor;
}
// The node's further outputs.
inline std::function<void(Graph&)> outputs(std::vector<std::string> names) {
  return [names = std::move(names)](Graph& graph) { graph.nodes[0].outputs = names; };
}
// What exporters write to flatten a batch of any size: Reshape to (Shape(x)[0], -1), with further nodes in front of the one that is tested.
inline void computed_shape(Graph& graph) {
  graph.initializers["zero"] = Tensor::of({1}, Integers{0});
  graph.initializers["rest"] = Tensor::of({1}, Integers{-1});
  const auto node = [](const std::string& op, std::vector<std::string> from, const std::string& to) {
    graph::Node made{.name = to, .op_type = op, .inputs = std::move(from), .outputs = {to}, .attributes = {}, .domain = ""};
    if (op == "Concat") made.attributes["axis"] = std::int64_t{0};
    return made;
  };
  const std::vector<graph::Node> before{node("Shape", {"x"}, "shape"), node("Gather", {"shape", "zero"}, "batch"),
                                        node("Concat", {"batch", "rest"}, "target")};
  graph.nodes[0].inputs = {"x", "target"};
  graph.nodes.insert(graph.nodes.begin(), before.begin(), before.end());
}

inline std::vector<Case> basic_cases() {
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

// Each of the functions of one tensor that has nothing to it but its name.
inline void add_functions(std::vector<Case>& list) {
  for (const char* op : {"Abs", "Cos", "Erf", "Gelu", "Mish", "Neg", "Selu", "Sin", "Softplus", "Softsign", "Elu", "Celu"}) {
    std::string label = op;
    for (char& c : label) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    list.push_back({label, op, {2, 7}, {}});
    if (label == "gelu") list.back().opset = 20;
  }
  for (const char* op : {"Log", "Reciprocal"}) list.push_back({op, op, {2, 5}, {}, {}, {}, true, 0.5, 2});
  // Steps: the value counts, the gradient is 0 almost everywhere.
  for (const char* op : {"Ceil", "Floor", "Round", "Sign"}) list.push_back({op, op, {2, 7}, {}});
  for (const char* op : {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
    list.push_back({op, op, {2, 3}, {{3}}, {}, {}, true, -1.5, 1.5, 17, false});
  const Tensor some = choices({2, 3}, {true, false, true, true, false, false});
  for (const char* op : {"And", "Or", "Xor"}) {
    // Of a comparison of x and a constant.
    list.push_back({op, op, {2, 3}, {{3}}, {}, {}, true, -1.5, 1.5, 17, false, [some](Graph& graph) {
                      graph.initializers["some"] = some;
                      graph.nodes[0].inputs = {"less", "some"};
                      graph.nodes.insert(
                          graph.nodes.begin(),
                          {.name = "less", .op_type = "Less", .inputs = {"x", "w1"}, .outputs = {"less"}, .attributes = {}, .domain = ""});
                    }});
  }
  list.push_back({"not", "Not", {2, 3}, {{3}}, {}, {}, true, -1.5, 1.5, 17, false, [](Graph& graph) {
                    graph.nodes[0].inputs = {"less"};
                    graph.nodes.insert(
                        graph.nodes.begin(),
                        {.name = "less", .op_type = "Less", .inputs = {"x", "w1"}, .outputs = {"less"}, .attributes = {}, .domain = ""});
                  }});
}

inline void add_reductions(std::vector<Case>& list) {
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare"})
    list.push_back({op, op, {2, 3, 4}, {}, {{"axes", Integers{1, -1}}}});
  list.push_back({"ReduceLogSum", "ReduceLogSum", {2, 3, 4}, {}, {{"axes", Integers{0}}}, {}, true, 0.5, 2});
  list.push_back({"reduce_sum", "ReduceSum", {2, 3, 4}, {}, {{"keepdims", std::int64_t{0}}}, {{1}}});
  list.push_back({"reduce_sum_all", "ReduceSum", {2, 3, 4}, {}});
  list.push_back({"reduce_max_all", "ReduceMax", {2, 3}, {}, {{"keepdims", std::int64_t{0}}}});
}

inline void add_pieces(std::vector<Case>& list) {
  const std::int64_t one = 1, two = 2;
  list.push_back({"slice", "Slice", {2, 5, 6}, {}, {}, {{1, -4}, {4, 100}, {1, 2}, {1, 2}}});
  list.push_back({"slice_backwards", "Slice", {2, 5, 6}, {}, {}, {{-1, 4}, {-100, 0}, {1, 2}, {-2, -1}}});
  list.push_back({"slice_old",
                  "Slice",
                  {2, 5, 6},
                  {},
                  {{"starts", Integers{1}}, {"ends", Integers{3}}, {"axes", Integers{1}}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  9});
  list.push_back({"split", "Split", {2, 5, 2}, {}, {{"axis", one}}, {{2, 3}}, true, -1.5, 1.5, 17, true, outputs({"y", "rest"})});
  list.push_back({"split_second", "Split", {2, 6}, {}, {{"axis", -one}}, {}, true, -1.5, 1.5, 17, true, outputs({"first", "y", ""})});
  list.push_back({"split_old",
                  "Split",
                  {2, 5},
                  {},
                  {{"axis", one}, {"split", Integers{1, 4}}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  12,
                  true,
                  outputs({"first", "y"})});
  list.push_back({"gather", "Gather", {2, 4, 3}, {}, {{"axis", one}}, {{3, -1, 0}}});
  list.push_back({"gather_one",
                  "Gather",
                  {2, 4, 3},
                  {},
                  {{"axis", two}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  17,
                  true,
                  with("at", Tensor::of({}, Integers{1}), {"x", "at"})});
  list.push_back({"gather_elements",
                  "GatherElements",
                  {2, 3},
                  {},
                  {{"axis", one}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  17,
                  true,
                  with("at", Tensor::of({2, 2}, Integers{0, 2, -1, -1}), {"x", "at"})});
  list.push_back({"expand", "Expand", {3, 1}, {}, {}, {{2, 1, 4}}});
  list.push_back({"tile", "Tile", {2, 3}, {}, {}, {{2, 3}}});
  list.push_back(
      {"where", "Where", {2, 3}, {{3}}, {}, {}, true, -1.5, 1.5, 17, true, with("c", choices({2, 1}, {true, false}), {"c", "x", "w1"})});
  list.push_back({"where_else",
                  "Where",
                  {2, 3},
                  {{3}},
                  {},
                  {},
                  true,
                  -1.5,
                  1.5,
                  17,
                  true,
                  with("c", choices({3}, {true, false, false}), {"c", "w1", "x"})});
  list.push_back({"depth_to_space", "DepthToSpace", {2, 8, 2, 3}, {}, {{"blocksize", two}}});
  list.push_back({"depth_to_space_crd", "DepthToSpace", {2, 8, 2, 3}, {}, {{"blocksize", two}, {"mode", std::string("CRD")}}});
  list.push_back({"space_to_depth", "SpaceToDepth", {2, 2, 4, 6}, {}, {{"blocksize", two}}});
  list.push_back({"reshape_computed", "Reshape", {2, 3, 4}, {}, {}, {}, true, -1.5, 1.5, 17, true, computed_shape});
  list.push_back({"shape", "Shape", {2, 3, 4}, {}, {}, {}, true, -1.5, 1.5, 17, false});
  list.push_back({"size", "Size", {2, 3, 4}, {}, {}, {}, true, -1.5, 1.5, 17, false});
  const auto from_shape = [](Graph& graph) {
    graph.nodes[0].inputs = {"shape"};
    graph.nodes.insert(graph.nodes.begin(),
                       {.name = "shape", .op_type = "Shape", .inputs = {"x"}, .outputs = {"shape"}, .attributes = {}, .domain = ""});
  };
  list.push_back({"constant_of_shape",
                  "ConstantOfShape",
                  {2, 3},
                  {},
                  {{"value", Tensor::of({1}, std::vector<float>{2.5F})}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  17,
                  false,
                  from_shape});
  list.push_back({"range", "Range", {2, 3}, {}, {}, {}, true, -1.5, 1.5, 17, false, [](Graph& graph) {
                    graph.initializers["zero"] = Tensor::of({}, Integers{0});
                    graph.initializers["two"] = Tensor::of({}, Integers{2});
                    graph.nodes[0].inputs = {"zero", "size", "two"};
                    graph.nodes.insert(
                        graph.nodes.begin(),
                        {.name = "size", .op_type = "Size", .inputs = {"x"}, .outputs = {"size"}, .attributes = {}, .domain = ""});
                  }});
}

inline void add_arithmetic(std::vector<Case>& list) {
  list.push_back({"sub_right", "Sub", {2, 3}, {{3}}, {}, {}, true, -1.5, 1.5, 17, true, inputs({"w1", "x"})});
  list.push_back({"div_right", "Div", {2, 3}, {{2, 3}}, {}, {}, true, 0.5, 2, 17, true, inputs({"w1", "x"})});
  list.push_back({"pow_exponent", "Pow", {2, 3}, {{2, 3}}, {}, {}, true, -1.5, 1.5, 17, true, inputs({"w1", "x"})});
  list.push_back({"max", "Max", {2, 3, 4}, {{3, 1}, {4}}});
  list.push_back({"min", "Min", {2, 3}, {{2, 3}}});
  list.push_back({"mean", "Mean", {2, 3}, {{2, 3}, {3}}});
  list.push_back({"sum", "Sum", {2, 3}, {{2, 3}, {3}}});
  list.push_back({"matmul_batched", "MatMul", {2, 3, 2, 4}, {{3, 4, 5}}});
  list.push_back({"matmul_right", "MatMul", {2, 4, 3}, {{5, 4}}, {}, {}, true, -1.5, 1.5, 17, true, inputs({"w1", "x"})});
  list.push_back({"matmul_self", "MatMul", {2, 3, 3}, {}, {}, {}, true, -1.5, 1.5, 17, true, inputs({"x", "x"})});
  list.push_back({"einsum", "Einsum", {2, 3, 4}, {{5, 4}}, {{"equation", std::string("bij,kj->bik")}}});
  list.push_back({"clip_inputs", "Clip", {2, 7}, {}, {}, {}, true, -1.5, 1.5, 17, true, [](Graph& graph) {
                    const bool wide = graph.inputs[0].dtype == Dtype::f64;
                    graph.initializers["low"] =
                        wide ? Tensor::of({}, std::vector<double>{-0.5}) : Tensor::of({}, std::vector<float>{-0.5F});
                    graph.initializers["high"] =
                        wide ? Tensor::of({}, std::vector<double>{0.75}) : Tensor::of({}, std::vector<float>{0.75F});
                    graph.nodes[0].inputs = {"x", "low", "high"};
                  }});
  list.push_back({"thresholded_relu", "ThresholdedRelu", {2, 7}, {}, {{"alpha", 0.5F}}});
  list.push_back({"gelu_tanh", "Gelu", {2, 7}, {}, {{"approximate", std::string("tanh")}}, {}, true, -1.5, 1.5, 20});
}

inline void add_normalisation(std::vector<Case>& list) {
  const std::int64_t one = 1, three = 3;
  list.push_back({"instance_norm", "InstanceNormalization", {2, 3, 4, 2}, {{3}, {3}}});
  list.push_back({"layer_norm", "LayerNormalization", {2, 3, 6}, {{6}, {6}}});
  list.push_back({"layer_norm_axis", "LayerNormalization", {2, 3, 6}, {{3, 6}}, {{"axis", one}, {"epsilon", 1e-3F}}});
  list.push_back({"lp_normalization", "LpNormalization", {2, 3, 4}, {}, {{"axis", one}}});
  list.push_back({"lp_normalization_1", "LpNormalization", {2, 5}, {}, {{"p", one}}});
  list.push_back({"lrn", "LRN", {2, 5, 3, 2}, {}, {{"size", three}, {"alpha", 0.3F}, {"beta", 0.6F}, {"bias", 2.0F}}});
  list.push_back({"lrn_even", "LRN", {1, 5, 2, 2}, {}, {{"size", one * 4}, {"alpha", 0.3F}}});
  list.push_back({"mean_variance_normalization", "MeanVarianceNormalization", {2, 3, 4, 2}, {}});
}

inline void add_resizes(std::vector<Case>& list) {
  const auto resize = [&](const std::string& label, const std::string& mode, const std::string& coordinates, const Integers& sizes) {
    list.push_back({label,
                    "Resize",
                    {1, 2, 4, 5},
                    {},
                    {{"mode", mode}, {"coordinate_transformation_mode", coordinates}},
                    {},
                    true,
                    -1.5,
                    1.5,
                    17,
                    true,
                    with("sizes", Tensor::of({4}, sizes), {"x", "", "", "sizes"})});
  };
  resize("resize_nearest", "nearest", "asymmetric", {1, 2, 8, 10});
  resize("resize_linear", "linear", "half_pixel", {1, 2, 7, 10});
  resize("resize_linear_corners", "linear", "align_corners", {1, 2, 7, 3});
  resize("resize_cubic", "cubic", "half_pixel", {1, 2, 7, 10});
  list.push_back({"upsample",
                  "Upsample",
                  {2, 2, 3, 2},
                  {},
                  {{"mode", std::string("nearest")}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  9,
                  true,
                  with("scales", Tensor::of({4}, std::vector<float>{1, 1, 2, 3}), {"x", "scales"})});
  list.push_back({"upsample_linear",
                  "Upsample",
                  {2, 2, 3, 2},
                  {},
                  {{"mode", std::string("linear")}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  9,
                  true,
                  with("scales", Tensor::of({4}, std::vector<float>{1, 1, 2, 2}), {"x", "scales"})});
}

inline void add_recurrent(std::vector<Case>& list) {
  const std::string both = "bidirectional", back = "reverse";
  const std::int64_t one = 1;
  const Attribute hidden = std::int64_t{2};
  list.push_back({"lstm", "LSTM", {3, 2, 4}, {{1, 8, 4}, {1, 8, 2}, {1, 16}}, {{"hidden_size", hidden}}});
  list.push_back({"lstm_both", "LSTM", {3, 2, 4}, {{2, 8, 4}, {2, 8, 2}}, {{"hidden_size", hidden}, {"direction", both}}});
  list.push_back({"lstm_states",
                  "LSTM",
                  {3, 2, 4},
                  {{1, 8, 4}, {1, 8, 2}, {1, 16}, {1, 2, 2}, {1, 2, 2}, {1, 6}},
                  {{"hidden_size", hidden}, {"direction", back}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  17,
                  true,
                  inputs({"x", "w1", "w2", "w3", "", "w4", "w5", "w6"})});
  list.push_back({"gru", "GRU", {3, 2, 4}, {{1, 6, 4}, {1, 6, 2}, {1, 12}}, {{"hidden_size", hidden}}});
  list.push_back({"gru_linear",
                  "GRU",
                  {3, 2, 4},
                  {{2, 6, 4}, {2, 6, 2}, {2, 12}},
                  {{"hidden_size", hidden}, {"direction", both}, {"linear_before_reset", one}}});
  list.push_back({"rnn", "RNN", {3, 2, 4}, {{1, 2, 4}, {1, 2, 2}, {1, 4}}, {{"hidden_size", hidden}, {"direction", back}}});
  list.push_back({"lstm_last",
                  "LSTM",
                  {2, 3, 4},
                  {{1, 8, 4}, {1, 8, 2}, {1, 16}},
                  {{"hidden_size", hidden}, {"layout", one}},
                  {},
                  true,
                  -1.5,
                  1.5,
                  17,
                  true,
                  outputs({"all", "y"})});
}

// Boxes of two pictures, three classes' scores of each; both are f32, whatever the rest of the graph is.
inline void add_ranking(std::vector<Case>& list) {
  Case each{"non_max_suppression", "NonMaxSuppression", {2, 12, 4}, {}};
  each.differentiable = false;
  each.adapt = [](Graph& graph) {
    Random random(23);
    graph.inputs[0].dtype = Dtype::f32;
    graph.initializers["scores"] = random_tensor(Dtype::f32, {2, 3, 12}, random, 0, 1);
    graph.initializers["most"] = Tensor::of({1}, Integers{4});
    graph.initializers["overlap"] = Tensor::filled({1}, 0.3F);
    graph.initializers["least"] = Tensor::filled({1}, 0.2F);
    graph.nodes[0].inputs = {"x", "scores", "most", "overlap", "least"};
  };
  list.push_back(each);
  each.label = "non_max_suppression_centred";
  each.attributes["center_point_box"] = std::int64_t{1};
  list.push_back(each);
}

inline std::vector<Case> cases() {
  std::vector<Case> list = basic_cases();
  for (const auto add :
       {add_functions, add_arithmetic, add_reductions, add_pieces, add_normalisation, add_resizes, add_recurrent, add_ranking})
    add(list);
  return list;
}

}  // namespace sightline::autograd::operator_cases
