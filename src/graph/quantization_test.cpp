// QDQ graphs have the form that is agreed with the runtime, and their numbers are those that the ranges permit.
#include "graph/quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "graph/graphs_for_test.h"
#include "graph/operators.h"

namespace sightline::graph {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Graph prepared(const Result<Graph>& graph) {
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  auto result = prepare_for_quantization(*graph);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? *std::move(result) : Graph{};
}

// Every planned value as large as 1.
Graph quantized(const Graph& graph, const std::set<std::string>& kept = {}) {
  const auto plan = plan_quantization(graph, kept);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
  std::map<std::string, float> greatest;
  for (const QuantizedValue& value : plan->values) greatest[value.name] = 1;
  auto result = write_qdq(graph, *plan, greatest);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? *std::move(result) : Graph{};
}

const Node* maker_of(const Graph& graph, const std::string& value) {
  for (const Node& node : graph.nodes)
    if (std::ranges::find(node.outputs, value) != node.outputs.end()) return &node;
  return nullptr;
}

// What the value is a dequantised copy of; "" when it is none.
std::string source_of(const Graph& graph, const std::string& value) {
  const Node* dequantize = maker_of(graph, value);
  if (dequantize == nullptr || dequantize->op_type != "DequantizeLinear") return "";
  const Node* quantize = maker_of(graph, dequantize->inputs[0]);
  return quantize != nullptr && quantize->op_type == "QuantizeLinear" ? quantize->inputs[0] : "";
}

std::vector<std::string> names_of(const QuantizationPlan& plan) {
  std::vector<std::string> names;
  for (const QuantizedValue& value : plan.values) names.push_back(value.name);
  return names;
}

// image → conv+relu a → conv+relu b → conv c + a → relu → global pool → flatten → gemm → softmax
Graph residual_net() {
  Builder b(3);
  const std::string image = b.image_input(8, 8, 3, {120, 110, 100}, {60, 61, 62});
  const std::string a = b.relu(b.batch_norm(b.conv(image, 8, {})));
  b.rename(a, "a");
  const std::string second = b.relu(b.batch_norm(b.conv("a", 8, {.groups = 8})));
  b.rename(second, "b");
  const std::string sum = b.relu(b.add(b.batch_norm(b.conv("b", 8, {.bias = true})), "a"));
  b.rename(sum, "c");
  const std::string pooled = b.global_average_pool("c");
  b.rename(pooled, "pooled");
  const std::string flat = b.flatten("pooled");
  b.rename(flat, "flat");
  b.rename(b.softmax(b.linear("flat", 5)), "answer");
  return prepared(b.finish({"answer"}, {}));
}

TEST(Quantization, PairsStandBehindActivationsAndSumsAndNowhereElse) {
  const Graph net = residual_net();
  const auto plan = plan_quantization(net);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->layers.size(), 4U);
  const std::vector<std::string> names = names_of(*plan);
  ASSERT_EQ(names.size(), 6U);  // the normalised image, a, b, c, pooled, flat
  EXPECT_THAT(std::vector(names.begin() + 1, names.end()), ElementsAre("a", "b", "c", "pooled", "flat"));
  EXPECT_FALSE(plan->values[0].is_unsigned);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_TRUE(plan->values[i].is_unsigned) << names[i];
  EXPECT_EQ(plan->groups, 4U);  // c, pooled and flat share a scale
  EXPECT_EQ(plan->values[3].group, plan->values[5].group);

  const Graph integer = quantized(net);
  for (const Node& node : integer.nodes) {
    if (node.op_type != "Conv" && node.op_type != "Gemm") continue;
    EXPECT_NE(source_of(integer, node.inputs[0]), "") << node.name;
    const Node *weights = maker_of(integer, node.inputs[1]), *bias = maker_of(integer, node.inputs[2]);
    ASSERT_TRUE(weights != nullptr && bias != nullptr) << node.name;
    EXPECT_EQ(weights->op_type, "DequantizeLinear");
    EXPECT_EQ(weights->integer("axis", 1), 0);
    EXPECT_EQ(integer.initializers.at(weights->inputs[0]).dtype(), Dtype::i8);
    EXPECT_EQ(integer.initializers.at(bias->inputs[0]).dtype(), Dtype::i32);
    // The bias' scales are the input's times the weights'.
    const float input = integer.initializers.at(maker_of(integer, node.inputs[0])->inputs[1]).values<float>()[0];
    const auto& scales = integer.initializers.at(weights->inputs[1]);
    for (std::size_t c = 0; c < static_cast<std::size_t>(scales.count()); ++c)
      EXPECT_FLOAT_EQ(integer.initializers.at(bias->inputs[1]).values<float>()[c], input * scales.values<float>()[c]);
    if (node.op_type == "Gemm") {
      EXPECT_EQ(node.integer("transB", 0), 1);
    }
  }
  // The sum reads the convolution itself and the residual's integers; Softmax reads the product itself.
  for (const Node& node : integer.nodes) {
    if (node.op_type == "Add") {
      EXPECT_EQ(maker_of(integer, node.inputs[0])->op_type, "Conv");
      EXPECT_EQ(source_of(integer, node.inputs[1]), "a");
    }
    if (node.op_type == "Softmax") {
      EXPECT_EQ(maker_of(integer, node.inputs[0])->op_type, "Gemm");
    }
    if (node.op_type == "Relu") {
      EXPECT_EQ(source_of(integer, node.inputs[0]), "");
    }
  }
  // One pair for both readers of a.
  EXPECT_EQ(std::ranges::count_if(integer.nodes, [](const Node& node) { return node.op_type == "QuantizeLinear"; }), 6);
  EXPECT_EQ(integer.opset, 17);
}

