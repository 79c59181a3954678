// Values that follow from shapes, inputs that have to be bound, files of opset 6, and files of one tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "graph/shape_cases_for_test.h"

namespace sightline::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Node make(const std::string& op, std::vector<std::string> inputs, const std::string& output,
          std::map<std::string, Attribute> attributes = {}) {
  return {output, op, std::move(inputs), {output}, std::move(attributes), ""};
}

Integers elements_of(const Graph& graph, const std::string& value, std::int64_t batch) {
  const auto values = infer_shapes(graph, batch);
  EXPECT_TRUE(values.ok()) << (values.ok() ? "" : values.error().message);
  if (!values.ok() || !values->at(value).value.defined()) return {-999};
  return integers_of(values->at(value).value).value_or(Integers{-998});
}

// x is N×3×20×30.
Graph over_shape(std::vector<Node> nodes) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 3, 20, 30}}};
  graph.initializers = {{"one", number(1)},
                        {"two", integers({2})},
                        {"four", integers({4})},
                        {"half", Tensor::of<float>({}, {0.4F})},
                        {"rest", integers({-1})}};
  graph.nodes = {make("Shape", {"x"}, "shape")};
  for (Node& node : nodes) graph.nodes.push_back(std::move(node));
  graph.outputs = {{"y", Dtype::i64, {}}};
  return graph;
}

TEST(FoldTest, SizesAreWorkedOutAsExportersWriteThem) {
  const auto of = [](std::vector<Node> nodes, std::int64_t batch = 5) { return elements_of(over_shape(std::move(nodes)), "y", batch); };
  EXPECT_THAT(of({make("Identity", {"shape"}, "y")}), ElementsAre(5, 3, 20, 30));
  EXPECT_THAT(of({make("Identity", {"shape"}, "y")}, -1), ElementsAre(kFreeSize, 3, 20, 30));
  EXPECT_THAT(of({make("Size", {"x"}, "y")}), ElementsAre(9000));
  EXPECT_THAT(of({make("Gather", {"shape", "one"}, "y")}, -1), ElementsAre(3));
  EXPECT_THAT(of({make("Slice", {"shape", "two", "four"}, "y")}, -1), ElementsAre(20, 30));
  EXPECT_THAT(of({make("Slice", {"shape", "two", "four"}, "s"), make("Concat", {"s", "rest"}, "y", {{"axis", std::int64_t{0}}})}),
              ElementsAre(20, 30, -1));
  EXPECT_THAT(of({make("Mul", {"shape", "two"}, "y")}, -1), ElementsAre(kFreeSize, 6, 40, 60));
  EXPECT_THAT(of({make("ReduceProd", {"shape"}, "y", {{"keepdims", std::int64_t{0}}})}), ElementsAre(9000));
  // Sizes times a factor, by way of reals: 5, 3, 20, 30 by 0.4.
  EXPECT_THAT(of({make("Cast", {"shape"}, "real", {{"to", std::int64_t{1}}}), make("Mul", {"real", "half"}, "scaled"),
                  make("Floor", {"scaled"}, "floor"), make("Cast", {"floor"}, "y", {{"to", std::int64_t{7}}})}),
              ElementsAre(2, 1, 8, 12));
  EXPECT_THAT(of({make("Equal", {"shape", "rest"}, "free"), make("Where", {"free", "two", "shape"}, "y")}), ElementsAre(5, 3, 20, 30));
}

TEST(FoldTest, DivisionByZeroAndOverflowDoNotTrap) {
  constexpr auto least = std::numeric_limits<std::int64_t>::min() + 1;
  Graph graph = over_shape({make("Div", {"a", "b"}, "q"), make("Mul", {"a", "a"}, "p"), make("Add", {"a", "a"}, "y")});
  graph.initializers["a"] = integers({least, least, 7});
  graph.initializers["b"] = integers({-1, 0, 0});
  EXPECT_THAT(elements_of(graph, "q", 1), ElementsAre(std::numeric_limits<std::int64_t>::max(), 0, 0));
  EXPECT_EQ(elements_of(graph, "p", 1).size(), 3U);
}

