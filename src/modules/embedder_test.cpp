#include "modules/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules/detector.h"
#include "modules/metric_losses.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

EmbedderOptions options_for(const std::string& backbone, std::int64_t side) {
  return {.backbone = backbone,
          .side = side,
          .channels = 3,
          .identities = 7,
          .width = 32,
          .mean = {127.5F, 127.5F, 127.5F},
          .deviation = {64, 64, 64},
          .dropout = 0.1F,
          .seed = 3};
}

TEST(Embedder, HasTheOutputsThatItsContractNames) {
  for (const char* backbone : {"sight-s", "plain-s", "resnet-s"}) {
    SCOPED_TRACE(backbone);
    const auto graph = build_embedder(options_for(backbone, 112));
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    const auto values = graph::infer_shapes(*graph, 5);
    ASSERT_TRUE(values.ok()) << values.error().message;
    EXPECT_THAT(graph->training_outputs, ElementsAre("features", "identity_scores"));
    EXPECT_THAT(values->at("features").shape, ElementsAre(5, 32));
    EXPECT_THAT(values->at("identity_scores").shape, ElementsAre(5, 7));
    EXPECT_THAT(values->at("embedding").shape, ElementsAre(5, 32));
    EXPECT_EQ(graph::roles_of(*graph).at("identities"), graph::Role::weight);
    // What ships knows nobody.
    const graph::Graph serving = graph::serving_graph(*graph);
    EXPECT_FALSE(serving.initializers.contains("identities"));
    for (const graph::Node& node : serving.nodes) EXPECT_NE(node.op_type, "Dropout");
    EXPECT_TRUE(graph::serialize_onnx(serving).ok());
  }
}

TEST(Embedder, BeginsWithWhatABackboneKnows) {
  auto graph = build_embedder(options_for("sight-s", 112));
  ASSERT_TRUE(graph.ok());
  const auto classifier = build_classifier({.backbone = "sight-s",
                                            .height = 96,
                                            .width = 96,
                                            .channels = 3,
                                            .classes = 4,
                                            .mean = {127.5F, 127.5F, 127.5F},
                                            .deviation = {64, 64, 64},
                                            .seed = 9});
  ASSERT_TRUE(classifier.ok());
  const auto taken = adopt_backbone(*graph, *classifier);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(*taken, 50);  // ten convolutions with four numbers a channel of normalisation each
}

TEST(Embedder, SaysWhatItsOptionsGetWrong) {
  const auto message = [](const EmbedderOptions& options) { return build_embedder(options).error().message; };
  EmbedderOptions options = options_for("sight-s", 112);
  options.identities = 1;
  EXPECT_THAT(message(options), HasSubstr("2 to 1000000 identities"));
  options = options_for("sight-s", 112);
  options.width = 1;
  EXPECT_THAT(message(options), HasSubstr("2 to 4096 numbers"));
  EXPECT_THAT(message(options_for("sight-s", 8)), HasSubstr("sight-s"));
  EXPECT_EQ(build_embedder(options_for("sight-x", 112)).error().kind, ErrorKind::not_found);
}

TEST(Embedder, LossesWithPairsBringThemTogether) {
  for (const MetricLossRow& row : metric_losses())
    EXPECT_EQ(row.wants_pairs && row.pictures_per_identity < 2, false) << enum_name(row.loss);
}

}  // namespace
}  // namespace sightline::modules
