#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "graph/operators.h"
#include "graph/shape_cases_for_test.h"

namespace sightline::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Worked out by hand from the ONNX specification.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"Conv", {{kFree, 3, 28, 28}, {16, 3, 3, 3}}, {{"pads", Integers{1, 1, 1, 1}}}, {kFree, 16, 28, 28}},
      {"Conv", {{2, 3, 28, 28}, {16, 3, 3, 3}, {16}}, {{"strides", Integers{2, 2}}}, {2, 16, 13, 13}},
      {"Conv", {{kFree, 8, 28, 28}, {8, 1, 5, 5}}, {{"group", std::int64_t{8}}, {"pads", Integers{2, 2, 2, 2}}}, {kFree, 8, 28, 28}},
      {"Conv", {{1, 4, 10, 12}, {6, 4, 3, 1}}, {{"dilations", Integers{2, 1}}}, {1, 6, 6, 12}},
      {"Conv", {{1, 3, 225, 224}, {8, 3, 3, 3}}, {{"auto_pad", "SAME_UPPER"}, {"strides", Integers{2, 2}}}, {1, 8, 113, 112}},
      {"Conv", {{1, 3, 9, 9}, {8, 3, 3, 3}}, {{"auto_pad", "VALID"}}, {1, 8, 7, 7}},
      {"Conv", {{1, 3, 50}, {8, 3, 5}}, {}, {1, 8, 46}},
      {"ConvTranspose", {{kFree, 16, 7, 7}, {16, 8, 2, 2}}, {{"strides", Integers{2, 2}}}, {kFree, 8, 14, 14}},
      {"ConvTranspose",
       {{1, 16, 7, 7}, {16, 4, 3, 3}, {8}},
       {{"strides", Integers{2, 2}}, {"pads", Integers{1, 1, 1, 1}}, {"output_padding", Integers{1, 1}}, {"group", std::int64_t{2}}},
       {1, 8, 14, 14}},
      {"BatchNormalization", {{kFree, 5, 4, 4}, {5}, {5}, {5}, {5}}, {}, {kFree, 5, 4, 4}},
      {"Relu", {{kFree, 5}}, {}, {kFree, 5}},
      {"LeakyRelu", {{kFree, 5}}, {{"alpha", 0.1F}}, {kFree, 5}},
      {"PRelu", {{kFree, 5, 3, 3}, {5, 1, 1}}, {}, {kFree, 5, 3, 3}},
      {"Clip", {{kFree, 5}}, {}, {kFree, 5}, {{"a", Tensor::filled({}, 0)}, {"b", Tensor::filled({}, 6)}}},
      {"Sigmoid", {{2, 5}}, {}, {2, 5}},
      {"HardSigmoid", {{2, 5}}, {{"alpha", 0.1F}}, {2, 5}},
      {"HardSwish", {{2, 5}}, {}, {2, 5}},
      {"Tanh", {{2, 5}}, {}, {2, 5}},
      {"Softmax", {{2, 5}}, {{"axis", std::int64_t{1}}}, {2, 5}},
      {"LogSoftmax", {{2, 5}}, {}, {2, 5}},
      {"Add", {{kFree, 4, 7, 7}, {4, 1, 1}}, {}, {kFree, 4, 7, 7}},
      {"Sub", {{kFree, 1}, {1, 6}}, {}, {kFree, 6}},
      {"Mul", {{kFree, 4}, {}}, {}, {kFree, 4}},
      {"Div", {{3, 1, 5}, {4, 1}}, {}, {3, 4, 5}},
      {"Pow", {{3}, {}}, {}, {3}},
      {"Sqrt", {{3}}, {}, {3}},
      {"Exp", {{3}}, {}, {3}},
      {"MaxPool", {{kFree, 4, 28, 28}}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}}, {kFree, 4, 14, 14}},
      {"MaxPool",
       {{1, 4, 112, 112}},
       {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}, {"pads", Integers{1, 1, 1, 1}}},
       {1, 4, 56, 56}},
      {"MaxPool",
       {{1, 4, 7, 7}},
       {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}, {"ceil_mode", std::int64_t{1}}},
       {1, 4, 4, 4}},
      // (3 + 1 - 1) / 2 rounds up to 2 + 1 windows, but the last one would begin in the padding behind the input.
      {"AveragePool",
       {{1, 1, 3, 3}},
       {{"kernel_shape", Integers{1, 1}}, {"strides", Integers{2, 2}}, {"pads", Integers{0, 0, 1, 1}}, {"ceil_mode", std::int64_t{1}}},
       {1, 1, 2, 2}},
      {"AveragePool", {{1, 4, 7, 7}}, {{"kernel_shape", Integers{7, 7}}}, {1, 4, 1, 1}},
      {"GlobalAveragePool", {{kFree, 4, 7, 9}}, {}, {kFree, 4, 1, 1}},
      {"GlobalMaxPool", {{kFree, 4, 7}}, {}, {kFree, 4, 1}},
      {"Gemm", {{kFree, 64}, {10, 64}, {10}}, {{"transB", std::int64_t{1}}}, {kFree, 10}},
      {"Gemm", {{64, 3}, {64, 10}}, {{"transA", std::int64_t{1}}}, {3, 10}},
      {"MatMul", {{kFree, 64}, {64, 10}}, {}, {kFree, 10}},
      {"MatMul", {{2, 1, 5, 64}, {7, 64, 10}}, {}, {2, 7, 5, 10}},
      {"MatMul", {{64}, {64}}, {}, {}},
      {"Flatten", {{kFree, 4, 7, 7}}, {}, {kFree, 196}},
      {"Flatten", {{2, 3, 4}}, {{"axis", std::int64_t{2}}}, {6, 4}},
      {"Flatten", {{2, 3, 4}}, {{"axis", std::int64_t{0}}}, {1, 24}},
      {"Reshape", {{kFree, 4, 7, 7}}, {}, {kFree, 196}, {{"s", integers({0, -1})}}},
      {"Reshape", {{kFree, 4, 7, 7}}, {}, {kFree, 196}, {{"s", integers({-1, 196})}}},
      {"Reshape", {{kFree, 8, 7, 7}}, {}, {kFree, 2, 4, 7, 7}, {{"s", integers({-1, 2, 4, 7, 7})}}},
      {"Reshape", {{2, 6}}, {}, {3, 4}, {{"s", integers({3, -1})}}},
      {"Transpose", {{kFree, 28, 30, 3}}, {{"perm", Integers{0, 3, 1, 2}}}, {kFree, 3, 28, 30}},
      {"Transpose", {{2, 3, 4}}, {}, {4, 3, 2}},
      {"Concat", {{kFree, 3, 7, 7}, {kFree, 5, 7, 7}}, {{"axis", std::int64_t{1}}}, {kFree, 8, 7, 7}},
      {"Concat", {{2, 3}, {2, 5}, {2, 1}}, {{"axis", std::int64_t{-1}}}, {2, 9}},
      {"Pad", {{kFree, 3, 7, 7}}, {}, {kFree, 3, 9, 10}, {{"p", integers({0, 0, 1, 1, 0, 0, 1, 2})}}},
      {"Squeeze", {{kFree, 4, 1, 1}}, {}, {kFree, 4}, {{"a", integers({2, -1})}}},
      {"Squeeze", {{kFree, 4, 1, 1}}, {{"axes", Integers{2}}}, {kFree, 4, 1}},
      {"Squeeze", {{kFree, 1, 4, 1}}, {}, {kFree, 4}},
      {"Unsqueeze", {{kFree, 4}}, {}, {kFree, 4, 1, 1}, {{"a", integers({2, 3})}}},
      {"Unsqueeze", {{kFree, 4}}, {{"axes", Integers{0, -1}}}, {1, kFree, 4, 1}},
      {"Cast", {{kFree, 4}}, {{"to", std::int64_t{7}}}, {kFree, 4}, {}, Dtype::i64},
      {"Identity", {{kFree, 4}}, {}, {kFree, 4}},
      {"Dropout", {{kFree, 4}}, {}, {kFree, 4}, {{"ratio", Tensor::filled({}, 0.5F)}}},
      {"ReduceMean", {{kFree, 4, 7, 7}}, {{"axes", Integers{2, 3}}}, {kFree, 4, 1, 1}},
      {"ReduceMean", {{kFree, 4, 7, 7}}, {{"axes", Integers{-1, -2}}, {"keepdims", std::int64_t{0}}}, {kFree, 4}},
      {"Gather", {{kFree, 4, 7}}, {{"axis", std::int64_t{1}}}, {kFree, 2, 7}, {{"i", integers({3, -4})}}},
      {"Resize", {{kFree, 4, 7, 7}, {0}}, {{"mode", "nearest"}}, {kFree, 4, 14, 21}, {{"s", Tensor::of<float>({4}, {1, 1, 2, 3})}}},
  };
  return all;
}

