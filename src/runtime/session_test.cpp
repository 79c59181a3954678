#include "runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/reference_test.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;
using testing::HasSubstr;

constexpr double tolerance = 1e-4;  // relative to the output's scale

Tensor random_images(const Shape& shape, std::uint64_t seed) {
  Random random(seed);
  Tensor images(Dtype::u8, shape);
  for (auto& v : images.values<std::uint8_t>()) v = static_cast<std::uint8_t>(random.below(256));
  return images;
}

std::vector<std::string> step_types(Session& session, const Tensor& input) {
  const auto steps = session.profile({&input, 1});
  EXPECT_TRUE(steps.ok());
  std::vector<std::string> types;
  if (steps.ok())
    for (const NodeTime& step : *steps) types.push_back(step.op_type);
  return types;
}

// BatchNormalization with statistics that are not those of a fresh graph.
void shake_statistics(Graph& graph) {
  Random random(99);
  for (const auto& [name, role] : graph::roles_of(graph)) {
    if (role == graph::Role::weight || role == graph::Role::constant) continue;
    Tensor tensor = graph.initializers.at(name).copy();
    const double low = role == graph::Role::running_variance || role == graph::Role::scale ? 0.5 : -0.5;
    for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(low, low + 1));
    graph.initializers[name] = tensor;
  }
}

// Two stages of residual blocks, the second with a projection; pool, linear, softmax with a temperature.
Graph residual_network(std::int64_t channels = 16) {
  Builder b(1);
  std::string x = b.image_input(12, 12, 3, {120, 110, 100}, {60, 61, 62});  // N×3×12×12
  x = b.relu(b.batch_norm(b.conv(x, channels, {})));                        // N×C×12×12
  std::string y = b.relu(b.batch_norm(b.conv(x, channels, {})));            //
  x = b.relu(b.add(b.batch_norm(b.conv(y, channels, {})), x));              //
  y = b.relu(b.batch_norm(b.conv(x, 2 * channels, {.stride = 2})));         // N×2C×6×6
  const std::string projected = b.batch_norm(b.conv(x, 2 * channels, {.kernel = 1, .stride = 2}));
  x = b.relu(b.add(b.batch_norm(b.conv(y, 2 * channels, {})), projected));                        //
  const std::string logits = b.linear(b.dropout(b.flatten(b.global_average_pool(x)), 0.1F), 10);  // N×10
  const std::string probabilities = b.softmax(b.scale(logits, 0.7F, "inverse_temperature"));
  auto graph = b.finish({probabilities}, {logits});
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  shake_statistics(*graph);
  return *graph;
}

// Inverted residuals with depthwise convolutions, hard swish and squeeze-and-excitation.
Graph mobile_network() {
  Builder b(2);
  std::string x = b.image_input(16, 16, 3, {120, 110, 100}, {60, 61, 62});
  x = b.hard_swish(b.batch_norm(b.conv(x, 16, {.stride = 2})));                                  // N×16×8×8
  std::string y = b.hard_swish(b.batch_norm(b.conv(x, 40, {.kernel = 1})));                      // N×40×8×8
  y = b.hard_swish(b.batch_norm(b.conv(y, 40, {.groups = 40})));                                 //
  std::string gate = b.relu(b.conv(b.global_average_pool(y), 10, {.kernel = 1, .bias = true}));  // N×10×1×1
  gate = b.hard_sigmoid(b.conv(gate, 40, {.kernel = 1, .bias = true}));                          // N×40×1×1
  y = b.batch_norm(b.conv(b.mul(y, gate), 16, {.kernel = 1}));                                   // N×16×8×8
  x = b.add(x, y);
  x = b.max_pool(x, 3, 2, 1);  // N×16×4×4
  const std::string logits = b.linear(b.flatten(x), 7);
  auto graph = b.finish({logits}, {});
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  shake_statistics(*graph);
  return *graph;
}

