// Operators that run as plain loops, where they meet the rest: after a convolution, whose result lies in blocks of channels; with a free
// batch; with attributes that make no sense. Their values are proved by ONNX's backend tests (tests/onnx_backend_test.cpp).
#include "runtime/plain.h"

#include "runtime/halves.h"
#include "runtime/operator_cases_test.h"
#include "runtime/program.h"

namespace sightline::runtime {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

Tensor whole(std::int64_t value) { return Tensor::of<std::int64_t>({}, {value}); }

struct Step {
  const char* op_type;
  Attributes attributes = {};
  std::map<std::string, Tensor> constants = {};  // inputs after the first, in order of name
  std::size_t output = 0;                        // which one is looked at
  std::size_t outputs = 1;
};

// N×16×6×6 → Conv (if asked for) → the step.
Graph graph_with(const Step& step, bool convolution) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 16, 6, 6}}};
  graph::Node last{step.op_type, step.op_type, {"x"}, {}, step.attributes, ""};
  if (convolution) {
    Random random(8);
    graph.initializers["weight"] = random_tensor(random, {16, 16, 3, 3}, -0.3, 0.3);
    graph.nodes.push_back(node("Conv", {"x", "weight"}, "features", {{"pads", Ints{1, 1, 1, 1}}}));
    last.inputs[0] = "features";
  }
  for (const auto& [name, tensor] : step.constants) {
    graph.initializers[name] = tensor;
    last.inputs.push_back(name);
  }
  for (std::size_t i = 0; i < step.outputs; ++i) last.outputs.push_back(i == step.output ? "y" : "other" + std::to_string(i));
  graph.nodes.push_back(std::move(last));
  graph.outputs = {{"y", Dtype::f32, {}}};
  return graph;
}

