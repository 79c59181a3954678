#include "modules/segmenter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "modules/detectors_for_test.h"

namespace sightline::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SegmenterOptions options_for(std::int64_t height, std::int64_t width, std::int64_t classes, bool instances) {
  return {.height = height,
          .width = width,
          .channels = 3,
          .classes = classes,
          .instances = instances,
          .mean = {127.5F, 127.5F, 127.5F},
          .deviation = {64, 64, 64},
          .seed = 3};
}

TEST(Segmenter, HasTheOutputsThatItsContractNames) {
  for (const bool instances : {false, true}) {
    const auto graph = build_segmenter(options_for(96, 160, 4, instances));
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    ASSERT_TRUE(graph::check(*graph).ok());
    const auto values = graph::infer_shapes(*graph, 2);
    ASSERT_TRUE(values.ok()) << values.error().message;
    ASSERT_EQ(graph->outputs.size(), instances ? 2U : 1U);
    EXPECT_EQ(graph->outputs[0].name, "class_scores");
    EXPECT_THAT(values->at("class_scores").shape, ElementsAre(2, 5, 96, 160));
    EXPECT_THAT(values->at("pixel_logits").shape, ElementsAre(2, 5, 96, 160));
    EXPECT_EQ(graph->training_outputs.size(), instances ? 2U : 1U);
    if (instances) {
      EXPECT_EQ(graph->outputs[1].name, "instance_maps");
      EXPECT_THAT(values->at("instance_maps").shape, ElementsAre(2, 2, 96, 160));
      EXPECT_THAT(values->at("instance_logits").shape, ElementsAre(2, 2, 96, 160));
    }
    EXPECT_EQ(graph->metadata.at(backbone_layers_key), "10");
    EXPECT_TRUE(graph::serialize_onnx(*graph).ok());
  }
  const auto cost = graph::cost_of(*build_segmenter(options_for(256, 256, 1, true)));
  ASSERT_TRUE(cost.ok());
  EXPECT_LT(cost->parameters, 3'100'000);
  EXPECT_LT(cost->flops, 3'200'000'000);
}

// The last weights are small: at first every class is as probable as the others.
TEST(Segmenter, SaysLittleAtFirst) {
  const auto graph = build_segmenter(options_for(64, 64, 3, true));
  ASSERT_TRUE(graph.ok());
  int last = 0;
  for (const auto& [name, tensor] : graph->initializers) {
    if (!name.starts_with("conv_") || !name.ends_with(".bias")) continue;
    ++last;
    double squares = 0;
    const auto weights = graph->initializers.at(name.substr(0, name.size() - 4) + "weight").values<float>();
    for (const float weight : weights) squares += static_cast<double>(weight) * weight;
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(weights.size())), 0.01, 0.003) << name;
  }
  EXPECT_EQ(last, 2);
}

TEST(Segmenter, AdoptsTheBackbone) {
  auto segmenter = build_segmenter(options_for(96, 96, 1, false));
  const auto classifier = sight_s_for_test(8);
  ASSERT_TRUE(segmenter.ok() && classifier.ok());
  const auto taken = adopt_backbone(*segmenter, *classifier);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(*taken, 50);
  EXPECT_TRUE(segmenter->initializers.at("conv_10.weight").same_as(classifier->initializers.at("conv_10.weight")));
}

TEST(Segmenter, RefusesWhatItCannotBe) {
  const auto message = [](const std::function<void(SegmenterOptions&)>& spoil) {
    SegmenterOptions options = options_for(96, 96, 2, false);
    spoil(options);
    const auto graph = build_segmenter(options);
    EXPECT_FALSE(graph.ok());
    return graph.ok() ? "" : graph.error().message;
  };
  EXPECT_THAT(message([](auto& options) { options.width = 100; }), HasSubstr("multiples of 32"));
  EXPECT_THAT(message([](auto& options) { options.classes = 0; }), HasSubstr("0 classes"));
  EXPECT_THAT(message([](auto& options) { options.classes = 255; }), HasSubstr("254"));
  EXPECT_THAT(message([](auto& options) { options.backbone = "resnet-s"; }), HasSubstr("sight-s"));
  EXPECT_THAT(message([](auto& options) { options.mean = {1}; }), HasSubstr("means"));
}

}  // namespace
}  // namespace sightline::modules
