#include "factory/outlook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace sightline::factory {
namespace {

using ::testing::HasSubstr;

struct Samples {
  Tensor features;
  std::vector<std::int32_t> labels;
};
// Two classes that are easily told apart, and two ("left", "right") that overlap.
Samples samples(int per_class) {
  constexpr int dimensions = 20;
  Samples all{Tensor(Dtype::f32, {4 * per_class, dimensions}), {}};
  Random random(5);
  auto values = all.features.values<float>();
  for (int i = 0; i < 4 * per_class; ++i) {
    const int label = i % 4;
    all.labels.push_back(label);
    for (int d = 0; d < dimensions; ++d) {
      const bool own = label < 2 && d == label;
      const double centre = own ? 6 : label == 3 && d == 2 ? 0.8 : 0;
      values[static_cast<std::size_t>(i * dimensions + d)] = static_cast<float>(centre + random.normal());
    }
  }
  return all;
}

Outlook outlook(const demand::Target& target, int per_class) {
  const Samples all = samples(per_class);
  const auto choice = heads::choose_head(all.features, all.labels, {}, 4, {.balanced = true});
  EXPECT_TRUE(choice.ok());
  auto result = outlook_of(target, *choice, all.features, all.labels, {}, {"cat", "dog", "left", "right"}, 3, true);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return *std::move(result);
}

TEST(Outlook, ATargetThatIsReachedNeedsNoAdvice) {
  const Outlook good = outlook({.metric = "balanced_accuracy", .at_least = 0.6}, 30);
  EXPECT_EQ(good.sentences.size(), 1U);
  EXPECT_GT(good.estimate.balanced_accuracy.value, 0.6);
  EXPECT_LT(good.estimate.balanced_accuracy.interval.low, good.estimate.balanced_accuracy.value);
}

TEST(Outlook, ATargetThatIsMissedSaysHowManyImagesItWouldTake) {
  const Outlook missed = outlook({.metric = "balanced_accuracy", .at_least = 0.97}, 30);
  ASSERT_GE(missed.sentences.size(), 3U);
  EXPECT_THAT(missed.sentences[1], HasSubstr("the target 0.9700"));
  EXPECT_THAT(missed.sentences[2], HasSubstr("of each class"));
  EXPECT_THAT(missed.sentences[3], ::testing::AnyOf(HasSubstr("\"left\""), HasSubstr("\"right\"")));  // one of the two that overlap
}

TEST(Outlook, TooFewImagesForACurveSaySo) {
  const Outlook few = outlook({.metric = "top1", .at_least = 0.999}, 4);
  ASSERT_GE(few.sentences.size(), 1U);  // an estimate there always is
  EXPECT_EQ(few.estimate.samples, 16);
}

}  // namespace
}  // namespace sightline::factory
