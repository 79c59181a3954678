#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/graphs_for_test.h"

namespace sightline::graph {
namespace {

using testing::ElementsAre;

int count(const Graph& graph, const std::string& op_type) {
  return static_cast<int>(std::ranges::count_if(graph.nodes, [&](const Node& node) { return node.op_type == op_type; }));
}

std::vector<std::string> operators_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(node.op_type);
  return names;
}

// Sound, and with the outputs of before.
void expect_sound(const Graph& graph, const Graph& before) {
  const auto status = check(graph);
  ASSERT_TRUE(status.ok()) << status.error().message;
  const auto values = infer_shapes(graph);
  ASSERT_TRUE(values.ok()) << values.error().message;
  ASSERT_EQ(graph.outputs.size(), before.outputs.size());
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    EXPECT_EQ(graph.outputs[i].name, before.outputs[i].name);
    EXPECT_EQ(values->at(graph.outputs[i].name).shape, before.outputs[i].shape);
  }
}

void set(Graph& graph, const std::string& name, const std::vector<float>& values) {
  graph.initializers[name] = Tensor::of<float>(graph.initializers.at(name).shape(), values);
}

TEST(ServingGraphTest, HasNeitherDropoutNorTrainingOutputs) {
  Graph graph = small_classifier();
  graph.nodes.push_back({"auxiliary", "Tanh", {"logits"}, {"auxiliary"}, {}, ""});
  graph.training_outputs.push_back("auxiliary");
  const Graph serving = serving_graph(graph);
  expect_sound(serving, graph);
  EXPECT_EQ(count(serving, "Dropout"), 0);
  EXPECT_EQ(count(serving, "Tanh"), 0);
  EXPECT_TRUE(serving.training_outputs.empty());
  EXPECT_FALSE(serving.initializers.contains("dropout.ratio"));
  EXPECT_EQ(serving.nodes.size(), graph.nodes.size() - 2);
  EXPECT_EQ(count(graph, "Dropout"), 1);  // the graph itself is untouched
}

TEST(ServingGraphTest, OutputsKeepTheirNamesWhereDropoutMadeThem) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string y = builder.dropout(builder.relu(x), 0.5F);
  const Graph graph = *builder.finish({y}, {});
  const Graph serving = serving_graph(graph);
  expect_sound(serving, graph);
  EXPECT_THAT(operators_of(serving), ElementsAre("Cast", "Transpose", "Sub", "Div", "Relu"));
}

TEST(RemoveIdentitiesTest, KeepsNamesAndReaders) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string a = builder.node("Identity", {x});
  const std::string b = builder.node("Identity", {builder.node("Identity", {a})});
  const std::string five = builder.node("Identity", {builder.constant("five", Tensor::filled({}, 5))});
  const std::string sum = builder.add(builder.add(b, a), five);
  const std::string first = builder.node("Identity", {sum});
  const std::string second = builder.node("Identity", {sum});
  const Graph graph = *builder.finish({first, second, sum}, {});
  const Graph result = remove_identities(graph);
  expect_sound(result, graph);
  // `sum` keeps its name, so the two outputs that repeat it need a node each.
  EXPECT_EQ(count(result, "Identity"), 2);
  EXPECT_EQ(count(result, "Add"), 2);
  Graph two = graph;
  two.outputs.pop_back();
  const Graph shorter = remove_identities(two);
  expect_sound(shorter, two);
  EXPECT_EQ(count(shorter, "Identity"), 1);
}

TEST(RemoveIdentitiesTest, AnInputThatIsAnOutputNeedsItsNode) {
  const Graph graph = [] {
    Graph g = one_node("Identity", {{-1, 3}});
    g.outputs[0].shape = {-1, 3};
    return g;
  }();
  const Graph result = remove_identities(graph);
  expect_sound(result, graph);
  EXPECT_EQ(result.nodes.size(), 1U);
}

TEST(FoldBatchNormTest, LeavesNoneBehindConvolutions) {
  const Graph graph = small_classifier();
  const Graph folded = fold_batch_norm(graph);
  expect_sound(folded, graph);
  EXPECT_EQ(count(folded, "BatchNormalization"), 0);
  EXPECT_EQ(count(folded, "Conv"), 2);
  EXPECT_EQ(folded.nodes.size(), graph.nodes.size() - 2);
  for (const auto& [name, tensor] : folded.initializers) EXPECT_EQ(name.find("batch_normalization"), std::string::npos) << name;
  EXPECT_EQ(folded.training_outputs, graph.training_outputs);
}

