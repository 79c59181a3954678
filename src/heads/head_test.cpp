#include "heads/head.h"

#include <gmock/gmock.h>

#include "graph/builder.h"
#include "heads/clouds_for_test.h"
#include "modules/imported.h"

namespace sightline::heads {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// f32 N×6 → Gemm, Relu → "features" N×8 → another head.
graph::Graph backbone() {
  graph::Builder b(3);
  const std::string x = b.relu(b.linear(b.input("input", Dtype::f32, {-1, 6}), 8));
  b.rename(x, "features");
  return *b.finish({b.softmax(b.linear("features", 5))}, {});
}

Head linear_head(std::int64_t features, std::int64_t columns) {
  const Clouds random = make_clouds(3, columns, 2, 1, 9);
  return {
      .kind = Kind::ridge, .linear = {random.features, Tensor::of<float>({3}, {0.5F, -1, 2})}, .temperature = 0.25, .features = features};
}

std::vector<std::string> operators(const graph::Graph& graph) {
  std::vector<std::string> names;
  for (const graph::Node& node : graph.nodes) names.push_back(node.op_type);
  return names;
}

TEST(AppendHead, ALinearHeadIsOneGemmAndASoftmax) {
  Head head = linear_head(8, 3);
  head.columns = {1, 4, 6};
  const auto graph = append_head(backbone(), "features", head);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_THAT(operators(*graph), ElementsAre("Gemm", "Relu", "Gemm", "Softmax"));
  EXPECT_EQ(graph->outputs[0].name, "probabilities");
  EXPECT_THAT(graph->training_outputs, ElementsAre("logits"));
  EXPECT_EQ(graph->initializers.size(), 4U) << "nothing of the head before is left";
  const Tensor& weight = graph->initializers.at(modules::head_weight);
  EXPECT_EQ(weight.shape(), (Shape{3, 8}));
  EXPECT_EQ(weight.values<float>()[8 + 4], head.linear.weight.values<float>()[3 + 1] / 0.25F);
  EXPECT_EQ(weight.values<float>()[8 + 5], 0);
  EXPECT_EQ(graph->metadata.at("sightline_temperature"), "0.25");
}

TEST(AppendHead, AProjectionStandsBeforeIt) {
  Head head = linear_head(8, 4);
  head.kind = Kind::random_features;
  head.projection = {make_clouds(4, 3, 2, 1, 5).features, Tensor::of<float>({4}, {0, 1, 0, -1}), Activation::relu};
  head.columns = {0, 2, 7};
  auto graph = append_head(backbone(), "features", head);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_THAT(operators(*graph), ElementsAre("Gemm", "Relu", "Gather", "Gemm", "Relu", "Gemm", "Softmax"));
  head.columns = {0, 1, 2, 3, 5};  // most of them: zeros are simpler
  head.projection.weight = make_clouds(4, 5, 2, 1, 5).features;
  head.projection.activation = Activation::cosine;
  graph = append_head(backbone(), "features", head);
  ASSERT_TRUE(graph.ok());
  EXPECT_THAT(operators(*graph), ElementsAre("Gemm", "Relu", "Gemm", "Cos", "Gemm", "Softmax"));
}

TEST(AppendHead, AHeadCanStandAlone) {
  const auto graph = head_graph(linear_head(8, 8), "features");
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_THAT(operators(*graph), ElementsAre("Gemm", "Softmax"));
  EXPECT_EQ(graph->inputs[0].shape, (Shape{-1, 8}));
  EXPECT_TRUE(graph::serialize_onnx(*graph).ok());
}

TEST(AppendHead, RefusesWhatDoesNotFit) {
  const auto missing = append_head(backbone(), "feature", linear_head(8, 8));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  const auto other = append_head(backbone(), "features", linear_head(9, 9));
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message, HasSubstr("9 features"));
}

TEST(Concatenate, JoinsCutsInOrder) {
  const auto joined = concatenate(std::vector<Tensor>{Tensor::of<float>({2, 1}, {1, 2}), Tensor::of<float>({2, 2}, {3, 4, 5, 6})});
  ASSERT_TRUE(joined.ok());
  EXPECT_THAT(joined->features.values<float>(), ElementsAre(1, 3, 4, 2, 5, 6));
  EXPECT_THAT(joined->widths, ElementsAre(1, 2));
  EXPECT_FALSE(concatenate(std::vector<Tensor>{Tensor::of<float>({2, 1}, {1, 2}), Tensor::of<float>({1, 1}, {3})}).ok());
  EXPECT_FALSE(concatenate({}).ok());
}

}  // namespace
}  // namespace sightline::heads