TEST(PlainSteps, GiveTheSameAfterAConvolutionAndAlone) {
  const Tensor half = Tensor::of<float>({}, {0.5F});
  const Tensor indices = Tensor::of<std::int64_t>({1, 16, 2, 6}, Ints(192, -3));
  const std::vector<Step> steps{
      {"Abs"},
      {"Erf"},
      {"Elu", {{"alpha", 0.7F}}},
      {"Gelu"},
      {"Mish"},
      {"Softplus"},
      {"Selu"},
      {"Round"},
      {"ThresholdedRelu"},
      {"Max", {}, {{"a", half}}},
      {"Mod", {{"fmod", std::int64_t{1}}}, {{"a", half}}},
      {"Greater", {}, {{"a", half}}},
      {"ReduceMax", {{"axes", Ints{1}}}},
      {"ReduceL2", {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}}},
      {"ReduceLogSumExp", {{"axes", Ints{-1}}}},
      {"ReduceSum", {}, {{"a", ints({1, 3})}}},
      {"ArgMax", {{"axis", std::int64_t{1}}}},
      {"Hardmax", {{"axis", std::int64_t{1}}}},
      {"Slice", {}, {{"a", ints({5, -1})}, {"b", ints({16, -7})}, {"c", ints({1, 3})}, {"d", ints({3, -2})}}},
      {"Split", {{"axis", std::int64_t{1}}}, {{"a", ints({5, 11})}}, 1, 2},
      {"Split", {{"axis", std::int64_t{1}}}, {}, 0, 2},
      {"Expand", {}, {{"a", ints({2, 1, 16, 6, 6})}}},
      {"Tile", {}, {{"a", ints({1, 2, 1, 3})}}},
      {"Pad", {{"mode", std::string("reflect")}}, {{"a", ints({0, 0, 2, 1, 0, 0, 1, 3})}}},
      {"Pad", {{"mode", std::string("edge")}}, {{"a", ints({0, 1, 2, 1, 0, 0, -1, 3})}}},
      {"DepthToSpace", {{"blocksize", std::int64_t{2}}}},
      {"DepthToSpace", {{"blocksize", std::int64_t{4}}, {"mode", std::string("CRD")}}},
      {"SpaceToDepth", {{"blocksize", std::int64_t{3}}}},
      {"TopK", {{"axis", std::int64_t{1}}}, {{"k", ints({4})}}, 0, 2},
      {"TopK", {{"axis", std::int64_t{3}}}, {{"k", ints({2})}}, 1, 2},
      {"CumSum", {}, {{"a", whole(1)}}},
      {"Trilu"},
      {"Gather", {{"axis", std::int64_t{1}}}, {{"a", ints({3, -1, 3})}}},
      {"MaxPool", {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}}, {}, 1, 2},
      {"LpPool", {{"kernel_shape", Ints{2, 2}}, {"p", std::int64_t{3}}}},
      {"GlobalLpPool"},
      {"LRN", {{"size", std::int64_t{5}}}},
      {"LRN", {{"size", std::int64_t{4}}}},
      {"LpNormalization", {{"axis", std::int64_t{1}}}},
      {"MeanVarianceNormalization"},
      {"LayerNormalization", {}, {{"a", Tensor::filled({6}, 2)}, {"b", Tensor::filled({6}, 1)}}},
      {"InstanceNormalization", {}, {{"a", Tensor::filled({16}, 2)}, {"b", Tensor::filled({16}, 1)}}},
      {"QuantizeLinear", {{"axis", std::int64_t{1}}}, {{"a", Tensor::filled({16}, 0.02F)}, {"b", Tensor::zeros(Dtype::i8, {16})}}},
      {"Resize", {{"mode", std::string("cubic")}}, {{"a", Tensor(Dtype::f32, {0})}, {"b", Tensor::of<float>({4}, {1, 1, 2, 1.5F})}}},
      {"Einsum", {{"equation", std::string("ncij->nji")}}},
      {"IsNaN"},
      {"CastLike", {}, {{"a", whole(1)}}},
  };
  Random random(4);
  const Tensor images = random_tensor(random, {3, 16, 6, 6});
  auto convolution = Session::create([] {
    Graph graph = graph_with({"Identity"}, true);
    return graph;
  }());
  ASSERT_TRUE(convolution.ok());
  const auto features = convolution->run(images);
  ASSERT_TRUE(features.ok());
  for (const Step& step : steps) {
    SCOPED_TRACE(step.op_type);
    auto fused = Session::create(graph_with(step, true)), alone = Session::create(graph_with(step, false));
    ASSERT_TRUE(fused.ok()) << fused.error().message;
    ASSERT_TRUE(alone.ok()) << alone.error().message;
    const auto got = fused->run(images), wanted = alone->run(*features);
    ASSERT_TRUE(got.ok() && wanted.ok());
    ASSERT_EQ(got->dtype(), wanted->dtype());
    EXPECT_LE(relative_difference(*got, *wanted), 1e-5);
    // One image of a batch is what it is alone.
    const auto one = alone->run(features->rows(1, 2));
    ASSERT_TRUE(one.ok());
    if (one->rank() == wanted->rank() && wanted->dim(0) == 3 && std::string(step.op_type) != "MeanVarianceNormalization" &&
        step.output == 0) {
      EXPECT_LE(relative_difference(*one, wanted->rows(1, 2)), 1e-5);
    }
  }
}

// What exporters write: x.view(x.size(0), -1), F.interpolate(x, size of another), x.expand(batch, ...).
TEST(PlainSteps, ShapesThatAreComputedFollowTheBatch) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 4, 6, 6}}};
  graph.initializers = {{"zero", whole(0)},
                        {"two", ints({2})},
                        {"four", ints({4})},
                        {"axes", ints({0})},
                        {"rest", ints({-1})},
                        {"start", ints({0})},
                        {"factor", ints({2, 2})},
                        {"roi", Tensor(Dtype::f32, {0})},
                        {"scales", Tensor(Dtype::f32, {0})},
                        {"ones", ints({1, 1, 1, 1})}};
  graph.nodes = {node("Shape", {"x"}, "shape"),
                 node("Slice", {"shape", "start", "two"}, "outer"),
                 node("Slice", {"shape", "two", "four"}, "inner"),
                 node("Mul", {"inner", "factor"}, "doubled"),
                 node("Concat", {"outer", "doubled"}, "sizes", {{"axis", std::int64_t{0}}}),
                 node("Resize", {"x", "roi", "scales", "sizes"}, "large", {{"mode", std::string("nearest")}}),
                 node("Gather", {"shape", "zero"}, "images"),
                 node("Unsqueeze", {"images", "axes"}, "first"),
                 node("Concat", {"first", "rest"}, "flat", {{"axis", std::int64_t{0}}}),
                 node("Reshape", {"large", "flat"}, "y")};
  graph.outputs = {{"y", Dtype::f32, {}}};
  const auto values = graph::infer_shapes(graph);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_EQ(values->at("y").shape, (Shape{-1, 576}));
  EXPECT_EQ(values->at("large").shape, (Shape{-1, 4, 12, 12}));
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok()) << session.error().message;
  EXPECT_EQ(session->outputs()[0].shape, (Shape{-1, 576}));
  Random random(2);
  for (std::int64_t batch : {1, 3, 2}) {
    const Tensor images = random_tensor(random, {batch, 4, 6, 6});
    const auto got = session->run(images);
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_EQ(got->shape(), (Shape{batch, 576}));
    for (std::size_t i = 0; i < static_cast<std::size_t>(got->count()); ++i) {
      const std::size_t row = i / 12 % 12 / 2, column = i % 12 / 2;
      ASSERT_EQ(got->values<float>()[i], images.values<float>()[i / 144 * 36 + row * 6 + column]);
    }
  }
}