TEST(RuntimeSession, WholeNetworksAgreeWithTheReference) {
  for (const Graph& graph : {residual_network(), residual_network(5), mobile_network()}) {
    auto session = Session::create(graph, {.threads = 2});
    ASSERT_TRUE(session.ok()) << session.error().message;
    for (std::int64_t batch : {1, 3, 8, 1}) {
      Shape shape = graph.inputs[0].shape;
      shape[0] = batch;
      const Tensor images = random_images(shape, static_cast<std::uint64_t>(batch));
      const auto got = session->run(images);
      ASSERT_TRUE(got.ok()) << got.error().message;
      EXPECT_LE(relative_difference(*got, reference_run(graph, {&images, 1})[0]), tolerance) << batch;
    }
  }
}

TEST(RuntimeSession, FusesWhatFollowsAConvolution) {
  auto session = Session::create(residual_network(), {.threads = 1});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const auto types = step_types(*session, random_images({1, 12, 12, 3}, 1));
  EXPECT_THAT(types, testing::Contains("Cast+Transpose+Sub+Div").Times(1));
  EXPECT_THAT(types, testing::Contains("Conv+Relu").Times(3));
  EXPECT_THAT(types, testing::Contains("Conv+Add+Relu").Times(2));
  EXPECT_THAT(types, testing::Contains("Conv").Times(1));
  EXPECT_THAT(types, testing::Contains("Gemm+Mul").Times(1));
  EXPECT_THAT(types, testing::Not(testing::Contains("BatchNormalization")));
  EXPECT_THAT(types, testing::Not(testing::Contains("Relu")));
}

// A value that is read again after the sum must not be overwritten by it.
TEST(RuntimeSession, SumsInPlaceOnlyIntoWhatIsDead) {
  Builder b(3);
  const std::string image = b.image_input(8, 8, 3, {0, 0, 0}, {255, 255, 255});
  const std::string x = b.conv(image, 16, {.bias = true});
  const std::string sum = b.add(b.conv(x, 16, {.bias = true}), x);
  const std::string other = b.add(b.conv(sum, 16, {.bias = true}), x);  // reads x again
  const std::string both = b.add(b.relu(sum), other);
  auto graph = b.finish({both, x}, {});
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  auto session = Session::create(*graph);
  ASSERT_TRUE(session.ok()) << session.error().message;
  const Tensor images = random_images({2, 8, 8, 3}, 4);
  const auto got = session->run({&images, 1});
  ASSERT_TRUE(got.ok()) << got.error().message;
  const auto wanted = reference_run(*graph, {&images, 1});
  EXPECT_LE(relative_difference((*got)[0], wanted[0]), tolerance);
  EXPECT_LE(relative_difference((*got)[1], wanted[1]), tolerance);
}

// Branches of blocked layouts joined, constants per channel, PRelu, products and differences of branches, a transposed convolution: all
// that may be fused, in orders that tempt.
Graph tempting_network(std::int64_t channels) {
  Builder b(4);
  Random random(8);
  const auto per_channel = [&](std::int64_t count) {
    Tensor tensor(Dtype::f32, {count, 1, 1});
    for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(0.3, 1.3));
    return b.constant("numbers", tensor);
  };
  const std::string image = b.image_input(10, 10, 3, {0, 0, 0}, {255, 255, 255});
  const std::string x = b.node("PRelu", {b.conv(image, channels, {.bias = true}), per_channel(channels)});
  const std::string y = b.node("Sigmoid", {b.mul(b.conv(x, channels, {.kernel = 1, .bias = true}), per_channel(channels))});
  const std::string z = b.node("Tanh", {b.node("Sub", {b.conv(y, channels, {.groups = channels}), x})});
  const std::string w = b.node("Div", {b.conv(z, channels, {}), b.node("Exp", {y})});
  const std::string turned = b.node("Sub", {b.constant("one", Tensor::of<float>({1}, {1})), b.conv(w, channels, {.kernel = 1})});
  const std::string joined = b.node("Concat", {turned, b.conv(y, 2 * channels, {.kernel = 1}), x}, {{"axis", std::int64_t{1}}});
  std::string v = b.relu(b.add(b.conv(joined, channels, {}), b.add(w, z)));
  v = b.add(b.relu(b.conv(v, channels, {})), v);  // the sum comes after the activation
  Tensor up(Dtype::f32, {channels, 5, 2, 2});
  for (float& value : up.values<float>()) value = static_cast<float>(random.uniform(-0.5, 0.5));
  v = b.node("LeakyRelu", {b.node("ConvTranspose", {v, b.constant("up", up)}, {{"strides", std::vector<std::int64_t>{2, 2}}})});
  auto graph = b.finish({v, joined}, {});
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  return *graph;
}