std::vector<Case> all_cases() {
  std::vector<Case> all = cases();
  all.insert(all.end(), cases_of_pieces().begin(), cases_of_pieces().end());
  all.insert(all.end(), cases_of_functions().begin(), cases_of_functions().end());
  return all;
}

TEST(ShapesTest, EveryOperatorAsWorkedOutByHand) {
  for (const Case& each : all_cases()) {
    const Graph graph = one_node(each.op_type, each.inputs, each.attributes, each.constants);
    SCOPED_TRACE(std::string(each.op_type) + " to " + to_string(each.output));
    const auto status = check(graph);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    const auto values = infer_shapes(graph);
    ASSERT_TRUE(values.ok()) << values.error().message;
    EXPECT_EQ(values->at("y").shape, each.output);
    EXPECT_EQ(values->at("y").dtype, each.dtype);
    EXPECT_TRUE(cost_of(graph).ok());
  }
}

TEST(ShapesTest, EveryRowOfTheTableHasACase) {
  std::set<std::string> tested;
  for (const Case& each : all_cases()) tested.insert(each.op_type);
  std::string before;
  for (const Operator& row : operators()) {
    EXPECT_TRUE(tested.contains(row.op_type)) << row.op_type;
    EXPECT_LT(before, row.op_type) << "the table must be sorted: it is searched by halving";
    before = row.op_type;
  }
}