TEST(PlainSteps, ShapesMayBeOutputs) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 4}}};
  graph.nodes = {node("Shape", {"x"}, "shape"), node("Relu", {"x"}, "y")};
  graph.outputs = {{"shape", Dtype::i64, {2}}, {"y", Dtype::f32, {-1, 4}}};
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok()) << session.error().message;
  for (std::int64_t batch : {1, 5}) {
    const Tensor x = Tensor::filled({batch, 4}, 1);
    const auto got = session->run(std::span<const Tensor>(&x, 1));
    ASSERT_TRUE(got.ok());
    EXPECT_EQ((*got)[0].values<std::int64_t>()[0], batch);
    EXPECT_EQ((*got)[0].values<std::int64_t>()[1], 4);
  }
}

// A batch may be cut into pieces for threads only where no image is computed from another.
TEST(PlainSteps, BatchesAreCutOnlyWhereImagesAreIndependent) {
  const auto axis = [](std::int64_t value) { return Attributes{{"axis", value}}; };
  const std::vector<Step> apart{{"Abs"},
                                {"Split", axis(1), {}, 0, 2},
                                {"Slice", {}, {{"a", ints({5})}, {"b", ints({16})}, {"c", ints({1})}}},
                                {"Pad", {{"mode", std::string("reflect")}}, {{"a", ints({0, 0, 2, 1, 0, 0, 1, 3})}}},
                                {"DepthToSpace", {{"blocksize", std::int64_t{2}}}},
                                {"Hardmax", axis(1)},
                                {"TopK", axis(1), {{"k", ints({4})}}, 0, 2},
                                {"LayerNormalization", {}, {{"a", Tensor::filled({6}, 2)}}},
                                {"Gather", axis(1), {{"a", ints({3, -1})}}}};
  const std::vector<Step> together{{"Hardmax", axis(0)},
                                   {"CumSum", {}, {{"a", whole(0)}}},
                                   {"LpNormalization", axis(0)},
                                   {"LayerNormalization", axis(0), {{"a", Tensor::filled({6}, 2)}}},
                                   {"MeanVarianceNormalization"},
                                   {"ReduceMax", {{"axes", Ints{0}}}},
                                   {"ArgMax", axis(0)},
                                   {"Einsum", {{"equation", std::string("nchw->nchw")}}},
                                   {"Add", {}, {{"a", Tensor::filled({1, 1, 1, 1, 1}, 1)}}},
                                   {"Trilu"}};
  for (const Step& step : apart) EXPECT_TRUE(images_are_independent(graph_with(step, true))) << step.op_type;
  for (const Step& step : together) EXPECT_FALSE(images_are_independent(graph_with(step, true))) << step.op_type;

  // x.view(x.size(0), -1) leaves images apart; x * x.size(0) does not.
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 4, 6}}};
  graph.initializers = {{"zero", whole(0)}, {"axes", ints({0})}, {"rest", ints({-1})}};
  graph.nodes = {node("Shape", {"x"}, "shape"), node("Gather", {"shape", "zero"}, "images"), node("Unsqueeze", {"images", "axes"}, "first"),
                 node("Concat", {"first", "rest"}, "flat", {{"axis", std::int64_t{0}}}), node("Reshape", {"x", "flat"}, "y")};
  graph.outputs = {{"y", Dtype::f32, {}}};
  EXPECT_TRUE(images_are_independent(graph));
  graph.nodes.resize(2);
  graph.nodes.push_back(node("Cast", {"images"}, "count", {{"to", std::int64_t{1}}}));
  graph.nodes.push_back(node("Mul", {"x", "count"}, "y"));
  EXPECT_FALSE(images_are_independent(graph));
}