// The other convention: the sum reads integers on both sides.
TEST(Quantization, PairsMayStandBeforeSumsToo) {
  const Graph net = residual_net();
  const auto plan = plan_quantization(net, {}, true);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->values.size(), 7U);
  std::map<std::string, float> greatest;
  for (const QuantizedValue& value : plan->values) greatest[value.name] = 1;
  const auto integer = write_qdq(net, *plan, greatest);
  ASSERT_TRUE(integer.ok()) << integer.error().message;
  for (const Node& node : integer->nodes) {
    if (node.op_type != "Add") continue;
    for (const std::string& input : node.inputs) EXPECT_NE(source_of(*integer, input), "") << input;
  }
}

TEST(Quantization, LayersThatAreKeptTakeTheirValuesWithThem) {
  const Graph net = residual_net();
  const auto all = plan_quantization(net);
  ASSERT_TRUE(all.ok());
  const std::string last = all->layers.back().name;
  const auto plan = plan_quantization(net, {last});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->layers.size(), 3U);
  // Nobody wants c and what is behind it as integers any more.
  EXPECT_THAT(names_of(*plan), testing::AllOf(Contains("a"), Contains("b"), Not(Contains("c")), Not(Contains("flat"))));
  const Graph integer = quantized(net, {last});
  for (const Node& node : integer.nodes)
    if (node.op_type == "Gemm") {
      EXPECT_EQ(integer.initializers.at(node.inputs[1]).dtype(), Dtype::f32);
    }
  // Whatever is left out, nothing is wanted that the whole plan does not want: ranges are observed once.
  const std::vector<std::string> known = names_of(*all);
  for (const QuantizedLayer& left : all->layers)
    for (const std::string& name : names_of(*plan_quantization(net, {left.name}))) EXPECT_THAT(known, Contains(name));
}

TEST(Quantization, GatesConcatenationAndShufflesShareScales) {
  Builder b(4);
  const std::string x = b.input("x", Dtype::f32, {-1, 8, 6, 6});
  const std::string swish = b.silu(b.conv(x, 8, {.bias = true}));
  const std::string hard = b.hard_swish(b.conv(swish, 8, {.bias = true}));
  const std::string both = b.channel_shuffle(b.concat({swish, hard}), 2);
  const std::vector<std::string> halves = b.split(both, {8, 8});
  const std::string left = b.relu(b.conv(halves[0], 8, {.bias = true}));
  const std::string y = b.conv(b.concat({left, halves[1]}), 4, {.bias = true});
  const Graph net = prepared(b.finish({y}, {}));
  const auto plan = plan_quantization(net);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->layers.size(), 4U);
  EXPECT_EQ(plan->groups, 2U);  // x, and everything that the two concatenations tie together
  for (const QuantizedValue& value : plan->values) {
    EXPECT_FALSE(value.is_unsigned) << value.name;
    const Node* maker = maker_of(net, value.name);
    if (maker != nullptr) {
      EXPECT_TRUE(maker->op_type != "Sigmoid" && maker->op_type != "Conv") << value.name;
    }
  }
}

TEST(Quantization, SqueezeAndExcitationMultipliesIntegers) {
  Builder b(5);
  const std::string x = b.relu(b.conv(b.input("x", Dtype::f32, {-1, 8, 6, 6}), 8, {.bias = true}));
  const std::string gate =
      b.sigmoid(b.conv(b.relu(b.conv(b.global_average_pool(x), 4, {.kernel = 1, .bias = true})), 8, {.kernel = 1, .bias = true}));
  const std::string y = b.conv(b.mul(x, gate), 4, {.bias = true});
  const Graph integer = quantized(prepared(b.finish({y}, {})));
  for (const Node& node : integer.nodes) {
    if (node.op_type != "Mul") continue;
    EXPECT_EQ(source_of(integer, node.inputs[0]), x);
    EXPECT_EQ(source_of(integer, node.inputs[1]), gate);
  }
}

