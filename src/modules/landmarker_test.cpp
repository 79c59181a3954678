#include "modules/landmarker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules/detector.h"
#include "modules/detectors_for_test.h"

namespace sightline::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

LandmarkerOptions options_for(std::int64_t height, std::int64_t width, std::int64_t landmarks) {
  return {.height = height,
          .width = width,
          .channels = 3,
          .landmarks = landmarks,
          .mean = {127.5F, 127.5F, 127.5F},
          .deviation = {64, 64, 64},
          .seed = 3};
}

TEST(Landmarker, HasTheOutputsThatItsContractNames) {
  const auto graph = build_landmarker(options_for(96, 160, 5));
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  ASSERT_TRUE(graph::check(*graph).ok());
  const auto values = graph::infer_shapes(*graph, 2);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_THAT(values->at("heat_maps").shape, ElementsAre(2, 5, 24, 40));
  EXPECT_THAT(values->at("place_logits").shape, ElementsAre(2, 5, 24, 40));
  EXPECT_EQ(graph->metadata.at(backbone_layers_key), "10");
  EXPECT_TRUE(graph::serialize_onnx(*graph).ok());
  const auto cost = graph::cost_of(*build_landmarker(options_for(128, 128, 5)));
  ASSERT_TRUE(cost.ok());
  EXPECT_LT(cost->parameters, 3'100'000);
  EXPECT_LT(cost->flops, 700'000'000);
}

TEST(Landmarker, BeginsWithWhatTheBackboneKnows) {
  auto graph = build_landmarker(options_for(64, 64, 3));
  const auto classifier = sight_s_for_test(8);
  ASSERT_TRUE(graph.ok() && classifier.ok());
  const auto taken = adopt_backbone(*graph, *classifier);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(*taken, 50);
}

TEST(Landmarker, SaysWhatItCannotBe) {
  EXPECT_THAT(build_landmarker(options_for(100, 96, 5)).error().message, HasSubstr("multiples of 32, not 96×100"));
  EXPECT_THAT(build_landmarker(options_for(96, 96, 0)).error().message, HasSubstr("0 points; 1 to 512"));
  LandmarkerOptions plain = options_for(96, 96, 5);
  plain.backbone = "resnet-s";
  EXPECT_THAT(build_landmarker(plain).error().message, HasSubstr("strides 2 to 32, which resnet-s has not"));
}

}  // namespace
}  // namespace sightline::modules
