#include "factory/tail.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

// 32×32 pictures: two convolutions, a block with a shortcut, one more at half the side, pooled to a head.
graph::Graph network() {
  graph::Builder builder(7);
  std::string x = builder.image_input(32, 32, 3, {127.5F, 127.5F, 127.5F}, {127.5F, 127.5F, 127.5F});
  x = builder.relu(builder.conv(x, 16, {.stride = 2, .bias = true}));
  x = builder.relu(builder.conv(x, 16, {.stride = 2, .bias = true}));
  builder.rename(x, "map");
  x = builder.relu(builder.add("map", builder.conv(builder.relu(builder.conv("map", 16, {.bias = true})), 16, {.bias = true})));
  builder.rename(x, "block");
  x = builder.relu(builder.conv("block", 16, {.stride = 2, .bias = true}));
  x = builder.flatten(builder.global_average_pool(x));
  x = builder.linear(x, 5);
  builder.rename(x, "logits");
  x = builder.softmax("logits");
  builder.rename(x, "probabilities");
  return *builder.finish({"probabilities"}, {"logits"});
}

Tensor noise(const Shape& shape, std::uint64_t seed) {
  Tensor pictures(Dtype::u8, shape);
  Random random(seed);
  for (std::uint8_t& each : pictures.values<std::uint8_t>()) each = static_cast<std::uint8_t>(random.below(256));
  return pictures;
}

Tensor run(const graph::Graph& graph, const Tensor& input) {
  auto session = runtime::Session::create(graph::serving_graph(graph), {.threads = 1});
  EXPECT_TRUE(session.ok()) << session.error().message;
  auto answer = session->run(input);
  EXPECT_TRUE(answer.ok()) << answer.error().message;
  return *answer;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.values<float>().size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a.values<float>()[i]) - b.values<float>()[i]));
  return largest;
}

TEST(Tail, StemAndTailTogetherAreTheNetwork) {
  const graph::Graph whole = network();
  const auto parts = split_network(whole, 0.9);
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  ASSERT_TRUE(parts->has_value());
  EXPECT_EQ((*parts)->shape, (Shape{16, 8, 8}));
  const Tensor pictures = noise({4, 32, 32, 3}, 1);
  const Tensor maps = run((*parts)->stem, pictures);
  EXPECT_LT(largest_difference(run((*parts)->tail, maps), run(whole, pictures)), 1e-5);
  EXPECT_EQ((*parts)->tail.training_outputs, whole.training_outputs);
  EXPECT_LT((*parts)->tail.initializers.size(), whole.initializers.size());
}

TEST(Tail, NeverBeginsWithinAShortcutAndKeepsToItsShare) {
  const graph::Graph whole = network();
  for (const double most : {0.05, 0.2, 0.5, 0.7, 0.9}) {
    const auto parts = split_network(whole, most);
    ASSERT_TRUE(parts.ok());
    if (!parts->has_value()) continue;
    EXPECT_LE((*parts)->share, most);
    EXPECT_GT((*parts)->share, 0);
    EXPECT_LT((*parts)->layers, (*parts)->all);
    EXPECT_TRUE((*parts)->cut == "map" || (*parts)->cut == "block") << (*parts)->cut;
  }
  EXPECT_EQ((*split_network(whole, 0.9))->cut, "map");
  EXPECT_EQ((*split_network(whole, 0.3))->cut, "block");
  EXPECT_FALSE(split_network(whole, 0.0001)->has_value()) << "nothing but the head is left";
}

TEST(Tail, QuartersStandBesideTheFeatures) {
  graph::Graph backbone = network();
  backbone.training_outputs.clear();
  for (const graph::Node& node : backbone.nodes)
    if (node.op_type == "Flatten") backbone.outputs = {{node.outputs[0], Dtype::f32, {-1, 16}, {}}};
  backbone = graph::serving_graph(backbone);
  const auto wide = with_quarters(backbone);
  ASSERT_TRUE(wide.ok()) << wide.error().message;
  ASSERT_TRUE(wide->has_value());
  // One map of 4×4 (its quarters are 2×2) and the features; 8×8 is more than an eighth of the side.
  EXPECT_EQ((*wide)->widths, (std::vector<std::int64_t>{64, 16}));
  const Tensor pictures = noise({3, 32, 32, 3}, 5);
  const Tensor plain = run(backbone, pictures), both = run((*wide)->graph, pictures);
  ASSERT_EQ(both.shape(), (Shape{3, 80}));
  for (std::int64_t n = 0; n < 3; ++n) {
    for (std::int64_t c = 0; c < 16; ++c) {
      const float* row = both.values<float>().data() + n * 80;
      EXPECT_NEAR(row[64 + c], plain.values<float>()[static_cast<std::size_t>(n * 16 + c)], 1e-5);
      // The features are the mean of the map, and so of its quarters.
      EXPECT_NEAR((row[4 * c] + row[4 * c + 1] + row[4 * c + 2] + row[4 * c + 3]) / 4, row[64 + c], 1e-5);
    }
  }
}

TEST(Tail, BytesAnswerAsTheNumbersDo) {
  const graph::Graph whole = network();
  const auto parts = split_network(whole, 0.9);
  const Tensor maps = run((*parts)->stem, noise({32, 32, 32, 3}, 2));
  const Levels levels = levels_of(maps);
  for (const float low : levels.low) EXPECT_EQ(low, 0) << "behind a ReLU nothing is below zero";
  const Tensor bytes = to_bytes(maps, levels);
  EXPECT_EQ(bytes.shape(), (Shape{32, 8, 8, 16}));
  const graph::Graph tail = tail_of_bytes(**parts, levels);
  ASSERT_TRUE(graph::check(tail).ok());
  EXPECT_LT(largest_difference(run(tail, bytes), run((*parts)->tail, maps)), 0.01);
  // What was not seen is the nearest that was.
  const Tensor far = to_bytes(Tensor::filled({1, 16, 8, 8}, 1e9F), levels);
  for (const std::uint8_t byte : far.values<std::uint8_t>()) EXPECT_EQ(byte, 255);
}

TEST(Tail, TrainedWeightsGoBackByName) {
  const graph::Graph whole = network();
  const auto parts = split_network(whole, 0.9);
  graph::Graph trained = tail_of_bytes(**parts, levels_of(Tensor::filled({1, 16, 8, 8}, 1)));
  int changed = 0;
  for (auto& [name, tensor] : trained.initializers) {
    if (!whole.initializers.contains(name) || tensor.dtype() != Dtype::f32) continue;
    tensor = tensor.copy();
    for (float& each : tensor.values<float>()) each += 1;
    ++changed;
  }
  EXPECT_GE(changed, 6);
  const graph::Graph back = with_weights_of(whole, trained);
  EXPECT_EQ(back.initializers.size(), whole.initializers.size()) << "what only the bytes need stays out";
  int same = 0;
  for (const auto& [name, tensor] : whole.initializers) same += back.initializers.at(name).same_as(tensor) ? 1 : 0;
  EXPECT_EQ(same + changed, static_cast<int>(whole.initializers.size()));
}

}  // namespace
}  // namespace sightline::factory