TEST(RuntimeSession, FusesNothingWrongly) {
  for (std::int64_t channels : {16, 6, 24}) {
    const Graph graph = tempting_network(channels);
    auto session = Session::create(graph);
    ASSERT_TRUE(session.ok()) << session.error().message;
    const Tensor images = random_images({2, 10, 10, 3}, 4);
    const auto wanted = reference_run(graph, {&images, 1});
    for (int i = 0; i < 2; ++i) {
      const auto got = session->run({&images, 1});
      ASSERT_TRUE(got.ok()) << got.error().message;
      EXPECT_LE(relative_difference((*got)[0], wanted[0]), tolerance) << channels;
      EXPECT_LE(relative_difference((*got)[1], wanted[1]), tolerance) << channels;
    }
  }
}

// Serving tensors may be slices of larger ones: nothing may be assumed about their alignment.
TEST(RuntimeSession, TakesUnalignedInputs) {
  Builder b(5);
  const std::string image = b.image_input(3, 3, 1, {0}, {1});
  auto graph = b.finish({b.relu(b.conv(image, 16, {.bias = true}))}, {});
  ASSERT_TRUE(graph.ok());
  auto session = Session::create(*graph);
  ASSERT_TRUE(session.ok());
  const Tensor images = random_images({5, 3, 3, 1}, 4);
  for (std::int64_t i = 0; i < 5; ++i) {
    const Tensor one = images.rows(i, i + 1);
    const auto got = session->run(one);
    ASSERT_TRUE(got.ok());
    EXPECT_LE(relative_difference(*got, reference_run(*graph, {&one, 1})[0]), tolerance);
  }
}

TEST(RuntimeSession, OutputsMayBeInputsViewsOfEachOtherAndConstants) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 4}}};
  graph.initializers = {{"c", Tensor::of<float>({2}, {3, 4})}, {"s", Tensor::of<std::int64_t>({3}, {0, 2, 2})}};
  graph.nodes = {
      {"relu", "Relu", {"x"}, {"y"}, {}, ""}, {"reshape", "Reshape", {"y", "s"}, {"z"}, {}, ""}, {"exp", "Exp", {"c"}, {"e"}, {}, ""}};
  graph.outputs = {{"y", Dtype::f32, {-1, 4}},
                   {"z", Dtype::f32, {-1, 2, 2}},
                   {"x", Dtype::f32, {-1, 4}},
                   {"e", Dtype::f32, {2}},
                   {"c", Dtype::f32, {2}}};
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok()) << session.error().message;
  const Tensor x = Tensor::of<float>({1, 4}, {-1, 2, -3, 4});
  const auto got = session->run({&x, 1});
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_THAT((*got)[0].values<float>(), testing::ElementsAre(0, 2, 0, 4));
  EXPECT_THAT((*got)[1].values<float>(), testing::ElementsAre(0, 2, 0, 4));
  EXPECT_THAT((*got)[2].values<float>(), testing::ElementsAre(-1, 2, -3, 4));
  EXPECT_NEAR((*got)[3].values<float>()[0], 20.0855F, 1e-3F);
  EXPECT_THAT((*got)[4].values<float>(), testing::ElementsAre(3, 4));
}

