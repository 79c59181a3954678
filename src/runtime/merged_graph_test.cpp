#include "runtime/merged_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/builder.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;

// exp → tanh → …: `depth` nodes, then one of `last`.
Graph chain(const std::vector<std::string>& operators) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 4}}};
  std::string at = "x";
  for (std::size_t i = 0; i < operators.size(); ++i) {
    const std::string next = "v" + std::to_string(i);
    graph.nodes.push_back({"", operators[i], {at}, {next}, {}, ""});
    at = next;
  }
  graph.outputs = {{at, Dtype::f32, {-1, 4}}};
  return graph;
}

void add(MergedGraph& merged, const std::string& name, const Graph& graph) {
  auto canonical = canonical_of(graph);
  ASSERT_TRUE(canonical.ok()) << canonical.error().message;
  const auto known = merged.known(*canonical);
  ASSERT_TRUE(fold(*canonical).ok());
  auto addition = merged.plan(*canonical);
  if (known) {
    EXPECT_THAT(addition->made, testing::IsEmpty());
    EXPECT_THAT(addition->parts, testing::UnorderedElementsAreArray(known->parts));
  }
  ASSERT_TRUE(addition.ok());
  merged.add(name, *std::move(addition));
}

// The operators of each part, in the order of the parts.
std::vector<std::string> parts_of(const MergedGraph& merged) {
  std::vector<std::string> result;
  for (const auto& [id, part] : merged.parts()) {
    std::string operators;
    for (const graph::Node& node : part->graph.nodes) operators += (operators.empty() ? "" : " ") + node.op_type;
    result.push_back(operators);
    EXPECT_TRUE(graph::check(part->graph).ok());
  }
  return result;
}

TEST(MergedGraph, CutsWhereModelsPart) {
  MergedGraph merged;
  add(merged, "a", chain({"Exp", "Tanh", "Relu", "Neg"}));
  EXPECT_THAT(parts_of(merged), testing::ElementsAre("Exp Tanh Relu Neg"));
  add(merged, "b", chain({"Exp", "Tanh", "Sigmoid"}));
  EXPECT_THAT(parts_of(merged), testing::UnorderedElementsAre("Exp Tanh", "Relu Neg", "Sigmoid"));
  add(merged, "c", chain({"Exp", "Tanh", "Sigmoid"}));
  EXPECT_EQ(merged.parts().size(), 3U);
  add(merged, "d", chain({"Exp", "Tanh"}));  // ends at a cut
  EXPECT_EQ(merged.parts().size(), 3U);
  add(merged, "e", chain({"Exp"}));
  EXPECT_THAT(parts_of(merged), testing::UnorderedElementsAre("Exp", "Tanh", "Relu Neg", "Sigmoid"));
  add(merged, "f", chain({"Sqrt", "Exp"}));
  EXPECT_EQ(merged.parts().size(), 5U);
  EXPECT_EQ(merged.remove("a").size(), 1U);
  EXPECT_EQ(merged.remove("b").size(), 0U);
  EXPECT_EQ(merged.remove("c").size(), 1U);
  EXPECT_EQ(merged.remove("e").size(), 0U);
  EXPECT_EQ(merged.remove("d").size(), 2U);
  EXPECT_EQ(merged.remove("f").size(), 1U);
  EXPECT_TRUE(merged.parts().empty());
}

// A value inside a part that a new model takes as its output becomes one of the part's; nothing is cut.
TEST(MergedGraph, OutputsAreAddedWithoutACut) {
  MergedGraph merged;
  add(merged, "a", chain({"Exp", "Tanh"}));
  Graph both = chain({"Exp", "Tanh"});
  both.outputs.insert(both.outputs.begin(), {"v0", Dtype::f32, {-1, 4}});
  add(merged, "b", both);
  EXPECT_THAT(parts_of(merged), testing::ElementsAre("Exp Tanh"));
  EXPECT_EQ(merged.parts().begin()->second->graph.outputs.size(), 2U);
}

TEST(MergedGraph, NormalisationIsFoldedAlikeAndHeadsAreTakenOff) {
  Builder b(1);
  std::string x = b.image_input(8, 8, 3, {0, 0, 0}, {1, 1, 1});
  x = b.relu(b.batch_norm(b.conv(x, 8, {})));
  const std::string features = b.flatten(b.global_average_pool(x));
  const auto graph = b.finish({b.softmax(b.scale(b.linear(features, 5), 0.5F, "inverse_temperature"))}, {});
  ASSERT_TRUE(graph.ok());
  auto canonical = canonical_of(*graph);
  ASSERT_TRUE(canonical.ok() && fold(*canonical).ok());
  ASSERT_EQ(canonical->heads.size(), 1U);
  const LinearHead& head = canonical->heads.begin()->second;
  EXPECT_TRUE(head.softmax);
  EXPECT_EQ(head.weight.shape(), (Shape{5, 8}));
  const Tensor& own = graph->initializers.at("gemm_1.weight");
  EXPECT_FLOAT_EQ(head.weight.values<float>()[3], 0.5F * own.values<float>()[3]);
  EXPECT_THAT(canonical->graph.nodes, testing::Each(testing::Field(&graph::Node::op_type, testing::Not("BatchNormalization"))));
  EXPECT_EQ(canonical->graph.outputs.size(), 1U);
  EXPECT_EQ(canonical->graph.outputs[0].name, head.features);
}

}  // namespace
}  // namespace sightline::runtime
