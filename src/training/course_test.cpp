#include "training/course.h"

#include <gtest/gtest.h>

#include "training/pace.h"

namespace sightline::training {
namespace {

using modules::Schedule;

TEST(Course, ProgressIsTheShareOfTheSteps) {
  const Course course = Course::of(200, 20);
  EXPECT_DOUBLE_EQ(course.progress(0), 0);
  EXPECT_DOUBLE_EQ(course.progress(50), 0.25);
  EXPECT_DOUBLE_EQ(course.progress(200), 1);
  EXPECT_EQ(course.total_at(3), 200);
}

TEST(Course, ARevisionStretchesWhatWasLeftAndChangesNothingBefore) {
  Course course = Course::of(200, 20);
  course.revise(100, 150);
  EXPECT_DOUBLE_EQ(course.progress(50), 0.25);
  EXPECT_DOUBLE_EQ(course.progress(100), 0.5);
  EXPECT_DOUBLE_EQ(course.progress(125), 0.75);
  EXPECT_DOUBLE_EQ(course.progress(150), 1);
  EXPECT_EQ(course.total_at(99), 200);
  EXPECT_EQ(course.total_at(100), 150);
  EXPECT_TRUE(course.check().ok());
  course.revise(125, 125);  // at once
  EXPECT_EQ(course.total_at(125), 125);
  EXPECT_TRUE(course.check().ok());
}

TEST(Course, WrongRecordsAreRefused) {
  Course course = Course::of(200, 20);
  course.revise(200, 250);
  EXPECT_FALSE(course.check().ok());
  course = Course::of(200, 20);
  course.revisions[0].at_step = 1;
  EXPECT_FALSE(course.check().ok());
  course = Course::of(200, 0);
  EXPECT_FALSE(course.check().ok());
  course = Course::of(200, 20);
  course.steps = 199;
  EXPECT_FALSE(course.check().ok());
  EXPECT_FALSE(Course{}.check().ok());
}

TEST(LearningRate, RisesToThePeakAndFallsToNothing) {
  for (const Schedule schedule : {Schedule::one_cycle, Schedule::cosine}) {
    EXPECT_LT(learning_rate_factor(schedule, 0.2, 0), 0.05);
    EXPECT_DOUBLE_EQ(learning_rate_factor(schedule, 0.2, 0.2), 1);
    EXPECT_NEAR(learning_rate_factor(schedule, 0.2, 0.6), 0.5, 1e-5);
    EXPECT_LT(learning_rate_factor(schedule, 0.2, 1), 1e-5);
    EXPECT_DOUBLE_EQ(learning_rate_factor(schedule, 0, 0), 1);
  }
  EXPECT_DOUBLE_EQ(learning_rate_factor(Schedule::cosine, 0.2, 0.1), 0.5);
  EXPECT_NEAR(learning_rate_factor(Schedule::one_cycle, 0.2, 0), 0.04, 1e-12);
}

TEST(Pace, TurnsSecondsIntoStepsWithTheirValidations) {
  // 10 steps an epoch: 1 s of steps and 1 s of validation; the last epoch is cut, but validated too.
  EXPECT_EQ(steps_within(21, {.step_seconds = 0.1, .validation_seconds = 1}, 10), 100);
  EXPECT_EQ(steps_within(-5, {.step_seconds = 0.1, .validation_seconds = 0}, 10), 1);
}

TEST(Pace, ShortensOnlyWhenTheBudgetWouldBeOverrun) {
  const Course course = Course::of(100, 10);
  Pace steady(10, {.step_seconds = 0.1});
  for (int i = 0; i < 60; ++i) steady.add_step(0.1, 32);
  EXPECT_FALSE(steady.revised_steps(course, 60, 6.0));
  EXPECT_NEAR(steady.images_per_second(), 320, 1e-6);
  EXPECT_NEAR(steady.seconds_left(course, 60), 4, 1e-6);

  Pace slowed(10, {.step_seconds = 0.1});
  for (int i = 0; i < 40; ++i) slowed.add_step(0.1, 32);
  for (int i = 0; i < 20; ++i) slowed.add_step(0.2, 32);
  const auto fewer = slowed.revised_steps(course, 60, 8.0);
  ASSERT_TRUE(fewer);
  EXPECT_EQ(*fewer, 70);  // 2 s are left, at 0.2 s each
  EXPECT_EQ(*slowed.revised_steps(course, 60, 10.5), 60);

  // The measurement before was three times too slow: the budget has room for 97 steps in all.
  const Course young = Course::of(33, 10);
  Pace quick(10, {.step_seconds = 0.3});
  for (int i = 0; i < 5; ++i) quick.add_step(0.1, 32);
  const auto longer = quick.revised_steps(young, 5, 0.5);
  ASSERT_TRUE(longer);
  EXPECT_NEAR(static_cast<double>(*longer), 97, 1);
  EXPECT_TRUE(quick.revised_steps(young, 25, 2.5));
  EXPECT_FALSE(quick.revised_steps(young, 31, 3.1));  // the end is near

  // Others took the machine for a while, and the plan shrank; they are gone, and 7 of 10 s are left.
  Course shrunk = Course::of(100, 10);
  shrunk.revise(5, 20);
  Pace freed(10, {.step_seconds = 0.1});
  for (int i = 0; i < 5; ++i) freed.add_step(0.3, 32);
  for (int i = 0; i < 12; ++i) freed.add_step(0.1, 32);
  const auto again = freed.revised_steps(shrunk, 17, 2.7);
  ASSERT_TRUE(again);
  EXPECT_NEAR(static_cast<double>(*again), 87, 1);

  Pace unbounded(0, {});
  unbounded.add_step(100, 1);
  EXPECT_FALSE(unbounded.revised_steps(course, 1, 1000));
}

}  // namespace
}  // namespace sightline::training
