// Every operator of the table against the plain reference, over shapes that oneDNN's kernels treat differently (channels that fill blocks
// of 8 and 16 and that do not, odd sizes, one and several images).
#include "graph/operators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "runtime/reference_test.h"
#include "runtime/session.h"

namespace sightline::runtime {
namespace {

using graph::Attribute;
using graph::Graph;
using Attributes = std::map<std::string, Attribute>;
using Ints = std::vector<std::int64_t>;

constexpr double tolerance = 1e-4;  // relative to the output's scale

Tensor random_tensor(Random& random, const Shape& shape, double low = -2, double high = 2) {
  Tensor tensor(Dtype::f32, shape);
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(low, high));
  return tensor;
}

Tensor ints(const Ints& values) { return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values); }

// One operator (or a few) between inputs and one output; the first dimension of inputs is free unless fixed.
struct Case {
  std::string what;
  std::vector<Shape> inputs;
  std::map<std::string, Tensor> constants;
  std::vector<graph::Node> nodes;
  std::int64_t opset = 17;
  double low = -2, high = 2;
  Dtype dtype = Dtype::f32;
  bool fixed = false;
};

graph::Node node(const std::string& op, std::vector<std::string> inputs, const std::string& output, Attributes attributes = {}) {
  return {"node_" + output, op, std::move(inputs), {output}, std::move(attributes), ""};
}

Graph graph_of(const Case& c) {
  Graph graph;
  graph.opset = c.opset;
  graph.initializers = c.constants;
  graph.nodes = c.nodes;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    Shape shape = c.inputs[i];
    if (!c.fixed) shape[0] = -1;
    graph.inputs.push_back({i == 0 ? "x" : "x" + std::to_string(i), c.dtype, shape});
  }
  const auto values = graph::infer_shapes(graph);
  EXPECT_TRUE(values.ok()) << c.what << ": " << (values.ok() ? "" : values.error().message);
  if (values.ok()) graph.outputs = {values->at("y")};
  return graph;
}

std::vector<Tensor> inputs_of(const Case& c, std::uint64_t seed) {
  Random random(seed);
  std::vector<Tensor> inputs;
  for (const Shape& shape : c.inputs) {
    Tensor tensor = random_tensor(random, shape, c.low, c.high);
    if (c.dtype == Dtype::u8) {
      Tensor bytes(Dtype::u8, shape);
      for (auto& v : bytes.values<std::uint8_t>()) v = static_cast<std::uint8_t>(random.below(256));
      tensor = bytes;
    } else if (c.dtype == Dtype::i64) {
      Tensor numbers(Dtype::i64, shape);
      for (auto& v : numbers.values<std::int64_t>()) v = static_cast<std::int64_t>(random.below(100)) - 50;
      tensor = numbers;
    }
    inputs.push_back(tensor);
  }
  return inputs;
}

void check(const Case& c) {
  SCOPED_TRACE(c.what);
  const Graph graph = graph_of(c);
  if (graph.outputs.empty()) return;
  auto session = Session::create(graph, {.threads = 2});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const auto inputs = inputs_of(c, 7);
  const auto got = session->run(inputs);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_LE(relative_difference((*got)[0], reference_run(graph, inputs)[0]), tolerance);
  // Once more: nothing of the first run may be left in the way.
  const auto again = session->run(inputs);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE((*again)[0].same_as((*got)[0]));
}

void check_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) check(c);
}

Case conv_case(const std::string& what, const Shape& x, const Shape& w, Attributes attributes, bool bias, const std::string& op = "Conv") {
  Random random(3);
  Case c{.what = what, .inputs = {x}, .constants = {{"w", random_tensor(random, w, -0.3, 0.3)}}};
  std::vector<std::string> inputs{"x", "w"};
  const auto groups = attributes.contains("group") ? std::get<std::int64_t>(attributes.at("group")) : 1;
  if (bias) {
    c.constants["b"] = random_tensor(random, {op == "Conv" ? w[0] : w[1] * groups});
    inputs.emplace_back("b");
  }
  c.nodes = {node(op, inputs, "y", std::move(attributes))};
  return c;
}

