#include "modules/restorer.h"

#include <gtest/gtest.h>

namespace sightline::modules {
namespace {

graph::Graph build(const RestorerOptions& options) {
  auto graph = build_restorer(options);
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return graph.ok() ? *std::move(graph) : graph::Graph();
}

TEST(Restorer, AnswersWithPicturesOfTheWantedSize) {
  for (const std::int64_t scale : {1, 2, 4}) {
    const graph::Graph graph = build({.height = 64, .width = 96, .channels = 3, .scale = scale});
    const auto values = graph::infer_shapes(graph);
    ASSERT_TRUE(values.ok());
    EXPECT_EQ(values->at("restored").shape, (Shape{-1, 3, 64 * scale, 96 * scale}));
    EXPECT_EQ(values->at("deviation").shape, (Shape{-1, 1, 64 * scale, 96 * scale}));
    EXPECT_EQ(values->at(restored_picture).shape, values->at("restored").shape);
    EXPECT_EQ(values->at(log_variance).shape, values->at("deviation").shape);
  }
}

TEST(Restorer, CostsWhatItsHeaderPromises) {
  const auto cost = graph::cost_of(build({.height = 64, .width = 64, .channels = 1}));
  ASSERT_TRUE(cost.ok());
  // Per pixel of the picture; half a megapixel a second and core would be wanted of something that is small.
  EXPECT_LT(static_cast<double>(cost->flops) / (64 * 64), 150e3);
  EXPECT_LT(cost->parameters, 2'000'000);
}

TEST(Restorer, TheSameSeedGivesTheSameWeights) {
  const RestorerOptions options{.height = 32, .width = 32, .channels = 1, .maps = 8, .seed = 4};
  const auto bytes = [](const graph::Graph& graph) { return *graph::serialize_onnx(graph); };
  EXPECT_EQ(bytes(build(options)), bytes(build(options)));
  RestorerOptions other = options;
  other.seed = 5;
  EXPECT_NE(bytes(build(options)), bytes(build(other)));
}

TEST(Restorer, OptionsThatMakeNoSenseAreNamed) {
  const auto message = [](const RestorerOptions& options) {
    const auto graph = build_restorer(options);
    EXPECT_FALSE(graph.ok());
    return graph.ok() ? std::string() : graph.error().message;
  };
  EXPECT_NE(message({.height = 60, .width = 64, .channels = 1}).find("multiples of 8"), std::string::npos);
  EXPECT_NE(message({.height = 64, .width = 64, .channels = 2}).find("2 channels"), std::string::npos);
  EXPECT_NE(message({.height = 64, .width = 64, .channels = 1, .scale = 3}).find("3 times as large"), std::string::npos);
  EXPECT_NE(message({.height = 64, .width = 64, .channels = 1, .maps = 1}).find("1 maps"), std::string::npos);
}

}  // namespace
}  // namespace sightline::modules
