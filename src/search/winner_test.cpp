#include "search/winner.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "tasks/classify.h"

namespace sightline::search {
namespace {

struct Field {
  std::vector<std::int32_t> labels;
  std::vector<Answered> finalists;
};
// Each finalist is right with its own chance, on its own.
Field field_of(std::size_t pictures, const std::vector<double>& chances, std::uint64_t seed, int classes = 4) {
  Random random(seed);
  Field field;
  for (std::size_t i = 0; i < pictures; ++i)
    field.labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))));
  for (const double chance : chances) {
    Answered each;
    for (const std::int32_t label : field.labels) {
      const bool right = random.uniform() < chance;
      each.predicted.push_back(right ? label : (label + 1) % classes);
      each.among_five.push_back(1);
    }
    field.finalists.push_back(std::move(each));
  }
  return field;
}

TEST(Winner, MetricsAreThoseOfTheTask) {
  Random random(5);
  Tensor probabilities(Dtype::f32, {60, 7});
  std::vector<std::int32_t> labels;
  for (float& value : probabilities.values<float>()) value = static_cast<float>(random.uniform());
  for (int i = 0; i < 60; ++i) labels.push_back(static_cast<std::int32_t>(random.below(6)));  // the seventh class has no pictures
  const tasks::ClassifyFigures figures = tasks::measure(probabilities, labels, std::vector<std::string>(7));
  const Answered answers = answered(probabilities, labels);
  for (const char* metric : {"top1", "top5", "macro_f1", "balanced_accuracy"})
    EXPECT_NEAR(metric_of(metric, answers, labels, 7), *tasks::metric_value(figures, metric), 1e-12) << metric;
}

// Fifty models that are all right half of the time: the best seems to be better, and the correction says that it is not.
TEST(Winner, TheBestOfManyEqualOnesIsExpectedToBeLikeThem) {
  double seemed = 0, corrected = 0;
  int held = 0;
  constexpr int times = 20;
  for (int t = 0; t < times; ++t) {
    const Field field = field_of(100, std::vector<double>(50, 0.5), static_cast<std::uint64_t>(100 + t));
    const auto winner = choose_winner("top1", field.finalists, -1, field.labels, 4, {.draws = 300});
    ASSERT_TRUE(winner.ok());
    seemed += winner->value / times;
    corrected += winner->corrected / times;
    held += winner->interval.low <= 0.5 && winner->interval.high >= 0.5 ? 1 : 0;
    EXPECT_LE(winner->corrected, winner->value);
  }
  EXPECT_GT(seemed, 0.58);
  EXPECT_NEAR(corrected, 0.5, 0.06);
  EXPECT_GE(held, 16) << "of 20 intervals";
}

TEST(Winner, ALoneFinalistIsExpectedToDoWhatItDid) {
  const Field field = field_of(500, {0.8}, 3);
  const auto winner = choose_winner("top1", field.finalists, 0, field.labels, 4);
  ASSERT_TRUE(winner.ok());
  EXPECT_NEAR(winner->corrected, winner->value, 0.003);
  EXPECT_NEAR(winner->interval.high - winner->interval.low, 2 * 1.96 * std::sqrt(0.16 / 500), 0.015);
}

TEST(Winner, TheDefaultIsKeptWithinNoiseAndLeftForWhatIsBetter) {
  const Field near = field_of(200, {0.8, 0.8, 0.8, 0.8}, 8);
  const auto kept = choose_winner("top1", near.finalists, 0, near.labels, 4);
  ASSERT_TRUE(kept.ok());
  EXPECT_LE(kept->ahead, kept->chosen == 0 ? 0 : 1);
  const Field far = field_of(200, {0.6, 0.9, 0.7}, 8);
  const auto left = choose_winner("top1", far.finalists, 0, far.labels, 4);
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(left->chosen, 1U);
  EXPECT_GT(left->ahead, 5 * left->ahead_error);
  EXPECT_NE(left->sentence.find("3 finalists"), std::string::npos) << left->sentence;
  // One picture more than the default is no reason to leave it.
  Field tiny = field_of(200, {0.8}, 9);
  tiny.finalists.push_back(tiny.finalists[0]);
  for (std::size_t i = 0; i < tiny.labels.size(); ++i) {
    if (tiny.finalists[1].predicted[i] == tiny.labels[i]) continue;
    tiny.finalists[1].predicted[i] = tiny.labels[i];
    break;
  }
  EXPECT_EQ(choose_winner("top1", tiny.finalists, 0, tiny.labels, 4)->chosen, 0U);
  EXPECT_EQ(choose_winner("top1", tiny.finalists, -1, tiny.labels, 4)->chosen, 1U);
}

TEST(Winner, NothingToChooseBy) {
  const Field field = field_of(10, {0.8}, 1);
  EXPECT_FALSE(choose_winner("top1", {}, -1, field.labels, 4).ok());
  EXPECT_FALSE(choose_winner("top1", field.finalists, 0, std::vector<std::int32_t>(3), 4).ok());
  const std::vector<Answered> silent(3);
  const auto winner = choose_winner("top1", silent, 2, {}, 4);
  ASSERT_TRUE(winner.ok());
  EXPECT_EQ(winner->chosen, 2U);
}

}  // namespace
}  // namespace sightline::search
