#include "evaluation/decisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "base/random.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;

struct Sample {
  Tensor probabilities;
  std::vector<std::int32_t> labels;
};
// Two classes, the first nine times as frequent; a model that leans to it.
Sample imbalanced(std::int64_t count, std::uint64_t seed) {
  Sample sample{Tensor(Dtype::f32, {count, 2}), {}};
  for (std::int64_t i = 0; i < count; ++i) {
    Random random(seed, static_cast<std::uint64_t>(i));
    const int label = random.uniform(0, 1) < 0.1 ? 1 : 0;
    const double score = random.normal() + (label == 1 ? 1.5 : 0) - 2.2;
    const auto second = static_cast<float>(1 / (1 + std::exp(-score)));
    sample.labels.push_back(label);
    sample.probabilities.values<float>()[static_cast<std::size_t>(2 * i)] = 1 - second;
    sample.probabilities.values<float>()[static_cast<std::size_t>(2 * i + 1)] = second;
  }
  return sample;
}

demand::Demand wanting(const std::string& lines) {
  auto demand = demand::parse_demand("name: a\ntask: classify\ndata: {path: x}\n" + lines, "d.yaml");
  EXPECT_TRUE(demand.ok()) << (demand.ok() ? "" : demand.error().message);
  return *demand;
}
package::Decisions fitted(const std::string& lines, const Sample& sample) {
  auto decisions = fit_decisions(wanting(lines), sample.probabilities, sample.labels, "validation");
  EXPECT_TRUE(decisions.ok() && *decisions) << lines;
  return **decisions;
}

TEST(Decisions, NothingIsFittedUnlessItIsAskedFor) {
  const Sample sample = imbalanced(50, 1);
  for (const char* lines : {"", "decide: {thresholds: none}\n"})
    EXPECT_FALSE(*fit_decisions(wanting(lines), sample.probabilities, sample.labels, "validation")) << lines;
  EXPECT_FALSE(*package::read_decisions(graph::Graph{}, 2));
}

TEST(Decisions, ThresholdsPerClassGiveARareClassItsDue) {
  const package::Decisions decisions = fitted("decide: {thresholds: per_class}\n", imbalanced(4000, 1));
  ASSERT_EQ(decisions.thresholds.size(), 2U);
  EXPECT_FALSE(decisions.precision);
  const Sample fresh = imbalanced(4000, 2);
  const DecisionFigures figures = measure_decisions(decisions, fresh.probabilities, fresh.labels);
  EXPECT_GT(figures.balanced_accuracy_after, figures.balanced_accuracy_before + 0.05);
  EXPECT_EQ(figures.answered, 1);
  EXPECT_THAT(figures.sentences.at(0), HasSubstr("balanced accuracy is"));
}

TEST(Decisions, APrecisionLeavesPicturesWithoutAnAnswer) {
  const package::Decisions decisions = fitted("decide: {thresholds: per_class, precision: 0.97}\n", imbalanced(6000, 1));
  const Sample fresh = imbalanced(6000, 2);
  const DecisionFigures figures = measure_decisions(decisions, fresh.probabilities, fresh.labels);
  EXPECT_LT(figures.answered, 0.95);
  EXPECT_GT(figures.answered, 0.3);
  EXPECT_GT(figures.right_of_answered, 0.955);
  EXPECT_GT(figures.right_of_answered, figures.accuracy_before);
  EXPECT_THAT(figures.sentences.at(0), HasSubstr("answers"));
}

TEST(Decisions, SetsCoverAsTheySay) {
  const package::Decisions decisions = fitted("prediction_sets: {coverage: 0.8, per_class: true}\n", imbalanced(6000, 1));
  const Sample fresh = imbalanced(6000, 2);
  const DecisionFigures figures = measure_decisions(decisions, fresh.probabilities, fresh.labels);
  EXPECT_NEAR(figures.least_class_coverage, 0.8, 0.06);
  EXPECT_GE(figures.coverage, 0.78);  // more than that, because the most probable class is in every set
  EXPECT_LE(figures.coverage_low, figures.coverage);
  EXPECT_GE(figures.coverage_high, figures.coverage);
  EXPECT_GE(figures.mean_size, 1);
  EXPECT_THAT(figures.sentences.at(0), testing::AllOf(HasSubstr("coverage of 0.8 in each class"), HasSubstr("95% interval")));
  EXPECT_TRUE(decisions.thresholds.empty());
  EXPECT_EQ(package::decided_class(decisions, std::vector<float>{0.2F, 0.8F}), 1);
}

TEST(Decisions, ByHand) {
  const package::Decisions ratio{.thresholds = {0.9, 0.3}};
  EXPECT_EQ(package::decided_class(ratio, std::vector<float>{0.6F, 0.4F}), 1);  // 0.67 against 1.33
  EXPECT_EQ(package::decided_class(ratio, std::vector<float>{0.95F, 0.05F}), 0);
  const package::Decisions sure{.thresholds = {0.9, 0.3}, .precision = 0.95};
  EXPECT_EQ(package::decided_class(sure, std::vector<float>{0.8F, 0.2F}), -1);
  EXPECT_EQ(package::decided_class(sure, std::vector<float>{0.95F, 0.05F}), 0);
}

TEST(Decisions, ComeBackFromTheMetadataOrAreRefused) {
  const package::Decisions decisions =
      fitted("decide: {thresholds: per_class, precision: 0.9}\nprediction_sets: {coverage: 0.9}\n", imbalanced(500, 3));
  graph::Graph graph;
  package::write_decisions(decisions, graph);
  EXPECT_TRUE(graph.metadata.contains("model_info confidence_threshold"));
  const auto again = package::read_decisions(graph, 2);
  ASSERT_TRUE(again.ok() && *again);
  EXPECT_EQ(to_json(**again), to_json(decisions));
  EXPECT_EQ((*again)->from, "validation");
  EXPECT_THAT(package::read_decisions(graph, 3).error().message, HasSubstr("do not fit a model of 3 classes"));
  graph.metadata["sightline_decisions"] = R"({"thresholds": [0, 2]})";
  EXPECT_FALSE(package::read_decisions(graph, 2).ok());
  graph.metadata["sightline_decisions"] = "{";
  EXPECT_FALSE(package::read_decisions(graph, 2).ok());
}

}  // namespace
}  // namespace sightline::evaluation