TEST(FoldTest, WhatIsLargeIsNotWorkedOut) {
  Graph graph;
  graph.initializers = {{"s", integers({100'000})}};
  graph.nodes = {make("ConstantOfShape", {"s"}, "y")};
  graph.outputs = {{"y", Dtype::f32, {100'000}}};
  const auto values = infer_shapes(graph);
  ASSERT_TRUE(values.ok());
  EXPECT_FALSE(values->at("y").value.defined());
}

TEST(BindTest, NamesWhatDecidesShapes) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 6}}, {"sizes", Dtype::i64, {1}}, {"w", Dtype::f32, {6, 6}}, {"like", Dtype::f32, {2, 3}}};
  graph.initializers = {{"rest", integers({-1})}};
  graph.nodes = {make("MatMul", {"x", "w"}, "m"), make("Concat", {"sizes", "rest"}, "shape", {{"axis", std::int64_t{0}}}),
                 make("Reshape", {"m", "shape"}, "r"), make("Shape", {"like"}, "s"), make("Reshape", {"w", "s"}, "y")};
  EXPECT_THAT(inputs_to_bind(graph), ElementsAre("sizes"));
}

TEST(OldOpsetTest, BroadcastingAtAnAxisIsSpelledOut) {
  Graph graph;
  graph.opset = 6;
  graph.inputs = {{"x", Dtype::f32, {2, 3, 4, 5}}};
  graph.initializers = {{"c", Tensor::filled({3}, 1)}, {"d", Tensor::filled({4, 5}, 1)}};
  graph.nodes = {make("Add", {"x", "c"}, "a", {{"axis", std::int64_t{1}}, {"broadcast", std::int64_t{1}}}), make("PRelu", {"x", "c"}, "p"),
                 make("Mul", {"a", "d"}, "y", {{"broadcast", std::int64_t{1}}})};
  graph.outputs = {{"y", Dtype::f32, {2, 3, 4, 5}}, {"p", Dtype::f32, {2, 3, 4, 5}}};
  const auto done = respell_opset_6(graph);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(graph.opset, 7);
  EXPECT_TRUE(check(graph).ok());
  const auto values = infer_shapes(graph);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_THAT(values->at("y").shape, ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(values->at("c.aligned.0").shape, ElementsAre(3, 1, 1));
  Graph lost;
  lost.opset = 6;
  lost.nodes = {make("Add", {"x", "c"}, "a", {{"axis", std::int64_t{1}}, {"broadcast", std::int64_t{1}}})};
  EXPECT_THAT(respell_opset_6(lost).error().message, HasSubstr("convert the file"));
}

TEST(ReadTensorTest, FilesThatAreNoTensorAreErrors) {
  const auto path = std::filesystem::temp_directory_path() / "sightline_read_tensor_test.pb";
  const auto read = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return read_tensor(path.string());
  };
  // dims 2; f32; raw data of 8 bytes.
  const std::string good = std::string("\x08\x02\x10\x01\x4a\x08", 6) + std::string("\0\0\x80\x3f\0\0\0\x40", 8);
  const auto tensor = read(good);
  ASSERT_TRUE(tensor.ok()) << tensor.error().message;
  EXPECT_THAT(std::vector<float>(tensor->values<float>().begin(), tensor->values<float>().end()), ElementsAre(1.0F, 2.0F));
  for (std::size_t length = 1; length < good.size(); ++length) EXPECT_FALSE(read(good.substr(0, length)).ok()) << length;
  EXPECT_FALSE(read("no tensor at all").ok());
  EXPECT_THAT(read(std::string("\x08\x05", 2) + good.substr(2)).error().message, HasSubstr("needs 20"));
  EXPECT_EQ(read_tensor("/nowhere/it.pb").error().kind, ErrorKind::not_found);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace sightline::graph