TEST(FoldBatchNormTest, WeightsAndBiasesAreWhatTheFormulaSays) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string y = builder.batch_norm(builder.conv(x, 2, {.kernel = 1, .bias = true}));
  Graph graph = *builder.finish({y}, {});
  set(graph, "conv_1.weight", {3, -4});
  set(graph, "conv_1.bias", {1, 2});
  set(graph, "batch_normalization_1.scale", {2, 0.5F});
  set(graph, "batch_normalization_1.bias", {10, 20});
  set(graph, "batch_normalization_1.mean", {5, -6});
  set(graph, "batch_normalization_1.variance", {4 - 1e-5F, 0.25F - 1e-5F});
  const Graph folded = fold_batch_norm(graph);
  expect_sound(folded, graph);
  // Factors 2/2 and 0.5/0.5; biases (1 - 5) * 1 + 10 and (2 + 6) * 1 + 20.
  const Node& conv = folded.nodes.back();
  EXPECT_EQ(conv.outputs[0], y);
  const auto weight = folded.initializers.at(conv.inputs[1]).values<float>();
  const auto bias = folded.initializers.at(conv.inputs[2]).values<float>();
  EXPECT_NEAR(weight[0], 3, 1e-5);
  EXPECT_NEAR(weight[1], -4, 1e-5);
  EXPECT_NEAR(bias[0], 6, 1e-5);
  EXPECT_NEAR(bias[1], 28, 1e-5);
  EXPECT_THAT(graph.initializers.at("conv_1.weight").values<float>(), ElementsAre(3, -4));  // tensors share buffers: not written through
}

TEST(FoldBatchNormTest, FoldsGemmInBothLayouts) {
  for (const std::int64_t transposed : {0, 1}) {
    Graph graph = one_node("Gemm", {{-1, 2}}, {{"transB", transposed}, {"beta", 3.0F}},
                           {{"w", Tensor::of<float>({2, 2}, {1, 2, 3, 4})}, {"w_bias", Tensor::of<float>({2}, {1, 1})}});
    graph.nodes[0].outputs[0] = "middle";
    graph.nodes.push_back({"norm", "BatchNormalization", {"middle", "s", "b", "m", "v"}, {"y"}, {{"epsilon", 0.0F}}, ""});
    graph.initializers["s"] = Tensor::of<float>({2}, {10, 100});
    graph.initializers["b"] = Tensor::of<float>({2}, {0, 0});
    graph.initializers["m"] = Tensor::of<float>({2}, {1, 1});
    graph.initializers["v"] = Tensor::of<float>({2}, {1, 1});
    graph.outputs[0].shape = {-1, 2};
    const Graph folded = fold_batch_norm(graph);
    expect_sound(folded, graph);
    ASSERT_EQ(folded.nodes.size(), 1U);
    EXPECT_EQ(folded.nodes[0].real("beta", 1.0F), 1.0F);
    const auto weight = folded.initializers.at(folded.nodes[0].inputs[1]).values<float>();
    const std::vector<float> expected = transposed == 1 ? std::vector<float>{10, 20, 300, 400} : std::vector<float>{10, 200, 30, 400};
    EXPECT_THAT(weight, testing::ElementsAreArray(expected));
    EXPECT_THAT(folded.initializers.at(folded.nodes[0].inputs[2]).values<float>(), ElementsAre(20, 200));  // (3 * 1 - 1) * scale
  }
}

TEST(FoldBatchNormTest, FoldsOneAfterTheOther) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string y = builder.batch_norm(builder.batch_norm(builder.conv(x, 2, {.kernel = 1}), 2.0F), 3.0F);
  const Graph graph = *builder.finish({y}, {});
  const Graph folded = fold_batch_norm(graph);
  expect_sound(folded, graph);
  EXPECT_EQ(count(folded, "BatchNormalization"), 0);
  EXPECT_NEAR(folded.initializers.at(folded.nodes.back().inputs[1]).values<float>()[0],
              6 * graph.initializers.at("conv_1.weight").values<float>()[0], 1e-3);
}