TEST(RuntimeOperators, Conv) {
  check_all({
      conv_case("plain", {2, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}, true),
      conv_case("odd channels", {3, 5, 8, 7}, {7, 5, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}, false),
      conv_case("first", {1, 1, 28, 28}, {16, 1, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}, true),
      conv_case("three channels", {2, 3, 17, 17}, {24, 3, 5, 5}, {{"pads", Ints{2, 2, 2, 2}}}, true),
      conv_case("1x1", {2, 24, 6, 6}, {40, 24, 1, 1}, {}, true),
      conv_case("asymmetric padding", {1, 8, 9, 9}, {8, 8, 3, 3}, {{"pads", Ints{0, 1, 2, 3}}, {"strides", Ints{2, 1}}}, true),
      conv_case("dilated", {1, 16, 12, 12}, {16, 16, 3, 3}, {{"dilations", Ints{2, 3}}, {"pads", Ints{2, 3, 2, 3}}}, true),
      conv_case("grouped", {2, 12, 7, 7}, {8, 3, 3, 3}, {{"group", std::int64_t{4}}, {"pads", Ints{1, 1, 1, 1}}}, true),
      conv_case("grouped blocks", {2, 32, 7, 7}, {64, 16, 3, 3}, {{"group", std::int64_t{2}}}, false),
      conv_case("depthwise", {2, 24, 11, 11}, {24, 1, 3, 3}, {{"group", std::int64_t{24}}, {"pads", Ints{1, 1, 1, 1}}}, true),
      conv_case("depthwise odd", {1, 13, 8, 8}, {13, 1, 3, 3}, {{"group", std::int64_t{13}}, {"strides", Ints{2, 2}}}, true),
      conv_case("same upper", {1, 6, 10, 9}, {8, 6, 3, 4}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}, true),
      conv_case("same lower", {1, 6, 10, 9}, {8, 6, 4, 4}, {{"auto_pad", std::string("SAME_LOWER")}}, true),
      conv_case("valid", {1, 6, 10, 9}, {8, 6, 3, 3}, {{"auto_pad", std::string("VALID")}}, true),
      conv_case("one axis", {2, 4, 20}, {6, 4, 5}, {{"pads", Ints{2, 1}}, {"strides", Ints{3}}}, true),
      conv_case("three axes", {1, 4, 5, 6, 7}, {8, 4, 3, 3, 3}, {{"pads", Ints{1, 1, 1, 1, 1, 1}}}, true),
  });
}

TEST(RuntimeOperators, ConvTranspose) {
  const auto of = [](const std::string& what, const Shape& x, const Shape& w, Attributes attributes, bool bias) {
    return conv_case(what, x, w, std::move(attributes), bias, "ConvTranspose");
  };
  check_all({
      of("doubling", {2, 16, 5, 5}, {16, 8, 2, 2}, {{"strides", Ints{2, 2}}}, true),
      of("padding", {1, 5, 6, 7}, {5, 7, 3, 3}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}, false),
      of("output padding", {1, 4, 6, 6}, {4, 6, 3, 3},
         {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}}, true),
      of("grouped", {2, 8, 4, 4}, {8, 3, 3, 3}, {{"group", std::int64_t{2}}, {"strides", Ints{2, 1}}}, true),
      of("dilated", {1, 4, 5, 5}, {4, 4, 3, 3}, {{"dilations", Ints{2, 2}}}, true),
  });
}

TEST(RuntimeOperators, FunctionsOfOneTensor) {
  std::vector<Case> cases;
  for (const Shape& shape : {Shape{2, 5, 7, 3}, Shape{3, 32}, Shape{2, 1, 1}}) {
    const auto add = [&](const std::string& op, Attributes attributes, double low = -8, double high = 8) {
      cases.push_back({.what = op, .inputs = {shape}, .nodes = {node(op, {"x"}, "y", std::move(attributes))}, .low = low, .high = high});
    };
    add("Relu", {});
    add("LeakyRelu", {{"alpha", 0.2F}});
    add("LeakyRelu", {});
    add("Sigmoid", {});
    add("HardSigmoid", {});
    add("HardSigmoid", {{"alpha", 1.0F / 6}, {"beta", 0.5F}});
    add("HardSwish", {});
    add("Tanh", {});
    add("Sqrt", {}, 0, 9);
    add("Exp", {}, -4, 4);
    add("Identity", {});
    add("Dropout", {});
  }
  check_all(cases);
}

