#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "modules/modules.h"

namespace sightline::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ClassifierOptions options_for(const std::string& backbone, std::int64_t side, std::int64_t channels) {
  return {.backbone = backbone,
          .height = side,
          .width = side,
          .channels = channels,
          .classes = 10,
          .mean = std::vector<float>(static_cast<std::size_t>(channels), 73.0F),
          .deviation = std::vector<float>(static_cast<std::size_t>(channels), 90.0F),
          .seed = 7};
}

graph::Cost cost_at(const std::string& backbone, std::int64_t side, std::int64_t channels) {
  const auto graph = build_classifier(options_for(backbone, side, channels));
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  const auto cost = graph::cost_of(graph::fold_batch_norm(graph::serving_graph(*graph)));
  EXPECT_TRUE(cost.ok()) << cost.error().message;
  return *cost;
}

TEST(BackbonesTest, DescriptionsTellTheTrueCost) {
  for (const Backbone& backbone : backbones()) {
    const graph::Cost cost = cost_at(backbone.name, 28, 1);
    EXPECT_THAT(backbone.description,
                HasSubstr(fmt::format("28×28×1: {:.0f} k parameters, {:.1f} MFLOP", static_cast<double>(cost.parameters) / 1e3,
                                      static_cast<double>(cost.flops) / 1e6)))
        << backbone.name;
  }
}

TEST(BackbonesTest, TheDefaultFitsTheDemosLimits) {
  const graph::Cost cost = cost_at(ClassifierOptions{}.backbone, 28, 1);
  EXPECT_LT(cost.parameters, 240'000);  // 1 MB of f32 with the graph around it
  EXPECT_LT(cost.flops, 12'000'000);    // 12 epochs of 60,000 in 3 minutes at the 110 GFLOP/s that LibTorch trains with here
  EXPECT_LT(cost_at("resnet-m", 28, 1).parameters, 240'000);
}

TEST(BackbonesTest, EachBuildsFromItsLeastSideUpAndStaysAffordable) {
  for (const Backbone& backbone : backbones()) {
    for (const std::int64_t side :
         {static_cast<std::int64_t>(backbone.least_side), std::int64_t{28}, std::int64_t{41}, std::int64_t{64}, std::int64_t{224}}) {
      SCOPED_TRACE(fmt::format("{} at {}", backbone.name, side));
      const auto graph = build_classifier(options_for(backbone.name, side, 3));
      ASSERT_TRUE(graph.ok()) << graph.error().message;
      ASSERT_TRUE(graph::check(*graph).ok());
      const auto values = graph::infer_shapes(*graph, 2);
      ASSERT_TRUE(values.ok());
      EXPECT_THAT(values->at("probabilities").shape, ElementsAre(2, 10));
    }
    // 64 times the pixels must not cost 64 times as much.
    if (std::string(backbone.name) != "sight-s") {  // which is for pictures of one size
      EXPECT_LT(cost_at(backbone.name, 224, 3).flops, 20 * cost_at(backbone.name, 28, 3).flops) << backbone.name;
    }
  }
}

TEST(BackbonesTest, TheShippedOneKeepsItsBounds) {
  const graph::Cost cost = cost_at("sight-s", 96, 3);
  EXPECT_LE(cost.parameters, 3'000'000);
  EXPECT_LE(cost.flops, 200'000'000);
}

TEST(BackbonesTest, NamesAreUniqueAndFound) {
  std::set<std::string> names;
  for (const Backbone& backbone : backbones()) {
    EXPECT_TRUE(names.insert(backbone.name).second);
    const auto found = find_backbone(backbone.name);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, &backbone);
    EXPECT_STRNE(backbone.source, "");
  }
  const auto missing = find_backbone("resnet_s");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("did you mean \"resnet-s\"?"));
}

TEST(BackbonesTest, OnlyTheMobileOneHasDepthwiseConvolutions) {
  for (const Backbone& backbone : backbones()) {
    const auto graph = build_classifier(options_for(backbone.name, 28, 1));
    ASSERT_TRUE(graph.ok());
    bool depthwise = false;
    for (const graph::Node& node : graph->nodes) depthwise = depthwise || node.integer("group", 1) > 1;
    EXPECT_EQ(depthwise, std::string(backbone.name).starts_with("mobile")) << backbone.name;
  }
}

TEST(ClassifierTest, HasTheNamesThatTheLineReliesOn) {
  ClassifierOptions options = options_for("resnet-s", 28, 1);
  options.dropout = 0.1F;
  const auto graph = build_classifier(options);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_EQ(graph->inputs.at(0).name, "image");
  EXPECT_EQ(graph->inputs[0].dtype, Dtype::u8);
  EXPECT_THAT(graph->inputs[0].shape, ElementsAre(-1, 28, 28, 1));
  EXPECT_EQ(graph->outputs.at(0).name, "probabilities");
  EXPECT_THAT(graph->outputs[0].shape, ElementsAre(-1, 10));
  EXPECT_THAT(graph->training_outputs, ElementsAre("logits"));
  const auto roles = graph::roles_of(*graph);
  EXPECT_EQ(roles.at("inverse_temperature"), graph::Role::constant);
  EXPECT_EQ(graph->initializers.at("inverse_temperature").values<float>()[0], 1.0F);
  EXPECT_EQ(roles.at("image.mean"), graph::Role::constant);
  const auto has_dropout = [](const graph::Graph& g) {
    return std::ranges::any_of(g.nodes, [](const graph::Node& node) { return node.op_type == "Dropout"; });
  };
  EXPECT_TRUE(has_dropout(*graph));
  EXPECT_FALSE(has_dropout(graph::serving_graph(*graph)));
  options.dropout = 0.0F;
  EXPECT_FALSE(has_dropout(*build_classifier(options)));
}

TEST(ClassifierTest, TheSeedAloneDecidesTheWeights) {
  ClassifierOptions options = options_for("resnet-xs", 28, 1);
  const Digest first = graph::digest_of(*build_classifier(options));
  EXPECT_EQ(graph::digest_of(*build_classifier(options)), first);
  options.seed = 8;
  EXPECT_NE(graph::digest_of(*build_classifier(options)), first);
}

TEST(ClassifierTest, RefusesWhatMakesNoSense) {
  const auto refused = [](auto change) {
    ClassifierOptions options = options_for("resnet-s", 28, 1);
    change(options);
    const auto graph = build_classifier(options);
    return !graph.ok() && graph.error().kind != ErrorKind::internal;
  };
  EXPECT_TRUE(refused([](auto& o) { o.backbone = "vgg"; }));
  EXPECT_TRUE(refused([](auto& o) { o.height = 4; }));
  EXPECT_TRUE(refused([](auto& o) { o.width = 100'000; }));
  EXPECT_TRUE(refused([](auto& o) { o.channels = 2; }));
  EXPECT_TRUE(refused([](auto& o) { o.classes = 1; }));
  EXPECT_TRUE(refused([](auto& o) { o.mean.clear(); }));
  EXPECT_TRUE(refused([](auto& o) { o.deviation[0] = 0.0F; }));
  EXPECT_TRUE(refused([](auto& o) { o.dropout = 1.0F; }));
  EXPECT_FALSE(refused([](auto&) {}));
}

}  // namespace
}  // namespace sightline::modules