TEST(FoldBatchNormTest, LeavesWhatOthersRead) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string conv = builder.conv(x, 2, {});
  const std::string sum = builder.add(conv, builder.batch_norm(conv));
  const Graph graph = *builder.finish({sum}, {});
  const Graph folded = fold_batch_norm(graph);
  EXPECT_EQ(digest_of(folded), digest_of(graph));
  Builder second(1);
  const std::string image = second.image_input(8, 8, 1, {0}, {1});
  const std::string inner = second.conv(image, 2, {});
  const Graph exposed = *second.finish({second.batch_norm(inner)}, {inner});
  EXPECT_EQ(count(fold_batch_norm(exposed), "BatchNormalization"), 1);
}

// Two convolutions with one weight, each with its own normalisation: the weight must not be scaled for both.
TEST(FoldBatchNormTest, SharedWeightsAreCopied) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string first = builder.conv(x, 2, {.kernel = 1});
  const std::string second = builder.conv(builder.relu(x), 2, {.kernel = 1});
  const std::string sum = builder.add(builder.batch_norm(first, 2.0F), builder.batch_norm(second, 5.0F));
  Graph graph = *builder.finish({sum}, {});
  for (Node& node : graph.nodes) std::ranges::replace(node.inputs, std::string("conv_2.weight"), std::string("conv_1.weight"));
  const float before = graph.initializers.at("conv_1.weight").values<float>()[0];
  const Graph folded = fold_batch_norm(graph);
  expect_sound(folded, graph);
  std::vector<float> ratios;
  for (const Node& node : folded.nodes) {
    if (node.op_type == "Conv") ratios.push_back(std::round(folded.initializers.at(node.inputs[1]).values<float>()[0] / before));
  }
  EXPECT_THAT(ratios, ElementsAre(2, 5));
}

TEST(RolesTest, ComeFromTheSlots) {
  const auto roles = roles_of(small_classifier());
  EXPECT_EQ(roles.at("conv_1.weight"), Role::weight);
  EXPECT_EQ(roles.at("conv_1.bias"), Role::bias);
  EXPECT_EQ(roles.at("batch_normalization_1.scale"), Role::scale);
  EXPECT_EQ(roles.at("batch_normalization_1.bias"), Role::bias);
  EXPECT_EQ(roles.at("batch_normalization_1.mean"), Role::running_mean);
  EXPECT_EQ(roles.at("batch_normalization_1.variance"), Role::running_variance);
  EXPECT_EQ(roles.at("gemm_1.weight"), Role::weight);
  EXPECT_EQ(roles.at("inverse_temperature"), Role::constant);
  EXPECT_EQ(roles.at("image.mean"), Role::constant);
  EXPECT_EQ(roles.at("dropout.ratio"), Role::constant);
}

TEST(RolesTest, TheSumBehindAMatrixProductIsItsBias) {
  Graph graph = one_node("MatMul", {{-1, 2}}, {}, {{"w", Tensor::filled({2, 3}, 1)}});
  graph.nodes.push_back({"add", "Add", {"c", "y"}, {"z"}, {}, ""});
  graph.initializers["c"] = Tensor::filled({3}, 1);
  const auto roles = roles_of(graph);
  EXPECT_EQ(roles.at("w"), Role::weight);
  EXPECT_EQ(roles.at("c"), Role::bias);
}

// The gradient tests run in double precision: with f32 alone counting as learned, no weight was ever held to finite differences.
TEST(RolesTest, DoublesAreLearnedAndIntegersAreNot) {
  EXPECT_EQ(roles_of(one_node("MatMul", {{-1, 2}}, {}, {{"w", Tensor::zeros(Dtype::f64, {2, 3})}})).at("w"), Role::weight);
  EXPECT_EQ(roles_of(one_node("MatMul", {{-1, 2}}, {}, {{"w", Tensor::zeros(Dtype::i32, {2, 3})}})).at("w"), Role::constant);
}

TEST(RolesTest, OfNormalisationsAndRecurrentLayers) {
  const Tensor some = Tensor::filled({3}, 1);
  auto roles = roles_of(one_node("LayerNormalization", {{-1, 3}}, {}, {{"s", some}, {"t", some}}));
  EXPECT_EQ(roles.at("s"), Role::scale);
  EXPECT_EQ(roles.at("t"), Role::bias);
  roles = roles_of(one_node("LSTM", {{2, 1, 3}}, {}, {{"a", some}, {"b", some}, {"c", some}}));
  EXPECT_EQ(roles.at("a"), Role::weight);
  EXPECT_EQ(roles.at("b"), Role::weight);
  EXPECT_EQ(roles.at("c"), Role::bias);
}

}  // namespace
}  // namespace sightline::graph
