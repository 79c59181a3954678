#include "autograd/executor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/operator_cases.h"
#include "base/random.h"

namespace sightline::autograd {
namespace {

using graph::Attribute;
using graph::Graph;
using namespace operator_cases;

struct Gradients {
  torch::Tensor value, input;
  std::vector<torch::Tensor> parameters;
};

// Of sum(y * direction), with a fixed direction.
Gradients backward(Executor& executor, const torch::Tensor& x, bool training) {
  torch::Tensor input = x.clone().set_requires_grad(true);
  const torch::Tensor y = executor.forward({input}, {"y"}, training)[0];
  torch::Tensor direction = torch::arange(y.numel(), torch::kDouble).mul(0.7).sin().add(0.2).reshape(y.sizes()).to(y.scalar_type());
  for (auto& [name, parameter] : executor.parameters()) parameter.mutable_grad() = torch::Tensor();
  (y * direction).sum().backward();
  Gradients gradients{(y * direction).sum().detach(), input.grad(), {}};
  for (auto& [name, parameter] : executor.parameters()) gradients.parameters.push_back(parameter.grad().clone());
  return gradients;
}

double loss_of(Executor& executor, const torch::Tensor& x, bool training) {
  torch::NoGradGuard no_gradient;
  const torch::Tensor y = executor.forward({x.clone()}, {"y"}, training)[0];
  const torch::Tensor direction = torch::arange(y.numel(), torch::kDouble).mul(0.7).sin().add(0.2).reshape(y.sizes());
  return (y * direction).sum().item<double>();
}

// Central differences along every element of `values`, which the executor reads.
void expect_finite_differences(Executor& executor, const torch::Tensor& x, torch::Tensor values, const torch::Tensor& analytic,
                               bool training, const std::string& what) {
  torch::NoGradGuard no_gradient;
  const double step = 1e-5;
  torch::Tensor flat = values.view({-1});
  const torch::Tensor expected = analytic.contiguous().view({-1});
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const double before = flat[i].item<double>();
    flat[i] = before + step;
    const double above = loss_of(executor, x, training);
    flat[i] = before - step;
    const double below = loss_of(executor, x, training);
    flat[i] = before;
    const double numeric = (above - below) / (2 * step);
    ASSERT_NEAR(expected[i].item<double>(), numeric, 1e-5 * std::max(1.0, std::abs(numeric))) << what << " element " << i;
  }
}

class OperatorGradient : public testing::TestWithParam<Case> {};

TEST_P(OperatorGradient, EqualsFiniteDifferencesAndSinglePrecisionAgrees) {
  const Case& each = GetParam();
  auto exact = Executor::create(graph_of(each, Dtype::f64));
  ASSERT_TRUE(exact.ok()) << exact.error().message;
  Random random(3);
  torch::Tensor x = to_torch(random_tensor(Dtype::f64, each.input, random, each.low, each.high));
  if (!each.differentiable) {
    auto narrow = Executor::create(graph_of(each, Dtype::f32));
    ASSERT_TRUE(narrow.ok()) << narrow.error().message;
    const torch::Tensor y = exact->forward({x}, {"y"}, each.training)[0];
    EXPECT_TRUE(y.to(torch::kDouble).equal(narrow->forward({x.to(torch::kFloat)}, {"y"}, each.training)[0].to(torch::kDouble)));
    return;
  }
  const Gradients wide = backward(*exact, x, each.training);
  expect_finite_differences(*exact, x, x, wide.input, each.training, "input");
  for (std::size_t i = 0; i < exact->parameters().size(); ++i) {
    auto& [name, parameter] = exact->parameters()[i];
    torch::Tensor memory = parameter.detach().contiguous().clone();
    parameter.set_data(memory);
    expect_finite_differences(*exact, x, memory, wide.parameters[i], each.training, name);
  }

  auto fast = Executor::create(graph_of(each, Dtype::f32));
  ASSERT_TRUE(fast.ok()) << fast.error().message;
  const Gradients narrow = backward(*fast, x.to(torch::kFloat), each.training);
  const auto near = [](const torch::Tensor& a, const torch::Tensor& b) {
    const double scale = std::max(1.0, b.abs().max().item<double>());
    return (a.to(torch::kDouble) - b).abs().max().item<double>() / scale;
  };
  EXPECT_LT(near(narrow.value, wide.value), 1e-4);
  EXPECT_LT(near(narrow.input, wide.input), 1e-4);
  for (std::size_t i = 0; i < wide.parameters.size(); ++i) EXPECT_LT(near(narrow.parameters[i], wide.parameters[i]), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, OperatorGradient, testing::ValuesIn(cases()), [](const auto& each) { return each.param.label; });

// The rows above would prove nothing of weights that are not taken for learned ones.
TEST(Executor, GradientCasesCoverWeightsInDoublePrecisionToo) {
  std::set<std::string> learned;
  for (const Case& each : cases()) {
    auto exact = Executor::create(graph_of(each, Dtype::f64));
    ASSERT_TRUE(exact.ok()) << each.label << ": " << exact.error().message;
    if (!exact->parameters().empty()) learned.insert(each.op);
  }
  for (const char* op : {"Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu", "BatchNormalization", "LayerNormalization",
                         "InstanceNormalization", "LSTM", "GRU", "RNN"})
    EXPECT_TRUE(learned.contains(op)) << op;
}

TEST(Executor, EveryOperatorHasAGradientCase) {
  std::set<std::string> covered{"Cast"};  // to integers it has no gradient; see ImageInput
  for (const Case& each : cases()) covered.insert(each.op);
  for (const std::string& name : supported_operators()) EXPECT_TRUE(covered.contains(name)) << name;
}

// u8 image → cast → layout → conv → batch norm → relu → conv → batch norm → add → relu → pool → logits → softmax.
Graph residual_graph() {
  Random random(5);
  Graph graph;
  const auto add = [&](const std::string& op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, Attribute> attributes = {}) {
    graph.nodes.push_back({.name = output,
                           .op_type = op,
                           .inputs = std::move(inputs),
                           .outputs = {output},
                           .attributes = std::move(attributes),
                           .domain = ""});
  };
  const auto weight = [&](const std::string& name, const Shape& shape, double low = -0.5, double high = 0.5) {
    graph.initializers[name] = random_tensor(Dtype::f32, shape, random, low, high);
    return name;
  };
  const auto norm = [&](const std::string& x, const std::string& y) {
    add("BatchNormalization",
        {x, weight(y + ".scale", {4}, 0.5, 1.5), weight(y + ".bias", {4}), weight(y + ".mean", {4}),
         weight(y + ".variance", {4}, 0.5, 1.5)},
        y);
  };
  const Integers pads{1, 1, 1, 1};
  graph.inputs = {{"image", Dtype::u8, {-1, 6, 6, 2}}};
  add("Cast", {"image"}, "real", {{"to", std::int64_t{1}}});
  add("Transpose", {"real"}, "planes", {{"perm", Integers{0, 3, 1, 2}}});
  graph.initializers["deviation"] = Tensor::of({2, 1, 1}, std::vector<float>{60, 80});
  add("Div", {"planes", "deviation"}, "normalised");
  add("Conv", {"normalised", weight("c1.weight", {4, 2, 3, 3})}, "c1", {{"pads", pads}});
  norm("c1", "n1");
  add("Relu", {"n1"}, "r1");
  add("Conv", {"r1", weight("c2.weight", {4, 4, 3, 3})}, "c2", {{"pads", pads}});
  norm("c2", "n2");
  add("Add", {"n2", "r1"}, "sum");
  add("Relu", {"sum"}, "r2");
  // A block whose shortcut is normalised too.
  add("Conv", {"r2", weight("c3.weight", {4, 4, 3, 3})}, "c3", {{"pads", pads}, {"strides", Integers{2, 2}}});
  norm("c3", "n3");
  add("Conv", {"r2", weight("c4.weight", {4, 4, 1, 1})}, "c4", {{"strides", Integers{2, 2}}});
  norm("c4", "n4");
  add("Add", {"n3", "n4"}, "sum2");
  add("Relu", {"sum2"}, "r3");
  add("GlobalAveragePool", {"r3"}, "pooled");
  add("Flatten", {"pooled"}, "flat");
  add("Gemm", {"flat", weight("head.weight", {3, 4}), weight("head.bias", {3})}, "logits", {{"transB", std::int64_t{1}}});
  add("Softmax", {"logits"}, "probabilities");
  graph.outputs = {{"probabilities", Dtype::f32, {-1, 3}}};
  graph.training_outputs = {"logits"};
  return graph;
}

// The same net written directly with LibTorch, on contiguous tensors and without writing over anything.
torch::Tensor residual_reference(const std::map<std::string, torch::Tensor>& w, const torch::Tensor& image, bool training) {
  const auto norm = [&](const torch::Tensor& x, const std::string& name) {
    return at::batch_norm(x, w.at(name + ".scale"), w.at(name + ".bias"), w.at(name + ".mean"), w.at(name + ".variance"), training, 0.1,
                          1e-5, false);
  };
  torch::Tensor x = image.to(torch::kFloat).permute({0, 3, 1, 2}).contiguous() / w.at("deviation");
  const torch::Tensor first = norm(at::conv2d(x, w.at("c1.weight"), {}, 1, 1), "n1").relu();
  x = (norm(at::conv2d(first, w.at("c2.weight"), {}, 1, 1), "n2") + first).relu();
  x = (norm(at::conv2d(x, w.at("c3.weight"), {}, 2, 1), "n3") + norm(at::conv2d(x, w.at("c4.weight"), {}, 2), "n4")).relu();
  return at::linear(x.mean({2, 3}), w.at("head.weight"), w.at("head.bias"));
}

TEST(Executor, FrozenInitializersGetNoGradientAndTheirNormsKeepTheirStatistics) {
  const Graph graph = residual_graph();
  auto executor = Executor::create(graph, {.frozen = {"c1.weight", "n1.scale", "n1.bias"}});
  ASSERT_TRUE(executor.ok()) << executor.error().message;
  torch::manual_seed(1);
  const torch::Tensor image = torch::randint(0, 256, {5, 6, 6, 2}, torch::kByte);
  executor->forward({image}, {"logits"}, true)[0].sum().backward();
  for (const auto& [name, parameter] : executor->parameters()) {
    const bool frozen = name == "c1.weight" || name == "n1.scale" || name == "n1.bias";
    EXPECT_EQ(parameter.grad().defined(), !frozen) << name;
  }
  const Graph after = executor->to_graph();
  EXPECT_TRUE(after.initializers.at("n1.mean").same_as(graph.initializers.at("n1.mean")));
  EXPECT_FALSE(after.initializers.at("n2.mean").same_as(graph.initializers.at("n2.mean")));
}

TEST(Executor, WholeNetEqualsLibTorchForwardBackwardAndStatistics) {
  const Graph graph = residual_graph();
  auto executor = Executor::create(graph);
  ASSERT_TRUE(executor.ok()) << executor.error().message;
  std::map<std::string, torch::Tensor> reference;
  for (const auto& [name, tensor] : graph.initializers) reference[name] = to_torch(tensor);
  for (const auto& [name, parameter] : executor->parameters()) reference[name].set_requires_grad(true);
  EXPECT_EQ(executor->parameters().size(), 14U);
  EXPECT_EQ(executor->statistics().size(), 8U);

  torch::manual_seed(1);
  const torch::Tensor image = torch::randint(0, 256, {5, 6, 6, 2}, torch::kByte);
  const torch::Tensor labels = torch::tensor({0, 1, 2, 0, 1}, torch::kLong);
  for (int step = 0; step < 2; ++step) {
    const torch::Tensor logits = executor->forward({image}, {"logits"}, true)[0];
    const torch::Tensor wanted = residual_reference(reference, image, true);
    EXPECT_LT((logits - wanted).abs().max().item<float>(), 1e-4F);
    torch::nn::functional::cross_entropy(logits, labels).backward();
    torch::nn::functional::cross_entropy(wanted, labels).backward();
  }
  for (const auto& [name, parameter] : executor->parameters())
    EXPECT_LT((parameter.grad() - reference.at(name).grad()).abs().max().item<float>(), 1e-4F) << name;

  const Graph back = executor->to_graph();
  for (const auto& [name, tensor] : back.initializers)
    EXPECT_LT((to_torch(tensor) - reference.at(name)).abs().max().item<float>(), 1e-5F) << name;
  EXPECT_FALSE(back.initializers.at("n1.mean").same_as(graph.initializers.at("n1.mean")));
  EXPECT_TRUE(back.initializers.at("c1.weight").same_as(graph.initializers.at("c1.weight")));

  torch::NoGradGuard no_gradient;
  const auto served = executor->forward({image}, {"probabilities", "logits"}, false);
  EXPECT_LT((served[1] - residual_reference(reference, image, false)).abs().max().item<float>(), 1e-4F);
  EXPECT_LT((served[0] - served[1].softmax(1)).abs().max().item<float>(), 1e-6F);
}

TEST(Executor, DropoutMasksComeFromTheSeed) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 1000}}};
  graph.nodes = {{.name = "d", .op_type = "Dropout", .inputs = {"x", "ratio"}, .outputs = {"y"}, .attributes = {}, .domain = ""}};
  graph.initializers["ratio"] = Tensor::of({}, std::vector<float>{0.25F});
  graph.outputs = {{"y", Dtype::f32, {-1, 1000}}};
  auto executor = Executor::create(graph);
  ASSERT_TRUE(executor.ok()) << executor.error().message;
  const torch::Tensor x = torch::ones({4, 1000});
  const auto draw = [&](std::uint64_t seed) {
    executor->seed_dropout(seed);
    return executor->forward({x}, {"y"}, true)[0];
  };
  const torch::Tensor first = draw(7);
  EXPECT_TRUE(first.equal(draw(7)));
  EXPECT_FALSE(first.equal(draw(8)));
  EXPECT_NEAR(first.mean().item<double>(), 1, 0.05);
  EXPECT_NEAR((first == 0).to(torch::kFloat).mean().item<double>(), 0.25, 0.05);
  EXPECT_TRUE(executor->forward({x}, {"y"}, false)[0].equal(x));
}