TEST(RuntimeOperators, Clip) {
  const Tensor low = Tensor::of<float>({}, {-0.5F}), high = Tensor::of<float>({}, {1.5F});
  const Shape shape{2, 3, 5, 5};
  check_all({
      {.what = "inputs", .inputs = {shape}, .constants = {{"l", low}, {"h", high}}, .nodes = {node("Clip", {"x", "l", "h"}, "y")}},
      {.what = "low", .inputs = {shape}, .constants = {{"l", low}}, .nodes = {node("Clip", {"x", "l"}, "y")}},
      {.what = "high", .inputs = {shape}, .constants = {{"h", high}}, .nodes = {node("Clip", {"x", "", "h"}, "y")}},
      {.what = "attributes", .inputs = {shape}, .nodes = {node("Clip", {"x"}, "y", {{"min", 0.0F}, {"max", 1.0F}})}, .opset = 10},
  });
}

TEST(RuntimeOperators, PRelu) {
  Random random(5);
  const Shape shape{2, 6, 5, 4};
  std::vector<Case> cases;
  for (const Shape& slope : {Shape{6, 1, 1}, Shape{1, 6, 1, 1}, Shape{1}, Shape{4}, Shape{6, 5, 4}})
    cases.push_back({.what = to_string(slope),
                     .inputs = {shape},
                     .constants = {{"s", random_tensor(random, slope)}},
                     .nodes = {node("PRelu", {"x", "s"}, "y")}});
  cases.push_back({.what = "computed", .inputs = {shape, shape}, .nodes = {node("PRelu", {"x", "x1"}, "y")}});
  check_all(cases);
}

TEST(RuntimeOperators, Arithmetic) {
  Random random(6);
  std::vector<Case> cases;
  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{2, 5, 4, 3}, {2, 5, 4, 3}},
                                                                   {{2, 16, 4, 3}, {2, 16, 1, 1}},
                                                                   {{2, 5, 1, 1}, {2, 5, 4, 3}},
                                                                   {{2, 5, 4, 1}, {2, 1, 1, 3}},
                                                                   {{2, 7}, {2, 1}},
                                                                   {{2}, {2}}}) {
      cases.push_back({.what = std::string(op) + " " + to_string(a) + " " + to_string(b),
                       .inputs = {a, b},
                       .nodes = {node(op, {"x", "x1"}, "y")},
                       .low = 0.5,
                       .high = 3});
    }
    for (const Shape& constant : {Shape{}, Shape{1}, Shape{5, 1, 1}, Shape{1, 5, 1, 1}, Shape{3}, Shape{4, 3}, Shape{5, 4, 3},
                                  Shape{1, 1, 4, 1}, Shape{1, 1, 1, 1, 1}}) {
      for (bool left : {false, true}) {
        cases.push_back({.what = std::string(op) + " constant " + to_string(constant) + (left ? " left" : " right"),
                         .inputs = {{2, 5, 4, 3}},
                         .constants = {{"c", random_tensor(random, constant, 0.5, 3)}},
                         .nodes = {left ? node(op, {"c", "x"}, "y") : node(op, {"x", "c"}, "y")},
                         .low = 0.5,
                         .high = 3});
      }
    }
    cases.push_back(
        {.what = std::string(op) + " integers", .inputs = {{3, 4}, {3, 1}}, .nodes = {node(op, {"x", "x1"}, "y")}, .dtype = Dtype::i64});
  }
  cases.back().nodes = {node("Mul", {"x", "x1"}, "y")};  // random divisors hold zeros
  for (float exponent : {2.0F, 0.5F, 3.0F, -1.0F, 1.7F})
    cases.push_back({.what = "Pow " + std::to_string(exponent),
                     .inputs = {{2, 5, 4, 3}},
                     .constants = {{"c", Tensor::of<float>({}, {exponent})}},
                     .nodes = {node("Pow", {"x", "c"}, "y")},
                     .low = 0.5,
                     .high = 3});
  cases.push_back({.what = "Pow two", .inputs = {{2, 5, 4}, {2, 1, 4}}, .nodes = {node("Pow", {"x", "x1"}, "y")}, .low = 0.5, .high = 3});
  cases.push_back({.what = "Pow base",
                   .inputs = {{2, 5}},
                   .constants = {{"c", Tensor::of<float>({}, {2.0F})}},
                   .nodes = {node("Pow", {"c", "x"}, "y")},
                   .low = 0.5,
                   .high = 3});
  cases.push_back({.what = "Pow by an integer",
                   .inputs = {{2, 5}},
                   .constants = {{"c", Tensor::of<std::int64_t>({}, {2})}},
                   .nodes = {node("Pow", {"x", "c"}, "y")}});
  cases.push_back({.what = "with itself", .inputs = {{2, 5}}, .nodes = {node("Mul", {"x", "x"}, "y")}});
  check_all(cases);
}

