// A fitted head, and the same as ordinary nodes of a graph that the runtime executes.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/builder.h"
#include "heads/choose.h"
#include "heads/clouds_for_test.h"
#include "runtime/canonical.h"
#include "runtime/session.h"

namespace sightline::heads {
namespace {

// "input" N×9 → two layers, "early" N×9 and "features" N×40, as the features of two cuts.
graph::Graph backbone() {
  graph::Builder b(5);
  b.rename(b.relu(b.linear(b.input("input", Dtype::f32, {-1, 9}), 9)), "early");
  b.rename(b.relu(b.linear("early", 40)), "features");
  return *b.finish({"features", "early"}, {});
}

Tensor answer_of(const graph::Graph& graph, const std::string& output, const Tensor& input) {
  graph::Graph asked = graph;
  asked.training_outputs.clear();
  asked.outputs = {{output, Dtype::f32, graph::infer_shapes(graph)->at(output).shape, {}}};
  auto session = runtime::Session::create(asked);
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
  auto answer = session->run(input);
  EXPECT_TRUE(answer.ok());
  return *answer;
}

void expect_same(const Tensor& got, const Tensor& wanted) {
  ASSERT_EQ(got.shape(), wanted.shape());
  for (std::size_t i = 0; i < got.values<float>().size(); ++i) ASSERT_NEAR(got.values<float>()[i], wanted.values<float>()[i], 1e-5) << i;
}

struct Way {
  const char* name;
  ChooseOptions options;
  std::int64_t reads = 0;  // columns of the value behind which the runtime finds a linear head for its bank
};

class Exported : public testing::TestWithParam<Way> {};

TEST_P(Exported, AnswersAsTheFittedHeadDoes) {
  const Clouds clouds = make_clouds(70, 9, 3, 1.5, 4);
  const Tensor features = answer_of(backbone(), "features", clouds.features);
  const auto choice = choose_head(features, clouds.labels, {}, 3, GetParam().options);
  ASSERT_TRUE(choice.ok()) << choice.error().message;
  const auto graph = append_head(backbone(), "features", choice->head);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  expect_same(answer_of(*graph, "probabilities", clouds.features), probabilities_of(choice->head, features));
  const auto canonical = runtime::canonical_of(*graph);
  ASSERT_TRUE(canonical.ok());
  ASSERT_EQ(canonical->heads.size(), 1U);
  EXPECT_TRUE(canonical->heads.begin()->second.softmax);
  EXPECT_EQ(canonical->heads.begin()->second.weight.shape(), (Shape{3, GetParam().reads}));
  // And through a file.
  const auto onnx = graph::serialize_onnx(*graph);
  ASSERT_TRUE(onnx.ok());
  const auto again = graph::parse_onnx(*onnx, "head.onnx");
  ASSERT_TRUE(again.ok()) << again.error().message;
  expect_same(answer_of(*again, "probabilities", clouds.features), probabilities_of(choice->head, features));
}

std::vector<Way> ways() {
  std::vector<Way> all{{"nearest_mean", {.kinds = {Kind::nearest_mean}}, 40},
                       {"ridge", {.kinds = {Kind::ridge}}, 40},
                       {"ridge_balanced", {.kinds = {Kind::ridge}, .balanced = true}, 40},
                       {"discriminant", {.kinds = {Kind::discriminant}}, 40},
                       {"logistic", {.kinds = {Kind::logistic}}, 40},
                       {"relu", {.kinds = {Kind::random_features}, .hidden = 50}, 50},
                       {"cosine", {.kinds = {Kind::random_features}, .hidden = 50, .activation = Activation::cosine}, 50}};
  // The plain ridge competes with itself on 12 columns; with no noise granted the better is taken, either is exported alike.
  all.push_back({"kept_columns", {.kinds = {Kind::ridge}, .keep = {12}, .standard_errors = 0}, 40});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kinds, Exported, testing::ValuesIn(ways()), [](const auto& which) { return std::string(which.param.name); });

TEST(ExportedHead, ReadsTwoCutsAtOnce) {
  const Clouds clouds = make_clouds(60, 9, 2, 1.0, 4);
  const graph::Graph graph = backbone();
  const auto joined =
      concatenate(std::vector<Tensor>{answer_of(graph, "early", clouds.features), answer_of(graph, "features", clouds.features)});
  ASSERT_TRUE(joined.ok());
  const auto choice = choose_head(joined->features, clouds.labels, {}, 2, {.cut_widths = joined->widths});
  ASSERT_TRUE(choice.ok());
  const auto both = append_concatenation(graph, {"early", "features"}, "cuts");
  ASSERT_TRUE(both.ok()) << both.error().message;
  const auto whole = append_head(*both, "cuts", choice->head);
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  expect_same(answer_of(*whole, "probabilities", clouds.features), probabilities_of(choice->head, joined->features));
}

}  // namespace
}  // namespace sightline::heads
