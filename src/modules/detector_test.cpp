#include "modules/detector.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "modules/detectors_for_test.h"

namespace sightline::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DetectorOptions options_for(std::int64_t height, std::int64_t width) { return detector_for_test(height, width, 5); }

TEST(Detector, HasTheOutputsThatItsContractNames) {
  const auto graph = build_detector(options_for(96, 160));
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  ASSERT_TRUE(graph::check(*graph).ok());
  EXPECT_EQ(graph->inputs.at(0).name, "image");
  EXPECT_THAT(graph->inputs[0].shape, ElementsAre(-1, 96, 160, 3));
  EXPECT_THAT(graph->training_outputs, ElementsAre("class_logits", "box_logits"));
  ASSERT_EQ(graph->outputs.size(), 3U);
  const auto values = graph::infer_shapes(*graph, 2);
  ASSERT_TRUE(values.ok()) << values.error().message;
  const std::int64_t points = 12 * 20 + 6 * 10 + 3 * 5;
  EXPECT_THAT(values->at("class_logits").shape, ElementsAre(2, points, 5));
  EXPECT_THAT(values->at("box_logits").shape, ElementsAre(2, points, 64));
  EXPECT_EQ(graph->outputs[0].name, "boxes");
  EXPECT_THAT(values->at("boxes").shape, ElementsAre(2, points, 4));
  EXPECT_EQ(graph->outputs[1].name, "scores");
  EXPECT_THAT(values->at("scores").shape, ElementsAre(2, 5, points));
  EXPECT_EQ(graph->outputs[2].name, "selected");
  EXPECT_THAT(values->at("selected").shape, ElementsAre(2 * 5 * 100, 3));
  EXPECT_EQ(values->at("selected").dtype, Dtype::i64);
  EXPECT_FLOAT_EQ(graph->initializers.at("nms_overlap").values<float>()[0], 0.6F);
  EXPECT_FLOAT_EQ(graph->initializers.at("nms_score").values<float>()[0], 0.01F);
  EXPECT_EQ(graph->initializers.at("nms_most").values<std::int64_t>()[0], 100);
  EXPECT_EQ(graph->metadata.at(backbone_layers_key), "10");
  // Nothing of the decoding is learned.
  const auto roles = graph::roles_of(*graph);
  for (const char* name : {"bins", "points.steps", "points.centres", "nms_overlap", "nms_score"})
    EXPECT_EQ(roles.at(name), graph::Role::constant) << name;
  EXPECT_TRUE(graph::serialize_onnx(*graph).ok());
  const auto cost = graph::cost_of(*build_detector(options_for(320, 320)));
  ASSERT_TRUE(cost.ok());
  EXPECT_LT(cost->parameters, 3'300'000);
  EXPECT_LT(cost->flops, 3'300'000'000);
}

TEST(Detector, SaysLittleAtFirst) {
  const auto graph = build_detector(options_for(96, 96));
  ASSERT_TRUE(graph.ok());
  int classes = 0, boxes = 0;
  for (const auto& [name, tensor] : graph->initializers) {
    if (!name.starts_with("conv_") || !name.ends_with(".bias")) continue;
    const auto values = tensor.values<float>();
    const auto weights = graph->initializers.at(name.substr(0, name.size() - 4) + "weight").values<float>();
    double squares = 0;
    for (const float weight : weights) squares += static_cast<double>(weight) * weight;
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(weights.size())), 0.01, 0.002) << name;
    if (tensor.count() == 5) {
      ++classes;
      for (const float value : values) EXPECT_NEAR(1 / (1 + std::exp(-value)), 0.01, 1e-6);
    } else {
      ++boxes;
      ASSERT_EQ(tensor.count(), 4 * box_bins);
      for (std::size_t i = 0; i < values.size(); ++i) EXPECT_FLOAT_EQ(values[i], -static_cast<float>(i % 16) / 3);
    }
  }
  EXPECT_EQ(classes, 3);
  EXPECT_EQ(boxes, 3);
}

TEST(Detector, PointsAreTheCentresOfTheirCells) {
  const auto points = anchor_points(64, 96);
  ASSERT_EQ(points.size(), 8U * 12 + 4 * 6 + 2 * 3);
  EXPECT_EQ(points[0].x, 4);
  EXPECT_EQ(points[0].y, 4);
  EXPECT_EQ(points[13].x, 12);
  EXPECT_EQ(points[13].y, 12);
  EXPECT_EQ(points[96].x, 8);
  EXPECT_EQ(points[96].stride, 16);
  EXPECT_EQ(points.back().x, 80);
  EXPECT_EQ(points.back().y, 48);
  EXPECT_EQ(points.back().stride, 32);
}