TEST(Executor, RunningVarianceIsUnbiased) {
  Graph graph = graph_of({"", "BatchNormalization", {2, 1}, {{1}, {1}, {1}, {1}}}, Dtype::f32);
  graph.initializers["w3"] = Tensor::of({1}, std::vector<float>{0});
  graph.initializers["w4"] = Tensor::of({1}, std::vector<float>{1});
  auto executor = Executor::create(graph, {.batch_norm_momentum = 0.5});
  ASSERT_TRUE(executor.ok()) << executor.error().message;
  executor->forward({torch::tensor({1.0F, 3.0F}).view({2, 1})}, {"y"}, true);
  const Graph after = executor->to_graph();
  EXPECT_FLOAT_EQ(after.initializers.at("w3").values<float>()[0], 1.0F);  // half of the mean 2
  EXPECT_FLOAT_EQ(after.initializers.at("w4").values<float>()[0], 1.5F);  // (1 + 2) / 2: the variance of 1 and 3 is 1, unbiased 2
}

TEST(Executor, UnknownOperatorsAndWrongNodesAreNamed) {
  Graph graph = graph_of({"", "Relu", {2, 3}, {}}, Dtype::f32);
  graph.nodes[0].op_type = "Relux";
  const auto unknown = Executor::create(graph);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().kind, ErrorKind::unsupported);
  EXPECT_NE(unknown.error().message.find("node"), std::string::npos);

  graph = graph_of({"", "Dropout", {2, 3}, {}}, Dtype::f32);
  graph.nodes[0].attributes["ratio"] = 1.5F;
  graph.opset = 11;
  const auto wrong = Executor::create(graph);
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("ratio"), std::string::npos) << wrong.error().message;

  graph = graph_of({"", "Relu", {2, 3}, {}}, Dtype::f32);
  auto executor = Executor::create(graph);
  ASSERT_TRUE(executor.ok());
  EXPECT_THROW(executor->forward({torch::ones({2, 3})}, {"nobody"}, false), c10::Error);
}

}  // namespace
}  // namespace sightline::autograd