TEST(ShapesTest, NamesTheNodeWhoseInputsDoNotFit) {
  const std::vector<Case> wrong{
      {"Conv", {{1, 3, 28, 28}, {16, 4, 3, 3}}, {}, {}},
      {"Conv", {{1, 3, 28, 28}, {16, 3, 3, 3}, {15}}, {}, {}},
      {"Conv", {{1, 3, 28, 28}, {16, 3, 3}}, {}, {}},
      {"Conv", {{1, 3, 2, 2}, {16, 3, 3, 3}}, {}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 1, 3, 3}}, {{"group", std::int64_t{4}}}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 1, 3, 3}}, {{"group", std::int64_t{0}}}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 4, 3, 3}}, {{"strides", Integers{0, 1}}}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 4, 3, 3}}, {{"pads", Integers{1, 1}}}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 4, 3, 3}}, {{"dilations", Integers{1, std::int64_t{1} << 60}}}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 4, 3, 3}}, {{"auto_pad", "SOMEHOW"}}, {}},
      {"Conv", {{1, 4, 8, 8}, {6, 4, 3, 3}}, {{"kernel_shape", Integers{5, 5}}}, {}},
      {"MaxPool", {{1, 4, 8, 8}}, {}, {}},
      {"MaxPool", {{1, 4, 8, 8}}, {{"kernel_shape", Integers{std::numeric_limits<std::int64_t>::max(), 1}}}, {}},
      {"BatchNormalization", {{1, 4, 8, 8}, {4}, {4}, {3}, {4}}, {}, {}},
      {"Add", {{2, 3}, {2, 4}}, {}, {}},
      {"PRelu", {{2, 3}, {4, 2, 3}}, {}, {}},
      {"Gemm", {{2, 3}, {4, 5}}, {}, {}},
      {"Gemm", {{2, 3}, {3, 5}, {4}}, {}, {}},
      {"MatMul", {{2, 3}, {4, 5}}, {}, {}},
      {"Softmax", {{2, 3}}, {{"axis", std::int64_t{2}}}, {}},
      {"Reshape", {{2, 3}}, {}, {}, {{"s", integers({4, -1})}}},
      {"Reshape", {{2, 3}}, {}, {}, {{"s", integers({-1, -1})}}},
      {"Reshape", {{2, 3}}, {}, {}, {{"s", integers({-2, 3})}}},
      {"Reshape", {{2, 3}}, {}, {}, {{"s", integers({std::int64_t{1} << 62, std::int64_t{1} << 62})}}},
      {"Reshape", {{2, 3}}, {}, {}, {{"s", integers({2, 3, 0})}}},
      {"Transpose", {{2, 3}}, {{"perm", Integers{0, 0}}}, {}},
      {"Transpose", {{2, 3}}, {{"perm", Integers{0}}}, {}},
      {"Concat", {{2, 3}, {3, 3}}, {{"axis", std::int64_t{1}}}, {}},
      {"Concat", {{2, 3}, {2, 3}}, {}, {}},
      {"Pad", {{2, 3}}, {}, {}, {{"p", integers({1, 1})}}},
      {"Pad", {{2, 3}}, {}, {}, {{"p", integers({-1, 0, -2, 0})}}},
      {"Squeeze", {{2, 3}}, {{"axes", Integers{0}}}, {}},
      {"Unsqueeze", {{2, 3}}, {{"axes", Integers{1, 1}}}, {}},
      {"Unsqueeze", {{2, 3}}, {}, {}},
      {"ReduceMean", {{2, 3}}, {{"axes", Integers{5}}}, {}},
      {"Gather", {{2, 3}}, {}, {}, {{"i", integers({2})}}},
      {"Clip", {{2, 3}}, {}, {}, {{"a", Tensor::filled({2}, 0)}}},
  };
  for (const Case& each : wrong) {
    SCOPED_TRACE(each.op_type);
    const auto values = infer_shapes(one_node(each.op_type, each.inputs, each.attributes, each.constants));
    ASSERT_FALSE(values.ok());
    EXPECT_EQ(values.error().kind, ErrorKind::invalid_data);
    EXPECT_THAT(values.error().message, HasSubstr(std::string("node \"it\" (") + each.op_type + ")"));
  }
}

