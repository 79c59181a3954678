#include "factory/escalation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sightline::factory {
namespace {

using ::testing::HasSubstr;

Reached head(double value, double low, double high) {
  return {.rung = Rung::head, .metric = "top1", .value = value, .interval = {low, high}, .pictures = 400, .how = "out of fold"};
}
Prospect tail(double gain, double low, double high, double seconds = 60) {
  return {.rung = Rung::tail, .gain = gain, .interval = {low, high}, .seconds = seconds, .why = "the pilot says so"};
}
demand::Target target(double at_least) { return {.metric = "top1", .at_least = at_least}; }

TEST(Escalation, TheLowerEndMustMeetTheTarget) {
  EXPECT_TRUE(meets(target(0.9), head(0.93, 0.905, 0.95)));
  EXPECT_FALSE(meets(target(0.9), head(0.93, 0.895, 0.95))) << "the estimate alone is no proof";
  EXPECT_FALSE(meets(target(0), head(1, 1, 1))) << "no target was stated";
  const Decision enough = decide(target(0.9), head(0.93, 0.905, 0.95), tail(0.05, 0.04, 0.06), 180);
  EXPECT_FALSE(enough.next);
  EXPECT_THAT(enough.sentence, testing::AllOf(HasSubstr("0.9000"), HasSubstr("0.9050")));
}

TEST(Escalation, WithATargetANextRungIsTakenUnlessAGainIsExcluded) {
  const Reached reached = head(0.88, 0.85, 0.91);
  const Decision more = decide(target(0.9), reached, tail(0.02, -0.01, 0.05), 180);
  EXPECT_TRUE(more.next) << more.sentence;
  EXPECT_THAT(more.sentence, testing::AllOf(HasSubstr("not met for sure"), HasSubstr("2.0 points (-1.0 to 5.0)"), HasSubstr("1 min 00 s"),
                                            HasSubstr("the pilot says so")));
  const Decision nothing = decide(target(0.9), reached, tail(-0.02, -0.05, 0.004), 180);
  EXPECT_FALSE(nothing.next);
  EXPECT_THAT(nothing.sentence, HasSubstr("no gain is to be had"));
}

TEST(Escalation, WithoutATargetOnlyAClearGainIsWorthIt) {
  const Reached reached = head(0.88, 0.85, 0.91);
  EXPECT_TRUE(decide(target(0), reached, tail(0.05, 0.02, 0.08), 180).next);
  const Decision unclear = decide(target(0), reached, tail(0.05, -0.001, 0.1), 180);
  EXPECT_FALSE(unclear.next);
  EXPECT_THAT(unclear.sentence, HasSubstr("no clear gain"));
  EXPECT_FALSE(decide(target(0), reached, tail(0.008, 0.007, 0.009), 180).next) << "clear, but less than a point";
}

TEST(Escalation, TheBudgetComesFirst) {
  const Reached reached = head(0.5, 0.45, 0.55);
  const Decision dear = decide(target(0.9), reached, tail(0.3, 0.2, 0.4, 400), 180);
  EXPECT_FALSE(dear.next);
  EXPECT_THAT(dear.sentence, testing::AllOf(HasSubstr("6 min 40 s"), HasSubstr("3 min 00 s")));
  EXPECT_FALSE(decide(target(0.9), reached, tail(0.3, 0.2, 0.4, 0), -5).next);
  EXPECT_TRUE(decide(target(0.9), reached, tail(0.3, 0.2, 0.4, 1e9), seconds_of({.epochs = 3, .minutes = {}})).next)
      << "epochs are no matter of time";
  EXPECT_EQ(seconds_of({.epochs = {}, .minutes = 2}), 120);
  EXPECT_EQ(seconds_of({}), 180);
}

TEST(Escalation, TheEstimateThatStandsForTheMetricIsNamed) {
  evaluation::CrossValidated estimate;
  estimate.samples = 100;
  estimate.accuracy = {.value = 0.9, .interval = {0.85, 0.94}};
  estimate.balanced_accuracy = {.value = 0.7, .interval = {0.6, 0.8}};
  EXPECT_EQ(reached_by(Rung::head, {.metric = "top1"}, estimate, "out of fold").value, 0.9);
  EXPECT_EQ(reached_by(Rung::head, {.metric = "balanced_accuracy"}, estimate, "out of fold").value, 0.7);
  const demand::Target f1{.metric = "macro_f1", .at_least = 0.8};
  const Reached reached = reached_by(Rung::tail, f1, estimate, "of the validation part");
  EXPECT_EQ(reached.value, 0.7);
  EXPECT_THAT(sentence_of(f1, reached),
              testing::AllOf(HasSubstr("tuning the last stages reaches balanced_accuracy 0.7000 (0.6000 to 0.8000"),
                             HasSubstr("stands for macro_f1")));
  EXPECT_EQ(reached_by(Rung::head, {.metric = "top5"}, estimate, "out of fold").metric, "top1") << "top5 is at least that";
}

TEST(Escalation, WhatIsExpectedOfTheNextRungComesFromTheOneBefore) {
  const Prospect whole = prospect_of_whole(0.08, {0.04, 0.12}, 300);
  EXPECT_DOUBLE_EQ(whole.gain, 0.04);
  EXPECT_DOUBLE_EQ(whole.interval.low, 0.02);
  EXPECT_EQ(whole.rung, Rung::whole);
  EXPECT_EQ(prospect_of_tail(-0.05, {-0.08, -0.01}, 60).interval.high, 0) << "what brought nothing promises nothing";
  EXPECT_FALSE(decide(target(0.9), head(0.8, 0.7, 0.9), prospect_of_tail(-0.05, {-0.08, -0.01}, 60), 180).next);
  // 0.9 without any network: from scratch pays where the backbone's head is at 0.85, not where it is at 0.96.
  EXPECT_TRUE(decide(target(0.99), head(0.85, 0.83, 0.87), prospect_of_scratch(0.9, 0.85), 180).next);
  EXPECT_FALSE(decide(target(0.99), head(0.96, 0.95, 0.97), prospect_of_scratch(0.9, 0.96), 180).next);
}

}  // namespace
}  // namespace sightline::factory