TEST(RuntimeSession, ComputesConstantNodesOnce) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 2}}};
  graph.initializers = {{"a", Tensor::of<float>({2}, {1, 2})}, {"b", Tensor::of<float>({2}, {10, 20})}};
  graph.nodes = {{"sum", "Add", {"a", "b"}, {"c"}, {}, ""},
                 {"twice", "Add", {"c", "c"}, {"d"}, {}, ""},
                 {"product", "Mul", {"x", "d"}, {"y"}, {}, ""}};
  graph.outputs = {{"y", Dtype::f32, {-1, 2}}};
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok()) << session.error().message;
  const Tensor x = Tensor::of<float>({1, 2}, {1, 1});
  EXPECT_EQ(step_types(*session, x), std::vector<std::string>{"Mul"});
  const auto got = session->run(x);
  ASSERT_TRUE(got.ok());
  EXPECT_THAT(got->values<float>(), testing::ElementsAre(22, 44));
}

TEST(RuntimeSession, ManyBatchSizesComeAndGo) {
  const Graph graph = residual_network();
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok());
  const Tensor images = random_images({12, 12, 12, 3}, 5);
  const auto all = session->run(images);
  ASSERT_TRUE(all.ok());
  for (std::int64_t batch = 1; batch <= 12; ++batch) {
    const auto some = session->run(images.rows(12 - batch, 12));
    ASSERT_TRUE(some.ok());
    EXPECT_LE(relative_difference(*some, all->rows(12 - batch, 12)), 1e-5);
  }
  const Memory memory = session->memory();
  EXPECT_GT(memory.weights, 16U * 16 * 9 * 4);
  EXPECT_GT(memory.arena, 0U);
  // The arena reuses memory: far less than one buffer per value.
  EXPECT_LT(memory.arena, 12U * (12 * 12 * (3 + 5 * 16) + 6 * 6 * 32 * 4) * 4);
}

TEST(RuntimeSession, SaysWhatDoesNotFit) {
  const Graph graph = residual_network();
  auto session = Session::create(graph);
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session->inputs()[0].shape, (Shape{-1, 12, 12, 3}));
  EXPECT_EQ(session->outputs()[0].shape, (Shape{-1, 10}));
  const auto message = [&](const Tensor& input) {
    const auto result = session->run(input);
    EXPECT_FALSE(result.ok());
    if (result.ok()) return std::string();
    EXPECT_EQ(result.error().kind, ErrorKind::usage);
    return result.error().message;
  };
  EXPECT_THAT(message(Tensor::filled({1, 12, 12, 3}, 0)), HasSubstr("input f32 1×12×12×3 does not fit \"image\": u8 N×12×12×3"));
  EXPECT_THAT(message(random_images({1, 12, 13, 3}, 0)), HasSubstr("1×12×13×3"));
  EXPECT_THAT(message(random_images({12, 12, 3}, 0)), HasSubstr("12×12×3"));
  EXPECT_THAT(message(Tensor(Dtype::u8, {0, 12, 12, 3})), HasSubstr("0×12×12×3"));
  EXPECT_THAT(message(Tensor()), HasSubstr("without data"));
  EXPECT_THAT(session->run(std::span<const Tensor>()).error().message, HasSubstr("takes 1 input, not 0"));
}

