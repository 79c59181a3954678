#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "graph/graphs_for_test.h"

namespace sightline::graph {
namespace {

// The same graph with every value, node and initializer called something else.
Graph renamed(const Graph& graph) {
  const auto other = [](const std::string& name) { return name.empty() ? name : "other/" + std::string(name.rbegin(), name.rend()); };
  Graph result = graph;
  result.name = "other";
  result.initializers.clear();
  for (const auto& [name, tensor] : graph.initializers) result.initializers[other(name)] = tensor;
  for (ValueInfo& value : result.inputs) value.name = other(value.name);
  for (ValueInfo& value : result.outputs) value.name = other(value.name);
  for (std::string& name : result.training_outputs) name = other(name);
  for (Node& node : result.nodes) {
    node.name = other(node.name);
    std::ranges::transform(node.inputs, node.inputs.begin(), other);
    std::ranges::transform(node.outputs, node.outputs.begin(), other);
  }
  return result;
}

TEST(HashTest, NamesDoNotCount) {
  const Graph graph = small_classifier();
  const Graph other = renamed(graph);
  ASSERT_TRUE(check(other).ok());
  EXPECT_EQ(digest_of(graph), digest_of(other));
  EXPECT_EQ(merkle_hashes(graph).at("logits"), merkle_hashes(other).at(other.training_outputs[0]));
}

TEST(HashTest, EveryWeightCounts) {
  const Graph graph = small_classifier();
  const Digest before = digest_of(graph);
  for (const auto& [name, tensor] : graph.initializers) {
    Graph changed = graph;
    Tensor copy = tensor.copy();
    auto last = copy.bytes().back();
    copy.bytes().back() = last ^ std::byte{1};
    changed.initializers[name] = copy;
    EXPECT_NE(digest_of(changed), before) << name;
  }
}

TEST(HashTest, EveryAttributeCounts) {
  const Graph graph = small_classifier();
  const Digest before = digest_of(graph);
  int attributes = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const auto& [key, value] : graph.nodes[i].attributes) {
      Graph changed = graph;
      Attribute& attribute = changed.nodes[i].attributes[key];
      if (auto* integer = std::get_if<std::int64_t>(&attribute)) *integer += 1;
      if (auto* real = std::get_if<float>(&attribute)) *real += 1;
      if (auto* list = std::get_if<std::vector<std::int64_t>>(&attribute)) list->back() += 1;
      EXPECT_NE(digest_of(changed), before) << key;
      changed.nodes[i].attributes.erase(key);
      EXPECT_NE(digest_of(changed), before) << key;
      ++attributes;
    }
  }
  EXPECT_GT(attributes, 10);
}

TEST(HashTest, OperatorInputsOpsetAndOutputsCount) {
  const Graph graph = small_classifier();
  const Digest before = digest_of(graph);
  const auto differs = [&](auto change) {
    Graph changed = graph;
    change(changed);
    return digest_of(changed) != before;
  };
  const auto relu = static_cast<std::size_t>(std::ranges::find_if(graph.nodes, [](const Node& node) { return node.op_type == "Relu"; }) -
                                             graph.nodes.begin());
  EXPECT_TRUE(differs([&](Graph& g) { g.nodes[relu].op_type = "Tanh"; }));
  EXPECT_TRUE(differs([&](Graph& g) { g.nodes[relu].domain = "com.example"; }));
  EXPECT_TRUE(differs([&](Graph& g) { g.nodes[relu].inputs[0] = g.nodes[relu - 2].outputs[0]; }));
  EXPECT_TRUE(differs([&](Graph& g) { g.opset = 16; }));
  EXPECT_TRUE(differs([&](Graph& g) { g.inputs[0].shape[1] = 13; }));
  EXPECT_TRUE(differs([&](Graph& g) { g.training_outputs.clear(); }));
  EXPECT_TRUE(differs([&](Graph& g) { std::swap(g.outputs[0].name, g.training_outputs[0]); }));
}

TEST(HashTest, ModelsShareTheirEqualBeginnings) {
  const Graph graph = small_classifier();
  Graph sibling = renamed(graph);
  const std::string head = "other/" + [] {
    const std::string name = "gemm_1.weight";
    return std::string(name.rbegin(), name.rend());
  }();
  sibling.initializers.at(head) = Tensor::filled(sibling.initializers.at(head).shape(), 0.25F);
  std::set<Digest> ours, theirs;
  for (const Node& node : graph.nodes) ours.insert(merkle_hashes(graph).at(node.outputs[0]));
  for (const Node& node : sibling.nodes) theirs.insert(merkle_hashes(sibling).at(node.outputs[0]));
  std::vector<Digest> shared;
  std::ranges::set_intersection(ours, theirs, std::back_inserter(shared));
  EXPECT_EQ(shared.size(), graph.nodes.size() - 3);  // all but Gemm, the scale and Softmax
}

TEST(HashTest, EqualNodesInOneGraphHaveEqualDigests) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {0}, {1});
  const std::string a = builder.relu(x);
  const std::string b = builder.relu(x);
  const auto graph = builder.finish({builder.add(a, b)}, {});
  const auto digests = merkle_hashes(*graph);
  EXPECT_EQ(digests.at(a), digests.at(b));
}

}  // namespace
}  // namespace sightline::graph