TEST(PlainSteps, WhatMakesNoSenseIsRefusedWithTheNodesName) {
  const std::vector<Step> wrong{
      {"Slice", {}, {{"a", ints({0})}, {"b", ints({1, 2})}}},
      {"Slice", {}, {{"a", ints({0})}, {"b", ints({1})}, {"c", ints({9})}}},
      {"Slice", {}, {{"a", ints({0})}, {"b", ints({1})}, {"c", ints({1})}, {"d", ints({0})}}},
      {"Split", {{"axis", std::int64_t{1}}}, {{"a", ints({5, 5})}}, 0, 2},
      {"Split", {{"axis", std::int64_t{1}}}, {{"a", ints({-1, 17})}}, 0, 2},
      {"Split", {{"axis", std::int64_t{1}}}, {}, 0, 3},
      {"Expand", {}, {{"a", ints({3, 16, 6, 5})}}},
      {"Expand", {}, {{"a", ints({-2})}}},
      {"Expand", {}, {{"a", ints({1 << 30, 1 << 30, 1, 1, 1, 1})}}},
      {"Tile", {}, {{"a", ints({1, 2})}}},
      {"Tile", {}, {{"a", ints({1, std::int64_t{1} << 40, std::int64_t{1} << 40, 1})}}},
      {"Gather", {{"axis", std::int64_t{1}}}, {{"a", ints({16})}}},
      {"GatherElements", {{"axis", std::int64_t{1}}}, {{"a", ints({0})}}},
      {"GatherND", {}, {{"a", ints({0, 0, 0, 0, 0})}}},
      {"ScatterND", {}, {{"a", Tensor::of<std::int64_t>({1, 1}, {0})}, {"b", Tensor::filled({2}, 0)}}},
      {"DepthToSpace", {{"blocksize", std::int64_t{3}}}},
      {"DepthToSpace", {{"blocksize", std::int64_t{0}}}},
      {"SpaceToDepth", {{"blocksize", std::int64_t{4}}}},
      {"TopK", {}, {{"k", ints({7})}}, 0, 2},
      {"TopK", {}, {{"k", ints({-1})}}, 0, 2},
      {"ArgMax", {{"axis", std::int64_t{4}}}},
      {"CumSum", {}, {{"a", whole(4)}}},
      {"OneHot", {}, {{"a", whole(0)}, {"b", Tensor::filled({2}, 0)}}},
      {"OneHot", {}, {{"a", whole(4)}, {"b", Tensor::filled({3}, 0)}}},
      {"LRN", {{"size", std::int64_t{0}}}},
      {"LpPool", {{"kernel_shape", Ints{2, 2}}, {"p", std::int64_t{0}}}},
      {"LpNormalization", {{"p", std::int64_t{3}}}},
      {"LayerNormalization", {}, {{"a", Tensor::filled({5}, 1)}}},
      {"InstanceNormalization", {}, {{"a", Tensor::filled({15}, 1)}, {"b", Tensor::filled({16}, 1)}}},
      {"QuantizeLinear", {{"axis", std::int64_t{1}}}, {{"a", Tensor::filled({6}, 1)}}},
      {"LSTM", {}, {{"a", Tensor::filled({1, 8, 3}, 1)}, {"b", Tensor::filled({1, 8, 2}, 1)}}},
      {"Einsum", {{"equation", std::string("nc->n")}}},
      {"Einsum", {{"equation", std::string("nchw->z")}}},
      {"And", {}, {{"a", Tensor::filled({}, 1)}}},
      {"Where", {}, {{"a", Tensor::filled({}, 1)}, {"b", Tensor::filled({}, 1)}}},
      {"Max", {}, {{"a", whole(1)}}},
      {"Resize", {}, {{"a", Tensor(Dtype::f32, {0})}, {"b", Tensor::of<float>({4}, {1, 1, -2, 1})}}},
      {"Resize", {}, {{"a", Tensor(Dtype::f32, {0})}, {"b", Tensor::of<float>({2}, {1, 1})}}},
      {"Upsample", {{"scales", std::vector<float>{1, 1, 0.01F, 1}}}},
      {"Pad", {{"mode", std::string("wrap")}}, {{"a", ints({0, 0, 0, 0, 0, 0, 0, 0})}}},
      {"Trilu", {}, {{"a", ints({1, 2})}}},
  };
  for (const Step& step : wrong) {
    SCOPED_TRACE(step.op_type);
    const auto session = Session::create(graph_with(step, false));
    ASSERT_FALSE(session.ok());
    EXPECT_THAT(session.error().message, HasSubstr(step.op_type));
    EXPECT_TRUE(session.error().kind == ErrorKind::invalid_data || session.error().kind == ErrorKind::unsupported)
        << session.error().message;
  }
}