TEST(ShapesTest, DtypesMustAgree) {
  Graph graph = one_node("Add", {{2}, {2}});
  graph.inputs[1].dtype = Dtype::i64;
  EXPECT_THAT(infer_shapes(graph).error().message, HasSubstr("i64"));
}

TEST(ShapesTest, UnknownOperatorsAndComputedShapesAreUnsupported) {
  EXPECT_EQ(infer_shapes(one_node("GridSample", {{2}})).error().kind, ErrorKind::unsupported);
  Graph foreign = one_node("Relu", {{2}});
  foreign.nodes[0].domain = "com.microsoft";
  EXPECT_EQ(infer_shapes(foreign).error().kind, ErrorKind::unsupported);
  Graph computed = one_node("Reshape", {{2, 3}, {2}});
  EXPECT_EQ(infer_shapes(computed).error().kind, ErrorKind::unsupported);
}

TEST(ShapesTest, TheBatchFixesFreeFirstDimensionsOnly) {
  Graph graph = one_node("Relu", {{-1, 3}});
  EXPECT_THAT(infer_shapes(graph, 6)->at("y").shape, ElementsAre(6, 3));
  graph.inputs[0].shape = {2, 3};
  EXPECT_THAT(infer_shapes(graph, 6)->at("y").shape, ElementsAre(2, 3));
}

// A chain in which each Gather doubles the rank would fill the memory if nothing stopped it.
TEST(ShapesTest, RanksAreBounded) {
  Graph graph;
  graph.inputs.push_back({"v0", Dtype::i64, Shape(10, 2)});
  for (int i = 0; i < 40; ++i) {
    const std::string from = "v" + std::to_string(i);
    graph.nodes.push_back({"", "Gather", {from, from}, {"v" + std::to_string(i + 1)}, {}, ""});
  }
  graph.outputs.push_back({"v40", Dtype::i64, {}});
  EXPECT_EQ(infer_shapes(graph).error().kind, ErrorKind::invalid_data);
}

TEST(CostTest, CountsMultiplyAndAddAsTwo) {
  Graph conv = one_node("Conv", {{-1, 3, 8, 8}}, {{"pads", Integers{1, 1, 1, 1}}},
                        {{"w", Tensor::filled({16, 3, 3, 3}, 1)}, {"w_bias", Tensor::filled({16}, 1)}});
  const auto cost = cost_of(conv);
  ASSERT_TRUE(cost.ok());
  EXPECT_EQ(cost->flops, 16 * 64 * (2 * 27 + 1));
  EXPECT_EQ(cost->parameters, 16 * 27 + 16);
  const auto gemm = cost_of(one_node("Gemm", {{-1, 64}}, {}, {{"w", Tensor::filled({64, 10}, 1)}}));
  EXPECT_EQ(gemm->flops, 2 * 64 * 10);
  EXPECT_EQ(gemm->parameters, 640);
}

TEST(ReadingsTest, WindowsClipsAndCastsAreResolvedOnce) {
  const Node same{"it", "Conv", {}, {"y"}, {{"auto_pad", "SAME_UPPER"}, {"strides", Integers{2, 2}}}, ""};
  const auto window = window_of(same, {1, 3, 224, 225}, {3, 3});
  ASSERT_TRUE(window.ok());
  EXPECT_THAT(window->pads_begin, ElementsAre(0, 1));
  EXPECT_THAT(window->pads_end, ElementsAre(1, 1));
  EXPECT_THAT(window->output, ElementsAre(112, 113));
  Graph clip = one_node("Clip", {{2}}, {}, {{"a", Tensor::filled({}, 0)}, {"b", Tensor::filled({}, 6)}});
  EXPECT_EQ(*clip_range(clip, clip.nodes[0]), std::pair(0.0F, 6.0F));
  clip.nodes[0].inputs[1] = "";
  EXPECT_TRUE(std::isinf(clip_range(clip, clip.nodes[0])->first));
  const Graph old = one_node("Clip", {{2}}, {{"min", -1.0F}, {"max", 1.0F}});
  EXPECT_EQ(*clip_range(old, old.nodes[0]), std::pair(-1.0F, 1.0F));
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::f64, Dtype::i8, Dtype::u8, Dtype::i32, Dtype::i64, Dtype::boolean})
    EXPECT_EQ(dtype_from_onnx(onnx_dtype(dtype)), dtype);
  EXPECT_FALSE(dtype_from_onnx(8).has_value());
}

}  // namespace
}  // namespace sightline::graph
