// One operator, or a few, between inputs and one output, held to the plain reference: what the operators' tests share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "graph/operators.h"
#include "runtime/reference_test.h"
#include "runtime/session.h"

namespace sightline::runtime {

using graph::Attribute;
using graph::Graph;
using Attributes = std::map<std::string, Attribute>;
using Ints = std::vector<std::int64_t>;

inline constexpr double tolerance = 1e-4;  // relative to the output's scale
// In bf16 both operands of a product are rounded to 8 bits, and so is what it leaves behind.
inline constexpr double bf16_tolerance = 2e-2;

inline Tensor random_tensor(Random& random, const Shape& shape, double low = -2, double high = 2) {
  Tensor tensor(Dtype::f32, shape);
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(low, high));
  return tensor;
}

inline Tensor ints(const Ints& values) { return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values); }

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

inline graph::Node node(const std::string& op, std::vector<std::string> inputs, const std::string& output, Attributes attributes = {}) {
  return {"node_" + output, op, std::move(inputs), {output}, std::move(attributes), ""};
}

inline Graph graph_of(const Case& c) {
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

inline std::vector<Tensor> inputs_of(const Case& c, std::uint64_t seed) {
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

inline void check(const Case& c) {
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
  // In bf16, where the processor has it; what has no kernel in bf16 is computed in f32.
  auto rounded = Session::create(graph, {.threads = 2, .precision = Precision::bf16});
  ASSERT_TRUE(rounded.ok()) << rounded.error().message;
  const auto close = rounded->run(inputs);
  ASSERT_TRUE(close.ok()) << close.error().message;
  EXPECT_LE(relative_difference((*close)[0], (*got)[0]), bf16_tolerance) << "in bf16";
}

inline void check_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) check(c);
}

inline Case conv_case(const std::string& what, const Shape& x, const Shape& w, Attributes attributes, bool bias,
                      const std::string& op = "Conv") {
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

}  // namespace sightline::runtime