// Few bytes that ask for more memory than there is are refused before anything is allocated.
TEST(PlainSteps, HugeResultsAreRefusedAtOnce) {
  const std::int64_t huge = std::int64_t{1} << 38;
  const std::vector<Step> steps{{"Expand", {}, {{"a", ints({huge / 64, 1, 16, 6, 6})}}},
                                {"Tile", {}, {{"a", ints({1, huge >> 10, 1, 1})}}},
                                {"Pad", {}, {{"a", ints({0, 2'000'000'000, 0, 0, 0, 0, 0, 0})}}},
                                {"Upsample", {{"scales", std::vector<float>{1, 1, 1e5F, 1e4F}}}}};
  for (const Step& step : steps) {
    SCOPED_TRACE(step.op_type);
    const auto session = Session::create(graph_with(step, false));
    ASSERT_FALSE(session.ok());
    EXPECT_NE(session.error().kind, ErrorKind::internal) << session.error().message;
  }
  Graph graph;
  graph.initializers = {{"s", ints({huge})}};
  graph.nodes = {node("ConstantOfShape", {"s"}, "y")};
  graph.outputs = {{"y", Dtype::f32, {huge}}};
  EXPECT_FALSE(Session::create(graph).ok());
}

TEST(PlainSteps, EmptyTensorsHaveEmptyResults) {
  Step step{"Slice", {}, {{"a", ints({4})}, {"b", ints({4})}, {"c", ints({2})}}};
  Graph graph = graph_with(step, true);
  graph.nodes.back().outputs = {"none"};
  graph.nodes.push_back(node("Relu", {"none"}, "rectified"));
  graph.nodes.push_back(node("Concat", {"rectified", "features"}, "y", {{"axis", std::int64_t{2}}}));
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok()) << session.error().message;
  const auto got = session->run(Tensor::filled({2, 16, 6, 6}, 1));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->shape(), (Shape{2, 16, 6, 6}));
}

TEST(Halves, RoundToTheNearestAndBack) {
  for (unsigned bits = 0; bits < 1U << 16U; ++bits) {
    const Float16 half{static_cast<std::uint16_t>(bits)};
    const BFloat16 brain{static_cast<std::uint16_t>(bits)};
    ASSERT_TRUE(std::isnan(half.value()) || Float16::of(half.value()).bits == bits) << bits;
    ASSERT_TRUE(std::isnan(brain.value()) || BFloat16::of(brain.value()).bits == bits) << bits;
  }
  EXPECT_EQ(Float16::of(65504).value(), 65504);
  EXPECT_EQ(Float16::of(65519).value(), 65504);
  EXPECT_TRUE(std::isinf(Float16::of(65520).value()));
  EXPECT_EQ(Float16::of(1 + 1.0 / 2048).value(), 1);  // a half goes to the even neighbour
  EXPECT_EQ(Float16::of(1 + 3.0 / 2048).value(), 1 + 4.0 / 2048);
  EXPECT_TRUE(std::isnan(Float16::of(std::nan("")).value()));
}

}  // namespace
}  // namespace sightline::runtime
