// The nets are the published ones: learned parameters to the last, multiplications to what is printed.
#include "bench/nets.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "graph/operators.h"
#include "runtime/session.h"

namespace sightline::bench {
namespace {

class EveryNet : public ::testing::TestWithParam<const Net*> {};

std::int64_t learned(const graph::Graph& graph) {
  std::int64_t count = 0;
  for (const auto& [name, role] : graph::roles_of(graph)) {
    using graph::Role;
    if (role == Role::weight || role == Role::bias || role == Role::scale) count += graph.initializers.at(name).count();
  }
  return count;
}

double multiplications(const graph::Graph& graph) {
  const auto values = graph::infer_shapes(graph, 1);
  EXPECT_TRUE(values.ok()) << values.error().message;
  double sum = 0;
  for (const graph::Node& node : graph.nodes) {
    if (node.op_type != "Conv" && node.op_type != "ConvTranspose" && node.op_type != "Gemm") continue;
    graph::Call call{graph, node, {}, graph::Constants(graph, &*values)};
    for (std::size_t i = 0; i < 2; ++i) call.inputs.push_back(&values->at(node.inputs[i]));  // without bias
    sum += graph::find_operator(node)->flops(call, values->at(node.outputs[0]).shape) / 2;
  }
  return sum;
}

TEST_P(EveryNet, HasThePublishedParametersAndMultiplications) {
  const Net& net = *GetParam();
  const auto graph = unsettled_net(net);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  if (std::string(net.name) == "mobilefacenet") {
    // The paper gives 0.99 million; its PReLU slopes and last layer are counted differently in each implementation.
    EXPECT_NEAR(static_cast<double>(learned(*graph)), static_cast<double>(net.parameters), 0.02 * static_cast<double>(net.parameters));
  } else {
    EXPECT_EQ(learned(*graph), net.parameters);
  }
  EXPECT_NEAR(multiplications(*graph), net.multiplications, 0.03 * net.multiplications);
}

TEST_P(EveryNet, KeepsItsValuesNearOne) {
  const auto graph = build_net(*GetParam());
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  auto session = runtime::Session::create(*graph, {.threads = 1});
  ASSERT_TRUE(session.ok()) << session.error().message;
  Tensor image(Dtype::f32, {1, 3, GetParam()->side, GetParam()->side});
  Random random(1);
  for (float& value : image.values<float>()) value = static_cast<float>(random.normal());
  const auto outputs = session->run(std::span(&image, 1));
  ASSERT_TRUE(outputs.ok()) << outputs.error().message;
  for (const Tensor& output : *outputs) {
    double squares = 0;
    for (const float value : output.values<float>()) squares += static_cast<double>(value) * static_cast<double>(value);
    const double deviation = std::sqrt(squares / static_cast<double>(output.count()));
    EXPECT_GT(deviation, 0.1);
    EXPECT_LT(deviation, 10);
  }
}

std::vector<const Net*> all() {
  std::vector<const Net*> rows;
  for (const Net& net : nets()) rows.push_back(&net);
  return rows;
}

std::string word_of(const char* name) {
  std::string word;
  for (const char* c = name; *c != 0; ++c) word += std::isalnum(static_cast<unsigned char>(*c)) != 0 ? *c : '_';
  return word;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryNet, ::testing::ValuesIn(all()), [](const auto& row) { return word_of(row.param->name); });

TEST(Nets, TheSameSeedGivesTheSameFile) {
  const auto file = [](std::uint64_t seed) {
    const auto graph = build_net(nets()[1], seed);
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    return graph.ok() ? *graph::serialize_onnx(*graph) : std::string();
  };
  EXPECT_EQ(file(3), file(3));
  EXPECT_NE(file(3), file(4));
}

}  // namespace
}  // namespace sightline::bench
