#include "graph/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sightline::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(BuilderTest, FollowsShapesFromImageToProbabilities) {
  Builder builder(7);
  std::string x = builder.image_input(28, 28, 1, {72.9F}, {90.0F});
  EXPECT_THAT(builder.shape_of(x), ElementsAre(-1, 1, 28, 28));
  x = builder.relu(builder.batch_norm(builder.conv(x, 16, {.kernel = 3, .stride = 2})));
  EXPECT_THAT(builder.shape_of(x), ElementsAre(-1, 16, 14, 14));
  x = builder.conv(x, 16, {.kernel = 3, .groups = 16, .dilation = 2, .bias = true});
  EXPECT_THAT(builder.shape_of(x), ElementsAre(-1, 16, 14, 14));
  x = builder.max_pool(x, 3, 2, 1);
  EXPECT_THAT(builder.shape_of(x), ElementsAre(-1, 16, 7, 7));
  x = builder.dropout(builder.flatten(builder.global_average_pool(x)), 0.1F);
  x = builder.linear(x, 10);
  builder.rename(x, "logits");
  const std::string p = builder.softmax(builder.scale("logits", 1.0F, "inverse_temperature"));
  builder.rename(p, "probabilities");
  const auto graph = builder.finish({"probabilities"}, {"logits"});
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_EQ(graph->inputs[0].name, "image");
  EXPECT_EQ(graph->inputs[0].dtype, Dtype::u8);
  EXPECT_THAT(graph->inputs[0].shape, ElementsAre(-1, 28, 28, 1));
  EXPECT_THAT(graph->outputs[0].shape, ElementsAre(-1, 10));
  const auto values = infer_shapes(*graph, 5);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_THAT(values->at("logits").shape, ElementsAre(5, 10));
  EXPECT_TRUE(graph->initializers.contains("inverse_temperature"));
}

TEST(BuilderTest, KnowsTheShapesOfWhatJoinsAndCuts) {
  Builder builder(2);
  const std::string image = builder.input("image", Dtype::f32, {-1, 6, 8, 10});
  EXPECT_THAT(builder.shape_of(builder.channel_shuffle(image, 3)), ElementsAre(-1, 6, 8, 10));
  const std::string large = builder.upsample_nearest(builder.silu(builder.prelu(image, 0.25F)), 2);
  EXPECT_THAT(builder.shape_of(large), ElementsAre(-1, 6, 16, 20));
  const std::string both = builder.concat({large, builder.conv_transpose(image, 4, 2, 2)});
  EXPECT_THAT(builder.shape_of(both), ElementsAre(-1, 10, 16, 20));
  const std::string last = builder.clip(both, 0, 6);
  const auto graph = builder.finish({last}, {});
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_THAT(graph->initializers.at("prelu_1.slope").shape(), ElementsAre(6, 1, 1));
}

TEST(BuilderTest, MistakesOfWhatJoinsAndCutsAreTold) {
  const auto message = [](auto build) {
    Builder builder(2);
    build(builder, builder.input("image", Dtype::f32, {-1, 6, 8, 10}));
    const auto graph = builder.finish({"image"}, {});
    return graph.ok() ? "" : graph.error().message;
  };
  EXPECT_THAT(message([](Builder& b, const std::string& x) { b.channel_shuffle(x, 4); }), HasSubstr("in 4 groups"));
  EXPECT_THAT(message([](Builder& b, const std::string& x) { b.conv_transpose(x, 0, 2, 2); }), HasSubstr("transposed convolution"));
  EXPECT_THAT(message([](Builder& b, const std::string& x) { b.input(x, Dtype::f32, {1}); }), HasSubstr("input \"image\""));
  EXPECT_THAT(message([](Builder& b, const std::string& x) { b.split(x, {}); }), HasSubstr("into nothing"));
  EXPECT_THAT(message([](Builder& b, const std::string& x) { b.upsample_nearest(x, 0); }), HasSubstr("scale"));
}

TEST(BuilderTest, KaimingNormalHasTheDeviationOfItsFanOut) {
  Builder builder(3);
  const std::string x = builder.conv(builder.image_input(8, 8, 3, {0, 0, 0}, {1, 1, 1}), 256, {});
  const auto graph = builder.finish({x}, {});
  ASSERT_TRUE(graph.ok());
  const auto weights = graph->initializers.at("conv_1.weight").values<float>();
  double sum = 0, squares = 0;
  for (float w : weights) sum += static_cast<double>(w), squares += static_cast<double>(w) * static_cast<double>(w);
  const auto count = static_cast<double>(weights.size());
  const double deviation = std::sqrt(2.0 / (256 * 9));
  EXPECT_NEAR(sum / count, 0.0, 4 * deviation / std::sqrt(count));
  EXPECT_NEAR(std::sqrt(squares / count), deviation, 0.05 * deviation);
}

TEST(BuilderTest, SameSeedSameWeights) {
  const auto make = [](std::uint64_t seed) {
    Builder builder(seed);
    const std::string x = builder.conv(builder.image_input(8, 8, 1, {0}, {1}), 4, {});
    return *builder.finish({x}, {});
  };
  EXPECT_TRUE(make(1).initializers.at("conv_1.weight").same_as(make(1).initializers.at("conv_1.weight")));
  EXPECT_FALSE(make(1).initializers.at("conv_1.weight").same_as(make(2).initializers.at("conv_1.weight")));
}

TEST(BuilderTest, TellsTheFirstMistakeAtTheEnd) {
  Builder builder(1);
  const std::string x = builder.image_input(8, 8, 3, {0, 0, 0}, {1, 1, 1});
  const std::string wrong = builder.conv(x, 16, {.groups = 2});  // 3 channels in 2 groups
  const auto graph = builder.finish({builder.linear(builder.relu(wrong), 4)}, {});
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().kind, ErrorKind::internal);
  EXPECT_THAT(graph.error().message, HasSubstr("to 16 channels in 2 groups"));
}

TEST(BuilderTest, RefusesWhatWasNeverBuilt) {
  for (int mistake = 0; mistake < 6; ++mistake) {
    Builder builder(1);
    std::string x = builder.image_input(8, 8, mistake == 0 ? 3 : 1, {0}, {1});
    std::string output = x;
    if (mistake == 1) output = "nowhere";
    if (mistake == 2) output = builder.add(x, "nowhere");
    if (mistake == 3) output = builder.node("NoSuchOperator", {x});
    if (mistake == 4) builder.rename(x, "image");  // taken by the input
    if (mistake == 5) output = builder.node("Relu", {x}, {{"alpha", 1.0F}});
    EXPECT_FALSE(builder.finish({output}, {}).ok()) << mistake;
  }
}

}  // namespace
}  // namespace sightline::graph
