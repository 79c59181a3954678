#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "graph/graphs_for_test.h"

namespace sightline::graph {
namespace {

using testing::HasSubstr;

TEST(CheckTest, PassesASoundGraph) { EXPECT_TRUE(check(small_classifier()).ok()); }

TEST(CheckTest, SaysWhatIsWrong) {
  struct Case {
    const char* message;
    std::function<void(Graph&)> spoil;
  };
  const std::vector<Case> cases{
      {"opset 0", [](Graph& g) { g.opset = 0; }},
      {"an input has no name", [](Graph& g) { g.inputs[0].name = ""; }},
      {"two inputs \"image\"", [](Graph& g) { g.inputs.push_back(g.inputs[0]); }},
      {"impossible shape", [](Graph& g) { g.inputs[0].shape[1] = -7; }},
      {"is an input and an initializer", [](Graph& g) { g.initializers["image"] = Tensor::filled({1}, 0); }},
      {"holds nothing", [](Graph& g) { g.initializers["inverse_temperature"] = Tensor(); }},
      {"nothing makes", [](Graph& g) { g.initializers.erase("conv_1.weight"); }},
      {"made twice", [](Graph& g) { g.nodes[3].outputs[0] = g.nodes[2].outputs[0]; }},
      {"a cycle?", [](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); }},
      {"input 1 must be given", [](Graph& g) { g.nodes[4].inputs[1] = ""; }},
      {"no attribute \"stride\"; did you mean \"strides\"?",
       [](Graph& g) {
         g.nodes[4].attributes["stride"] = std::vector<std::int64_t>{1, 1};
       }},
      {"the attribute \"group\" must be an integer", [](Graph& g) { g.nodes[4].attributes["group"] = 1.0F; }},
      {"has no output", [](Graph& g) { g.outputs.clear(); }},
      {"the output \"answer\" is made by no node", [](Graph& g) { g.outputs[0].name = "answer"; }},
      {"training output \"loss\" is made by no node", [](Graph& g) { g.training_outputs = {"loss"}; }},
      {"declared twice", [](Graph& g) { g.training_outputs = {"probabilities"}; }},
  };
  for (const Case& each : cases) {
    Graph graph = small_classifier();
    ASSERT_EQ(graph.nodes[4].op_type, "Conv");
    each.spoil(graph);
    const auto status = check(graph);
    ASSERT_FALSE(status.ok()) << each.message;
    EXPECT_EQ(status.error().kind, ErrorKind::invalid_data);
    EXPECT_THAT(status.error().message, HasSubstr(each.message));
  }
}

TEST(CheckTest, ErrorsNameNodeAndOperator) {
  Graph graph = small_classifier();
  graph.nodes[4].inputs.clear();
  EXPECT_THAT(check(graph).error().message, HasSubstr("node \"" + graph.nodes[4].name + "\" (Conv)"));
}

TEST(CheckTest, OperatorsOfOthersPass) {
  Graph graph = small_classifier();
  graph.nodes[4].op_type = "TheirConv";
  graph.nodes[4].domain = "com.example";
  EXPECT_TRUE(check(graph).ok());
}

}  // namespace
}  // namespace sightline::graph
