// One graph, two engines: what LibTorch trains and what oneDNN serves are the same function. Held for every operator that both know, on
// random inputs, and for whole classifiers from every backbone, to 1e-4 of the output's scale.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/executor.h"
#include "autograd/operator_cases.h"
#include "modules/imported.h"
#include "modules/modules.h"
#include "parity_difference.h"
#include "runtime/session.h"

namespace sightline {
namespace {

using autograd::operator_cases::Case;

constexpr double tolerance = 1e-4;

class OperatorParity : public testing::TestWithParam<Case> {};

TEST_P(OperatorParity, RuntimeEqualsAutograd) {
  Case each = GetParam();
  const graph::Graph graph = autograd::operator_cases::graph_of(each, Dtype::f32);
  auto executor = autograd::Executor::create(graph);
  ASSERT_TRUE(executor.ok()) << executor.error().message;
  auto session = runtime::Session::create(graph, {.threads = 2});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const torch::NoGradGuard no_gradient;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Random random(seed);
    const Tensor x = autograd::operator_cases::random_tensor(Dtype::f32, each.input, random, each.low, each.high);
    const auto served = session->run(x);
    ASSERT_TRUE(served.ok()) << served.error().message;
    const torch::Tensor trained = executor->forward({autograd::to_torch(x)}, {"y"}, false)[0];
    EXPECT_LT(difference(*served, trained), tolerance) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OperatorParity, testing::ValuesIn(autograd::operator_cases::cases()),
                         [](const auto& each) { return each.param.label; });

TEST(Parity, EveryOperatorThatBothKnowHasACase) {
  std::set<std::string> covered{"Cast"};  // in every classifier below
  for (const Case& each : autograd::operator_cases::cases()) covered.insert(each.op);
  const std::vector<std::string> trained = autograd::supported_operators();
  for (const std::string& name : runtime::supported_operators()) {
    const bool both = std::find(trained.begin(), trained.end(), name) != trained.end();
    EXPECT_TRUE(!both || covered.contains(name)) << name;
  }
}

TEST(Parity, WhatCanBeTrainedCanBeServed) {
  const std::vector<std::string> served = runtime::supported_operators();
  for (const std::string& name : autograd::supported_operators())
    EXPECT_TRUE(std::find(served.begin(), served.end(), name) != served.end()) << name;
}

// Weights as a trained net has them: the builder starts residual branches at zero, which would hide half of the net.
void disturb(graph::Graph& graph) {
  const auto roles = graph::roles_of(graph);
  std::uint64_t stream = 0;
  for (auto& [name, tensor] : graph.initializers) {
    const auto found = roles.find(name);
    if (found == roles.end() || found->second == graph::Role::constant || tensor.dtype() != Dtype::f32) continue;
    Random random(11, ++stream);
    tensor = tensor.copy();
    for (float& value : tensor.values<float>()) {
      const auto noise = static_cast<float>(random.uniform(0.5, 1.5));
      const bool positive = found->second == graph::Role::scale || found->second == graph::Role::running_variance;
      value = positive ? noise : value + 0.1F * (noise - 1);
    }
  }
}

class BackboneParity : public testing::TestWithParam<std::string> {};

TEST_P(BackboneParity, RuntimeEqualsAutogradOnAWholeClassifier) {
  for (const auto& [side, channels] : {std::pair<std::int64_t, std::int64_t>{28, 1}, {32, 3}, {50, 3}}) {
    const std::vector<float> mean(static_cast<std::size_t>(channels), 110);
    const std::vector<float> deviation(static_cast<std::size_t>(channels), 60);
    auto graph = modules::build_classifier({.backbone = GetParam(),
                                            .height = side,
                                            .width = side,
                                            .channels = channels,
                                            .classes = 10,
                                            .mean = mean,
                                            .deviation = deviation,
                                            .dropout = 0.2F,
                                            .seed = 3});
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    disturb(*graph);
    auto executor = autograd::Executor::create(*graph);
    ASSERT_TRUE(executor.ok()) << executor.error().message;
    auto session = runtime::Session::create(graph::serving_graph(*graph), {.threads = 2});
    ASSERT_TRUE(session.ok()) << session.error().message;
    const torch::NoGradGuard no_gradient;
    for (const std::int64_t batch : {1, 5}) {
      Random random(static_cast<std::uint64_t>(batch));
      Tensor image(Dtype::u8, {batch, side, side, channels});
      for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
      const auto served = session->run(image);
      ASSERT_TRUE(served.ok()) << served.error().message;
      const torch::Tensor trained = executor->forward({autograd::to_torch(image)}, {"probabilities"}, false)[0];
      EXPECT_LT(difference(*served, trained), tolerance) << side << "×" << side << "×" << channels << ", batch " << batch;
      if (batch > 1) {
        EXPECT_GT(trained.std(0).abs().max().item<double>(), 0) << "the outputs do not depend on the picture";
      }
    }
  }
}

std::vector<std::string> backbone_names() {
  std::vector<std::string> names;
  for (const modules::Backbone& each : modules::backbones()) names.emplace_back(each.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, BackboneParity, testing::ValuesIn(backbone_names()), [](const auto& each) {
  std::string name = each.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Networks that others trained: imported, the two engines agree on them and every weight gets a gradient.
TEST(Parity, ImportedNetworksOfTheSharedFolder) {
  int read = 0;
  for (const char* name : {"mobilenetv1_025_128_qat", "mobilefacenet_y1_112"}) {
    const auto source = graph::read_onnx(std::string("../shared/data/onnx/") + name + ".onnx");
    if (!source.ok()) continue;
    const auto imported = modules::import_classifier(*source, name, {.classes = 5, .seed = 2});
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    auto executor = autograd::Executor::create(imported->graph);
    ASSERT_TRUE(executor.ok()) << executor.error().message;
    auto session = runtime::Session::create(graph::serving_graph(imported->graph), {.threads = 2});
    ASSERT_TRUE(session.ok()) << session.error().message;
    Random random(5);
    Tensor image(Dtype::u8, {2, imported->side, imported->side, 3});
    for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
    const auto served = session->run(image);
    ASSERT_TRUE(served.ok()) << served.error().message;
    {
      const torch::NoGradGuard no_gradient;
      EXPECT_LT(difference(*served, executor->forward({autograd::to_torch(image)}, {"probabilities"}, false)[0]), tolerance) << name;
    }
    executor->forward({autograd::to_torch(image)}, {"logits"}, true)[0].square().sum().backward();
    for (const auto& [parameter, value] : executor->parameters()) {
      ASSERT_TRUE(value.grad().defined()) << name << ": " << parameter;
      EXPECT_TRUE(value.grad().isfinite().all().item<bool>()) << name << ": " << parameter;
    }
    ++read;
  }
  if (read == 0) GTEST_SKIP() << "../shared/data/onnx is not here";
}

}  // namespace
}  // namespace sightline