TEST(RuntimeSession, RefusesInWords) {
  const auto refused = [](const Graph& graph, ErrorKind kind) {
    const auto session = Session::create(graph);
    EXPECT_FALSE(session.ok());
    if (session.ok()) return std::string();
    EXPECT_EQ(session.error().kind, kind) << session.error().message;
    return session.error().message;
  };
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 4}}};
  graph.outputs = {{"y", Dtype::f32, {-1, 4}}};
  graph.nodes = {{"odd", "GridSample", {"x"}, {"y"}, {}, ""}};
  EXPECT_THAT(refused(graph, ErrorKind::unsupported), HasSubstr("odd"));
  EXPECT_THAT(refused(graph, ErrorKind::unsupported), HasSubstr("GridSample"));
  graph.nodes = {{"relu", "Relu", {"nothing"}, {"y"}, {}, ""}};
  EXPECT_THAT(refused(graph, ErrorKind::invalid_data), HasSubstr("nothing"));
  // Only the batch may be free.
  graph.nodes = {{"relu", "Relu", {"x"}, {"y"}, {}, ""}};
  graph.inputs[0].shape = {-1, -1};
  graph.outputs[0].shape = {-1, -1};
  EXPECT_THAT(refused(graph, ErrorKind::unsupported), HasSubstr("only the first may be free"));
  // No such thing as a Sigmoid of bytes.
  graph.nodes = {{"sigmoid", "Sigmoid", {"x"}, {"y"}, {}, ""}};
  graph.inputs[0] = {"x", Dtype::u8, {-1, 4}};
  graph.outputs[0] = {"y", Dtype::u8, {-1, 4}};
  EXPECT_THAT(refused(graph, ErrorKind::unsupported), HasSubstr("not for u8"));
  // More than any machine has.
  graph.inputs[0] = {"x", Dtype::f32, {-1, 1 << 20, 1 << 10, 1 << 9}};
  graph.outputs[0] = graph.inputs[0];
  graph.outputs[0].name = "y";
  graph.nodes = {{"exp", "Exp", {"x"}, {"t"}, {}, ""}, {"relu", "Relu", {"t"}, {"y"}, {}, ""}};
  const auto session = Session::create(graph);
  if (!session.ok()) {
    EXPECT_NE(session.error().kind, ErrorKind::internal) << session.error().message;
  }
}

TEST(RuntimeSession, OneImageOrEightGiveTheSameBits) {
  const Graph graph = residual_network();
  auto session = Session::create(graph, {.threads = 1});
  ASSERT_TRUE(session.ok());
  const Tensor images = random_images({8, 12, 12, 3}, 6);
  const auto eight = session->run(images);
  ASSERT_TRUE(eight.ok());
  double worst = 0;
  for (std::int64_t i = 0; i < 8; ++i) {
    const auto one = session->run(images.rows(i, i + 1));
    ASSERT_TRUE(one.ok());
    worst = std::max(worst, relative_difference(*one, eight->rows(i, i + 1)));
  }
  // Bit-equal where the kernels are the same for all batch sizes; never further apart than rounding.
  EXPECT_LE(worst, 1e-6);
}

// A batch is shared out to threads: the same numbers as image by image.
TEST(RuntimeSession, SharesBatchesOut) {
  Builder b(6);
  std::string x = b.image_input(24, 24, 3, {120, 110, 100}, {60, 61, 62});
  for (int i = 0; i < 3; ++i) x = b.relu(b.conv(x, 32, {.bias = true}));
  const std::string pooled = b.flatten(b.global_average_pool(x));
  const auto graph = b.finish({b.softmax(b.linear(pooled, 10)), pooled}, {});
  ASSERT_TRUE(graph.ok());
  auto one = Session::create(*graph, {.threads = 1}), three = Session::create(*graph, {.threads = 3});
  ASSERT_TRUE(one.ok() && three.ok());
  for (std::int64_t batch : {7, 1, 2, 16}) {
    const Tensor images = random_images({batch, 24, 24, 3}, 3);
    const auto wanted = one->run({&images, 1}), got = three->run({&images, 1});
    ASSERT_TRUE(wanted.ok() && got.ok());
    EXPECT_LE(relative_difference((*got)[0], (*wanted)[0]), 1e-5);
    EXPECT_LE(relative_difference((*got)[1], (*wanted)[1]), 1e-5);
  }
}

