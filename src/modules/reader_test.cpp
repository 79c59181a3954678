#include "modules/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sightline::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ReaderOptions options_for(std::int64_t height, std::int64_t width, std::int64_t symbols) {
  return {.height = height,
          .width = width,
          .channels = 3,
          .symbols = symbols,
          .mean = {127.5F, 127.5F, 127.5F},
          .deviation = {64, 64, 64},
          .seed = 3};
}

TEST(Reader, HasTheOutputsThatItsContractNames) {
  for (const auto& [height, width] : {std::pair{32, 96}, {16, 64}, {48, 200}}) {
    const auto graph = build_reader(options_for(height, width, 36));
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    ASSERT_TRUE(graph::check(*graph).ok());
    EXPECT_THAT(graph->inputs.at(0).shape, ElementsAre(-1, height, width, 3));
    EXPECT_THAT(graph->training_outputs, ElementsAre("column_logits"));
    const auto values = graph::infer_shapes(*graph, 2);
    ASSERT_TRUE(values.ok()) << values.error().message;
    EXPECT_THAT(values->at("column_logits").shape, ElementsAre(2, width / 4, 37));
    EXPECT_THAT(values->at("columns").shape, ElementsAre(2, width / 4, 37));
    EXPECT_EQ(graph::roles_of(*graph).at("inverse_temperature"), graph::Role::constant) << "calibrated, not learned";
    EXPECT_TRUE(graph::serialize_onnx(*graph).ok());
  }
}

TEST(Reader, IsOfTheSizeOfLprnet) {
  const auto graph = build_reader(options_for(32, 96, 67));
  ASSERT_TRUE(graph.ok());
  const auto cost = graph::cost_of(*graph);
  ASSERT_TRUE(cost.ok());
  EXPECT_LT(cost->parameters, 1'000'000);
  EXPECT_LT(cost->flops, 200'000'000);
}

TEST(Reader, RefusesWhatDoesNotDivide) {
  const auto refusal = [](const ReaderOptions& options) { return build_reader(options).error().message; };
  EXPECT_THAT(refusal(options_for(24, 96, 5)), HasSubstr("multiple of 16"));
  EXPECT_THAT(refusal(options_for(32, 94, 5)), HasSubstr("94×32"));
  EXPECT_THAT(refusal(options_for(32, 96, 0)), HasSubstr("0 symbols"));
  ReaderOptions grey = options_for(32, 96, 5);
  grey.channels = 1;
  EXPECT_THAT(refusal(grey), HasSubstr("3 means"));
}

}  // namespace
}  // namespace sightline::modules