// GELU reads a value twice and nobody multiplies integers there: only what the products read is quantised.
TEST(Quantization, WhatOnlyF32OperatorsReadStaysF32) {
  Builder b(6);
  const std::string x = b.input("x", Dtype::f32, {-1, 7, 16});
  const std::string first = b.node("MatMul", {x, b.constant("w1", Tensor::filled({16, 32}, 0.1F))});
  const std::string erf = b.node("Erf", {b.node("Div", {first, b.constant("root", Tensor::filled({}, 1.41421356F))})});
  const std::string gelu = b.mul(first, b.node("Add", {erf, b.constant("one", Tensor::filled({}, 1))}));
  const std::string y = b.node("MatMul", {gelu, b.constant("w2", Tensor::filled({32, 16}, 0.1F))});
  const Graph net = prepared(b.finish({y}, {}));
  const auto plan = plan_quantization(net);
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(names_of(*plan), ElementsAre(x, gelu));
  for (const QuantizedLayer& layer : plan->layers) EXPECT_EQ(layer.axis, 1U);
}

TEST(Quantization, WeightsAreWithinHalfAStepOfEachChannel) {
  Random random(11);
  Tensor weights(Dtype::f32, {4, 3, 3, 3});
  for (float& v : weights.values<float>()) v = static_cast<float>(random.normal());
  for (std::size_t i = 0; i < 27; ++i) weights.values<float>()[i] *= 1000;  // one channel is much larger,
  for (std::size_t i = 54; i < 81; ++i) weights.values<float>()[i] = 0;     // one is empty
  for (const std::size_t axis : {std::size_t{0}, std::size_t{1}}) {
    const QuantizedWeights quantized = quantize_weights(weights, axis, nullptr, 0.01F);
    ASSERT_EQ(quantized.scales.count(), weights.dim(axis));
    const Tensor back = dequantize(quantized.values, quantized.scales, axis);
    std::vector<int> most(static_cast<std::size_t>(weights.dim(axis)));
    for (std::size_t i = 0; i < 108; ++i) {
      const std::size_t channel = axis == 0 ? i / 27 : i / 9 % 3;
      const float scale = quantized.scales.values<float>()[channel];
      EXPECT_LE(std::abs(back.values<float>()[i] - weights.values<float>()[i]), 0.5001F * scale);
      most[channel] = std::max(most[channel], std::abs(static_cast<int>(quantized.values.values<std::int8_t>()[i])));
    }
    for (std::size_t c = 0; c < most.size(); ++c) EXPECT_EQ(most[c], axis == 0 && c == 2 ? 0 : 127);
  }
}

// A tiny channel with a large bias: the bias must fit 32 bits, so the scale is coarser than the weights alone would have it.
TEST(Quantization, BiasFitsItsIntegers) {
  const Tensor weights = Tensor::of<float>({2, 1, 1, 1}, {1e-12F, 1}), bias = Tensor::of<float>({2}, {50, 50});
  const QuantizedWeights quantized = quantize_weights(weights, 0, &bias, 0.01F);
  for (std::size_t c = 0; c < 2; ++c) EXPECT_LE(50 / (0.01 * static_cast<double>(quantized.scales.values<float>()[c])), 1.1e9);
}

TEST(Quantization, SurvivesTheFile) {
  const Graph integer = quantized(residual_net());
  const auto bytes = serialize_onnx(integer);
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  const auto again = parse_onnx(*bytes, "test");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(digest_of(*again), digest_of(integer));
  EXPECT_EQ(again->nodes.size(), integer.nodes.size());
}

TEST(Quantization, AValueThatNobodyObservedIsAnError) {
  const Graph net = residual_net();
  const auto plan = plan_quantization(net);
  const auto result = write_qdq(net, *plan, {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::internal);
  EXPECT_THAT(result.error().message, HasSubstr("observed"));
}

TEST(Quantization, GemmIsSpelledOneWay) {
  Builder b(8);
  const std::string x = b.input("x", Dtype::f32, {-1, 3});
  const std::string y =
      b.node("Gemm", {x, b.constant("w", Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6})), b.constant("c", Tensor::of<float>({1}, {4}))},
             {{"alpha", 2.0F}, {"beta", 0.5F}});
  const Graph net = prepared(b.finish({y}, {}));
  ASSERT_EQ(net.nodes.size(), 1U);
  const Node& gemm = net.nodes[0];
  EXPECT_EQ(gemm.integer("transB", 0), 1);
  EXPECT_EQ(gemm.real("alpha", 1), 1);
  const auto weights = net.initializers.at(gemm.inputs[1]).values<float>();
  EXPECT_THAT(std::vector<float>(weights.begin(), weights.end()), ElementsAre(2, 6, 10, 4, 8, 12));
  const auto bias = net.initializers.at(gemm.inputs[2]).values<float>();
  EXPECT_THAT(std::vector<float>(bias.begin(), bias.end()), ElementsAre(2, 2));
}

}  // namespace
}  // namespace sightline::graph
