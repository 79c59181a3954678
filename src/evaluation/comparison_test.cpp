#include "evaluation/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sightline::evaluation {
namespace {

Evaluation measured(double top1, std::uint64_t size) {
  Evaluation evaluation{.classes = {"round", "square"}};
  evaluation.figures.top1 = top1;
  evaluation.figures.count = 100;
  evaluation.intervals["top1"] = {top1 - 0.1, top1 + 0.1};
  evaluation.size_bytes = size;
  return evaluation;
}

TEST(Comparison, TellsTheFiguresThatBothHave) {
  const auto figures = compare_figures(measured(0.75, 1000), measured(0.85, 3000), "a:1", "a:2");
  ASSERT_TRUE(figures.ok());
  const auto top1 = std::ranges::find(*figures, "top1", &ComparedFigure::name);
  ASSERT_NE(top1, figures->end());
  EXPECT_EQ(top1->a, 0.75);
  EXPECT_EQ(top1->b, 0.85);
  ASSERT_TRUE(top1->b_interval.has_value());
  EXPECT_NEAR(top1->b_interval->high, 0.95, 1e-12);
  EXPECT_EQ(figures->back().name, "size_kb");
  EXPECT_EQ(figures->back().b, 3.0);
  Evaluation other = measured(0.5, 1);
  other.task = "detect";
  EXPECT_THAT(compare_figures(measured(0.5, 1), other, "a:1", "b:1").error().message, testing::HasSubstr("b:1 one for detect"));
}

TEST(Comparison, TellsWhatDiffersInTheLineage) {
  const Json a{{"seed", 1}, {"data", {{"digest", "x"}, {"licence", "MIT"}}}}, b{{"seed", 2}, {"data", {{"licence", "MIT"}, {"train", 7}}}};
  const auto differs = compare_lineages(a, b);
  ASSERT_EQ(differs.size(), 3U);
  EXPECT_EQ(differs[0].key, "/data/digest");
  EXPECT_TRUE(differs[0].b.is_null());
  EXPECT_EQ(differs[1].key, "/data/train");
  EXPECT_EQ(differs[2].a, 1);
  EXPECT_TRUE(compare_lineages(a, a).empty());
}

}  // namespace
}  // namespace sightline::evaluation
