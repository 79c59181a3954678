// Small graphs that the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "graph/builder.h"

namespace sightline::graph {

// u8 N×12×12×3 → residual convolution net with every kind of parameter → "probabilities" N×4, training output "logits".
inline Graph small_classifier(std::uint64_t seed = 1) {
  Builder builder(seed);
  const std::string image = builder.image_input(12, 12, 3, {120, 110, 100}, {60, 61, 62});
  std::string x = builder.relu(builder.batch_norm(builder.conv(image, 4, {.bias = true})));
  std::string y = builder.batch_norm(builder.conv(x, 4, {.groups = 2}), 0.5F);
  x = builder.relu(builder.add(x, y));
  x = builder.max_pool(x, 2, 2);
  x = builder.mul(x, builder.hard_sigmoid(x));
  x = builder.dropout(builder.flatten(builder.global_average_pool(x)), 0.2F);
  const std::string logits = builder.linear(x, 4);
  builder.rename(logits, "logits");
  const std::string answer = builder.softmax(builder.scale("logits", 1.0F, "inverse_temperature"));
  builder.rename(answer, "probabilities");
  auto graph = builder.finish({"probabilities"}, {"logits"});
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return graph.ok() ? *graph : Graph{};
}

// One node on inputs of the given shapes (f32), output "y".
inline Graph one_node(const std::string& op_type, const std::vector<Shape>& inputs, std::map<std::string, Attribute> attributes = {},
                      std::map<std::string, Tensor> constants = {}) {
  Graph graph;
  Node node{"it", op_type, {}, {"y"}, std::move(attributes), ""};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "x" + std::to_string(i);
    graph.inputs.push_back({name, Dtype::f32, inputs[i]});
    node.inputs.push_back(name);
  }
  for (auto& [name, tensor] : constants) {
    node.inputs.push_back(name);
    graph.initializers[name] = tensor;
  }
  graph.nodes.push_back(std::move(node));
  graph.outputs.push_back({"y", Dtype::f32, {}});
  return graph;
}

}  // namespace sightline::graph