TEST(RuntimeOperators, Pools) {
  std::vector<Case> cases;
  const auto add = [&](const std::string& op, const Shape& x, Attributes attributes) {
    cases.push_back({.what = op + " " + to_string(x) + " " + std::to_string(cases.size()),
                     .inputs = {x},
                     .nodes = {node(op, {"x"}, "y", std::move(attributes))}});
  };
  for (const char* op : {"MaxPool", "AveragePool"}) {
    add(op, {2, 16, 8, 8}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
    add(op, {2, 5, 9, 8}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
    add(op, {1, 3, 9, 8}, {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 3}}, {"pads", Ints{0, 1, 1, 0}}});
    add(op, {1, 3, 10, 7}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", std::int64_t{1}}});
    add(op, {1, 3, 10, 7}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}});
    add(op, {2, 4, 11}, {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}});
    add(op, {1, 2, 5, 6, 7}, {{"kernel_shape", Ints{2, 2, 2}}, {"strides", Ints{2, 2, 2}}});
  }
  add("MaxPool", {1, 3, 12, 12}, {{"kernel_shape", Ints{3, 3}}, {"dilations", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  for (const Shape& x : {Shape{2, 5, 10, 7}, Shape{1, 16, 8, 8}, Shape{1, 3, 10}}) {
    for (std::int64_t ceil : {0, 1}) {
      const std::size_t spatial = x.size() - 2;
      add("AveragePool", x,
          {{"kernel_shape", Ints(spatial, 3)},
           {"strides", Ints(spatial, 2)},
           {"pads", Ints(2 * spatial, 1)},
           {"ceil_mode", ceil},
           {"count_include_pad", std::int64_t{1}}});
    }
  }
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"})
    for (const Shape& x : {Shape{2, 16, 7, 7}, Shape{1, 5, 4, 9}, Shape{2, 3, 6}, Shape{1, 4, 3, 4, 5}}) add(op, x, {});
  check_all(cases);
}

TEST(RuntimeOperators, ReduceMean) {
  std::vector<Case> cases;
  for (const Ints& axes : {Ints{2, 3}, Ints{-1}, Ints{1}, Ints{0, 2}, Ints{0, 1, 2, 3}, Ints{1, 2, 3}})
    for (std::int64_t keep : {0, 1})
      cases.push_back({.what = to_string(axes) + (keep != 0 ? " kept" : ""),
                       .inputs = {{2, 6, 5, 4}},
                       .nodes = {node("ReduceMean", {"x"}, "y", {{"axes", axes}, {"keepdims", keep}})}});
  cases.push_back({.what = "all", .inputs = {{2, 6, 5}}, .nodes = {node("ReduceMean", {"x"}, "y", {})}});
  cases.push_back({.what = "one",
                   .inputs = {{2, 1, 5}},
                   .nodes = {node("ReduceMean", {"x"}, "y", {{"axes", Ints{1}}, {"keepdims", std::int64_t{0}}})}});
  cases.push_back({.what = "axes as input",
                   .inputs = {{2, 6, 5}},
                   .constants = {{"a", ints({1})}},
                   .nodes = {node("ReduceMean", {"x", "a"}, "y")},
                   .opset = 18});
  check_all(cases);
}

TEST(RuntimeOperators, BatchNormalization) {
  Random random(9);
  for (const Shape& x : {Shape{2, 16, 5, 5}, Shape{3, 5, 4, 6}, Shape{2, 7, 9}, Shape{4, 10}}) {
    Case c{.what = to_string(x), .inputs = {x}};
    for (const char* name : {"scale", "shift", "mean"}) c.constants[name] = random_tensor(random, {x[1]});
    c.constants["variance"] = random_tensor(random, {x[1]}, 0.1, 2);
    c.nodes = {node("BatchNormalization", {"x", "scale", "shift", "mean", "variance"}, "y", {{"epsilon", 1e-3F}})};
    check(c);
    c.what += " with Relu";
    c.nodes[0].outputs[0] = "n";
    c.nodes.push_back(node("Relu", {"n"}, "y"));
    check(c);
  }
}

TEST(RuntimeOperators, Gemm) {
  Random random(10);
  std::vector<Case> cases;
  for (std::int64_t trans_b : {0, 1})
    for (const Shape& bias : {Shape{}, Shape{10}, Shape{1, 10}, Shape{1}, Shape{3, 1}, Shape{3, 10}})
      for (float alpha : {1.0F, 0.5F}) {
        Case c{.what = "B' " + std::to_string(trans_b) + " bias " + to_string(bias) + " alpha " + std::to_string(alpha),
               .inputs = {{3, 20}}};
        c.constants = {{"b", random_tensor(random, trans_b != 0 ? Shape{10, 20} : Shape{20, 10})}, {"c", random_tensor(random, bias)}};
        c.nodes = {node("Gemm", {"x", "b", "c"}, "y", {{"transB", trans_b}, {"alpha", alpha}, {"beta", 2.0F}})};
        c.fixed = true;
        cases.push_back(c);
      }
  cases.push_back({.what = "A'",
                   .inputs = {{20, 3}, {20, 10}},
                   .nodes = {node("Gemm", {"x", "x1"}, "y", {{"transA", std::int64_t{1}}})},
                   .fixed = true});
  cases.push_back({.what = "all computed",
                   .inputs = {{3, 20}, {10, 20}, {3, 1}},
                   .nodes = {node("Gemm", {"x", "x1", "x2"}, "y", {{"transB", std::int64_t{1}}, {"beta", 0.5F}})},
                   .fixed = true});
  // The same matrix read in both ways must not be taken for one constant.
  const Tensor square = random_tensor(random, {16, 16});
  cases.push_back({.what = "both ways",
                   .inputs = {{3, 16}},
                   .constants = {{"b", square}},
                   .nodes = {node("Gemm", {"x", "b"}, "h"), node("Gemm", {"h", "b"}, "y", {{"transB", std::int64_t{1}}})}});
  check_all(cases);
}

TEST(RuntimeOperators, MatMul) {
  Random random(11);
  std::vector<Case> cases;
  const auto computed = [&](const Shape& a, const Shape& b) {
    cases.push_back(
        {.what = to_string(a) + " by " + to_string(b), .inputs = {a, b}, .nodes = {node("MatMul", {"x", "x1"}, "y")}, .fixed = true});
  };
  const auto constant = [&](const Shape& a, const Shape& b) {
    cases.push_back({.what = to_string(a) + " by constant " + to_string(b),
                     .inputs = {a},
                     .constants = {{"b", random_tensor(random, b)}},
                     .nodes = {node("MatMul", {"x", "b"}, "y")},
                     .fixed = true});
  };
  computed({3, 5}, {5, 7});
  computed({2, 3, 5}, {2, 5, 7});
  computed({2, 1, 3, 5}, {4, 5, 7});
  computed({2, 3, 5}, {5, 7});
  computed({5}, {5, 7});
  computed({3, 5}, {5});
  computed({5}, {5});
  constant({3, 5}, {5, 7});
  constant({2, 3, 5}, {5, 16});
  constant({2, 3, 5}, {5});
  constant({2, 3, 5}, {2, 5, 4});
  constant({5}, {5, 4});
  check_all(cases);
}

TEST(RuntimeOperators, Softmax) {
  std::vector<Case> cases;
  for (const char* op : {"Softmax", "LogSoftmax"})
    for (std::int64_t opset : {11, 17})
      for (std::int64_t axis : {-1, 0, 1, 2})
        cases.push_back({.what = op, .inputs = {{3, 17, 4}}, .nodes = {node(op, {"x"}, "y", {{"axis", axis}})}, .opset = opset});
  cases.push_back({.what = "default", .inputs = {{3, 10}}, .nodes = {node("Softmax", {"x"}, "y")}});
  cases.push_back({.what = "default early", .inputs = {{3, 10, 2}}, .nodes = {node("Softmax", {"x"}, "y")}, .opset = 9});
  cases.push_back({.what = "large", .inputs = {{3, 10}}, .nodes = {node("Softmax", {"x"}, "y")}, .low = -80, .high = 80});
  check_all(cases);
}

TEST(RuntimeOperators, ShapesAndOrder) {
  check_all({
      {.what = "flatten", .inputs = {{2, 3, 4, 5}}, .nodes = {node("Flatten", {"x"}, "y")}},
      {.what = "flatten 2", .inputs = {{2, 3, 4, 5}}, .nodes = {node("Flatten", {"x"}, "y", {{"axis", std::int64_t{2}}})}},
      {.what = "reshape", .inputs = {{2, 3, 4}}, .constants = {{"s", ints({0, -1})}}, .nodes = {node("Reshape", {"x", "s"}, "y")}},
      {.what = "squeeze", .inputs = {{2, 3, 1, 1}}, .constants = {{"a", ints({2, 3})}}, .nodes = {node("Squeeze", {"x", "a"}, "y")}},
      {.what = "squeeze early", .inputs = {{2, 3, 1, 1}}, .nodes = {node("Squeeze", {"x"}, "y", {{"axes", Ints{2, 3}}})}, .opset = 11},
      {.what = "unsqueeze", .inputs = {{2, 3}}, .constants = {{"a", ints({-1, 1})}}, .nodes = {node("Unsqueeze", {"x", "a"}, "y")}},
      {.what = "transpose",
       .inputs = {{2, 3, 4, 5}},
       .nodes = {node("Transpose", {"x"}, "y", {{"perm", Ints{0, 2, 3, 1}}})},
       .fixed = true},
      {.what = "transpose all", .inputs = {{2, 3, 4, 5}}, .nodes = {node("Transpose", {"x"}, "y")}, .fixed = true},
      {.what = "transpose bytes",
       .inputs = {{2, 3, 4}},
       .nodes = {node("Transpose", {"x"}, "y", {{"perm", Ints{2, 0, 1}}})},
       .dtype = Dtype::u8,
       .fixed = true},
      {.what = "transpose i64",
       .inputs = {{2, 3, 4}},
       .nodes = {node("Transpose", {"x"}, "y", {{"perm", Ints{2, 0, 1}}})},
       .dtype = Dtype::i64,
       .fixed = true},
      {.what = "function of a transposed",
       .inputs = {{2, 3, 4, 5}},
       .nodes = {node("Transpose", {"x"}, "t", {{"perm", Ints{0, 3, 1, 2}}}), node("Sigmoid", {"t"}, "y")}},
      {.what = "reshape of a transposed",
       .inputs = {{2, 3, 4, 5}},
       .constants = {{"s", ints({0, -1})}},
       .nodes = {node("Transpose", {"x"}, "t", {{"perm", Ints{0, 3, 1, 2}}}), node("Reshape", {"t", "s"}, "y")}},
  });
}

TEST(RuntimeOperators, Pieces) {
  Random random(12);
  const Tensor number = Tensor::of<float>({}, {1.5F});
  check_all({
      {.what = "concat channels",
       .inputs = {{2, 3, 4, 4}, {2, 5, 4, 4}},
       .nodes = {node("Concat", {"x", "x1"}, "y", {{"axis", std::int64_t{1}}})}},
      {.what = "concat last",
       .inputs = {{2, 3, 4}, {2, 3, 2}},
       .nodes = {node("Concat", {"x", "x1", "x"}, "y", {{"axis", std::int64_t{-1}}})}},
      {.what = "concat one", .inputs = {{2, 3, 4}}, .nodes = {node("Concat", {"x"}, "y", {{"axis", std::int64_t{1}}})}},
      {.what = "concat i64",
       .inputs = {{2, 3}, {2, 4}},
       .nodes = {node("Concat", {"x", "x1"}, "y", {{"axis", std::int64_t{1}}})},
       .dtype = Dtype::i64},
      {.what = "pad",
       .inputs = {{2, 3, 4, 4}},
       .constants = {{"p", ints({0, 0, 1, 2, 0, 0, 3, 0})}, {"v", number}},
       .nodes = {node("Pad", {"x", "p", "v"}, "y")}},
      {.what = "pad and cut",
       .inputs = {{2, 3, 4, 4}},
       .constants = {{"p", ints({0, 1, -1, 0, 0, 0, 2, -2})}},
       .nodes = {node("Pad", {"x", "p"}, "y")}},
      {.what = "pad early",
       .inputs = {{2, 3, 4}},
       .nodes = {node("Pad", {"x"}, "y", {{"pads", Ints{0, 1, 0, 0, 0, 2}}, {"value", -1.0F}})},
       .opset = 10},
      {.what = "gather",
       .inputs = {{2, 3, 4, 5}},
       .constants = {{"i", ints({2, 0, -1, 2})}},
       .nodes = {node("Gather", {"x", "i"}, "y", {{"axis", std::int64_t{1}}})}},
      {.what = "gather one",
       .inputs = {{2, 3, 4, 5}},
       .constants = {{"i", Tensor::of<std::int64_t>({}, {1})}},
       .nodes = {node("Gather", {"x", "i"}, "y", {{"axis", std::int64_t{2}}})}},
  });
}

TEST(RuntimeOperators, Resize) {
  std::vector<Case> cases;
  for (const char* mode : {"nearest", "linear"})
    for (const char* coordinates : {"half_pixel", "asymmetric"})
      for (float scale : {2.0F, 0.5F})
        cases.push_back({.what = std::string(mode) + " " + coordinates + " " + std::to_string(scale),
                         .inputs = {{2, 3, 6, 8}},
                         .constants = {{"s", Tensor::of<float>({4}, {1, 1, scale, scale})}},
                         .nodes = {node("Resize", {"x", "", "s"}, "y",
                                        {{"mode", std::string(mode)},
                                         {"coordinate_transformation_mode", std::string(coordinates)},
                                         {"nearest_mode", std::string("floor")}})}});
  check_all(cases);
}

TEST(RuntimeOperators, Cast) {
  std::vector<Case> cases;
  const auto to = [](Dtype dtype) { return Attributes{{"to", graph::onnx_dtype(dtype)}}; };
  for (Dtype dtype : {Dtype::i32, Dtype::i64, Dtype::f64, Dtype::boolean, Dtype::f32, Dtype::i8})
    cases.push_back(
        {.what = name_of(dtype), .inputs = {{2, 3, 4}}, .nodes = {node("Cast", {"x"}, "y", to(dtype))}, .low = -100, .high = 100});
  for (Dtype dtype : {Dtype::f32, Dtype::i32, Dtype::i64})
    cases.push_back({.what = std::string("bytes to ") + name_of(dtype),
                     .inputs = {{2, 3, 4, 3}},
                     .nodes = {node("Cast", {"x"}, "y", to(dtype))},
                     .dtype = Dtype::u8});
  cases.push_back({.what = "i64", .inputs = {{2, 3}}, .nodes = {node("Cast", {"x"}, "y", to(Dtype::f32))}, .dtype = Dtype::i64});
  check_all(cases);
}

// u8 N×H×W×C, Cast, Transpose, Sub, Div: one step, and the same numbers to the bit.
TEST(RuntimeOperators, ImagesComeInThroughOneStep) {
  for (std::int64_t channels : {1, 3}) {
    const Tensor mean = Tensor::filled({1, channels, 1, 1}, 127.3F), deviation = Tensor::filled({1, channels, 1, 1}, 58.7F);
    Case c{.what = "image", .inputs = {{3, 6, 5, channels}}, .constants = {{"m", mean}, {"d", deviation}}, .dtype = Dtype::u8};
    c.nodes = {node("Cast", {"x"}, "r", {{"to", graph::onnx_dtype(Dtype::f32)}}),
               node("Transpose", {"r"}, "t", {{"perm", Ints{0, 3, 1, 2}}}), node("Sub", {"t", "m"}, "c"), node("Div", {"c", "d"}, "y")};
    check(c);
    auto session = Session::create(graph_of(c));
    ASSERT_TRUE(session.ok());
    const auto inputs = inputs_of(c, 7);
    const auto steps = session->profile(inputs);
    ASSERT_TRUE(steps.ok());
    ASSERT_EQ(steps->size(), 1U);
    EXPECT_EQ((*steps)[0].op_type, "Cast+Transpose+Sub+Div");
    const auto got = session->run(inputs);
    ASSERT_TRUE(got.ok());
    const auto bytes = inputs[0].values<std::uint8_t>();
    for (std::int64_t n = 0; n < 3; ++n)
      for (std::int64_t k = 0; k < channels; ++k)
        for (std::int64_t i = 0; i < 30; ++i)
          ASSERT_EQ((*got)[0].values<float>()[static_cast<std::size_t>((n * channels + k) * 30 + i)],
                    (static_cast<float>(bytes[static_cast<std::size_t>((n * 30 + i) * channels + k)]) - 127.3F) / 58.7F);
  }
}

TEST(RuntimeOperators, TheTableIsSortedAndKnownToShapeInference) {
  const auto names = supported_operators();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  std::set<std::string> known;
  for (const auto& row : graph::operators()) known.insert(row.op_type);
  for (const std::string& name : names) EXPECT_TRUE(known.contains(name)) << name;
}

}  // namespace
}  // namespace sightline::runtime