// Graphs in which images look at each other must not be cut.
TEST(RuntimeSession, KeepsBatchesWholeWhereImagesDependOnEachOther) {
  const auto agrees = [](std::vector<graph::Node> nodes, std::int64_t opset = 17) {
    Graph graph;
    graph.opset = opset;
    graph.inputs = {{"x", Dtype::f32, {-1, 64, 64}}};
    Tensor square(Dtype::f32, {64, 64});
    Random random(2);
    for (float& v : square.values<float>()) v = static_cast<float>(random.uniform(-0.2, 0.2));
    graph.initializers = {{"w", square}};
    // Work enough to be shared out.
    for (int i = 0; i < 12; ++i)
      graph.nodes.push_back({"", "MatMul", {i == 0 ? "x" : "m" + std::to_string(i - 1), "w"}, {"m" + std::to_string(i)}, {}, ""});
    for (auto& node : nodes) graph.nodes.push_back(std::move(node));
    const auto values = graph::infer_shapes(graph);
    ASSERT_TRUE(values.ok()) << values.error().message;
    graph.outputs = {values->at("y")};
    auto session = Session::create(graph, {.threads = 2}), whole = Session::create(graph, {.threads = 1});
    ASSERT_TRUE(session.ok() && whole.ok());
    Tensor x(Dtype::f32, {8, 64, 64});
    for (float& v : x.values<float>()) v = static_cast<float>(random.uniform(-1, 1));
    const auto got = session->run(x), wanted = whole->run(x);
    ASSERT_TRUE(got.ok() && wanted.ok());
    EXPECT_LE(relative_difference(*got, *wanted), 1e-5);
  };
  const auto axis = [](std::int64_t value) { return std::map<std::string, graph::Attribute>{{"axis", value}}; };
  agrees({{"", "Relu", {"m11"}, {"y"}, {}, ""}});
  agrees({{"", "Softmax", {"m11"}, {"y"}, axis(0), ""}});
  agrees({{"", "Softmax", {"m11"}, {"y"}, axis(-3), ""}});
  agrees({{"", "Softmax", {"m11"}, {"y"}, axis(0), ""}}, 11);
  agrees({{"", "Concat", {"m11", "m10"}, {"y"}, axis(0), ""}});
  agrees({{"", "Relu", {"m11"}, {"r"}, {}, ""}, {"", "Concat", {"m11", "r"}, {"y"}, axis(1), ""}});
  agrees({{"", "ReduceMean", {"m11"}, {"y"}, {{"axes", std::vector<std::int64_t>{0}}}, ""}});
  agrees({{"", "ReduceMean", {"m11"}, {"r"}, {{"axes", std::vector<std::int64_t>{0}}}, ""}, {"", "Sub", {"m11", "r"}, {"y"}, {}, ""}});
  agrees({{"", "Transpose", {"m11"}, {"y"}, {{"perm", std::vector<std::int64_t>{1, 0, 2}}}, ""}});
}

// Foreign files that use our operators run: alone on one thread and with each step shared by two, with the same result; the smallest is
// held to the reference as well (for the others that would take minutes).
TEST(RuntimeSession, RunsForeignFiles) {
  const std::filesystem::path folder = "../shared/data/onnx";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "../shared/data/onnx is not here";
  for (const char* name : {"mobilenetv1_025_128_qat", "mobilefacenet_y1_112", "fastestdet_coco_352"}) {
    SCOPED_TRACE(name);
    const auto graph = graph::read_onnx((folder / (std::string(name) + ".onnx")).string());
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    auto one = Session::create(*graph, {.threads = 1}), two = Session::create(*graph, {.threads = 2});
    ASSERT_TRUE(one.ok()) << one.error().message;
    ASSERT_TRUE(two.ok()) << two.error().message;
    Shape shape = one->inputs()[0].shape;
    if (shape[0] < 0) shape[0] = 1;
    Random random(1);
    Tensor image(Dtype::f32, shape);
    for (float& v : image.values<float>()) v = static_cast<float>(random.uniform(-1, 1));
    const auto got = one->run({&image, 1}), again = two->run({&image, 1});
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_TRUE(again.ok()) << again.error().message;
    for (std::size_t i = 0; i < got->size(); ++i) EXPECT_LE(relative_difference((*again)[i], (*got)[i]), 1e-5);
    if (std::string(name).starts_with("mobilenetv1")) {
      EXPECT_LE(relative_difference((*got)[0], reference_run(*graph, {&image, 1})[0]), tolerance);
    }
  }
}

}  // namespace
}  // namespace sightline::runtime