TEST(Detector, RefusesWhatItCannotBe) {
  const auto message = [](const std::function<void(DetectorOptions&)>& spoil) {
    DetectorOptions options = options_for(96, 96);
    spoil(options);
    const auto graph = build_detector(options);
    EXPECT_FALSE(graph.ok());
    return graph.ok() ? "" : graph.error().message;
  };
  EXPECT_THAT(message([](auto& options) { options.height = 100; }), HasSubstr("multiples of 32"));
  EXPECT_THAT(message([](auto& options) { options.height = 0; }), HasSubstr("pixels a side"));
  EXPECT_THAT(message([](auto& options) { options.classes = 0; }), HasSubstr("0 classes"));
  EXPECT_THAT(message([](auto& options) { options.backbone = "resnet-s"; }), HasSubstr("sight-s"));
  EXPECT_THAT(message([](auto& options) { options.backbone = "sight_s"; }), HasSubstr("did you mean"));
  EXPECT_THAT(message([](auto& options) { options.mean = {1}; }), HasSubstr("means"));
}

TEST(AdoptBackbone, TakesWeightsAndStatisticsLayerByLayer) {
  auto detector = build_detector(options_for(96, 96));
  const graph::Graph before = *detector;
  auto classifier = sight_s_for_test(8);
  ASSERT_TRUE(detector.ok() && classifier.ok());
  for (float& mean : classifier->initializers.at("batch_normalization_3.mean").values<float>()) mean = 0.25F;
  const auto taken = adopt_backbone(*detector, *classifier);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(*taken, 50);
  EXPECT_TRUE(detector->initializers.at("conv_10.weight").same_as(classifier->initializers.at("conv_10.weight")));
  EXPECT_TRUE(detector->initializers.at("batch_normalization_3.mean").same_as(classifier->initializers.at("batch_normalization_3.mean")));
  EXPECT_FALSE(before.initializers.at("conv_10.weight").same_as(classifier->initializers.at("conv_10.weight")));
  EXPECT_TRUE(detector->initializers.at("conv_11.weight").same_as(before.initializers.at("conv_11.weight")));  // the neck's
  EXPECT_EQ(detector->nodes.size(), before.nodes.size());
}

TEST(AdoptBackbone, AFoldedOneTakesTheNormalisationAway) {
  auto detector = build_detector(options_for(96, 96));
  const auto classifier = sight_s_for_test(8);
  ASSERT_TRUE(detector.ok() && classifier.ok());
  const std::size_t nodes = detector->nodes.size();
  const graph::Graph folded = graph::fold_batch_norm(graph::serving_graph(*classifier));
  const auto taken = adopt_backbone(*detector, folded);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(*taken, 20);
  EXPECT_EQ(detector->nodes.size(), nodes - 10);
  EXPECT_FALSE(detector->initializers.contains("batch_normalization_1.scale"));
  EXPECT_TRUE(detector->initializers.contains("batch_normalization_11.scale"));
  const auto roles = graph::roles_of(*detector);
  EXPECT_EQ(roles.at("conv_1.bias"), graph::Role::bias);
  ASSERT_TRUE(graph::check(*detector).ok());
}

TEST(AdoptBackbone, NamesTheLayerThatDiffersAndLeavesTheDetectorAlone) {
  auto detector = build_detector(options_for(96, 96));
  ASSERT_TRUE(detector.ok());
  const Digest before = graph::digest_of(*detector);
  const auto other = build_classifier({.backbone = "resnet-s",
                                       .height = 96,
                                       .width = 96,
                                       .channels = 3,
                                       .classes = 2,
                                       .mean = {127.5F, 127.5F, 127.5F},
                                       .deviation = {64, 64, 64}});
  ASSERT_TRUE(other.ok());
  const auto taken = adopt_backbone(*detector, *other);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().kind, ErrorKind::invalid_data);
  EXPECT_THAT(taken.error().message, HasSubstr("layer 1"));
  EXPECT_EQ(graph::digest_of(*detector), before);
  graph::Graph classifier = *other;
  EXPECT_EQ(adopt_backbone(classifier, *other).error().kind, ErrorKind::unsupported);
}

TEST(DetectorParts, TellTheirPortsAndCost) {
  ASSERT_EQ(detector_parts().size(), 2U);
  for (const DetectorPart& part : detector_parts()) {
    const auto graph = detector_part(part, 320, 320, 3);
    ASSERT_TRUE(graph.ok()) << part.name << ": " << graph.error().message;
    EXPECT_EQ(graph->inputs.size(), 3U);
    const auto cost = graph::cost_of(*graph);
    ASSERT_TRUE(cost.ok());
    EXPECT_GT(cost->flops, 100'000'000) << part.name;
  }
}

}  // namespace
}  // namespace sightline::modules
