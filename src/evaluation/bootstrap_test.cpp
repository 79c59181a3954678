#include "evaluation/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/interrupt.h"
#include "base/random.h"

namespace sightline::evaluation {
namespace {

struct Answered {
  Tensor probabilities;
  std::vector<std::int32_t> labels;
};

// Answers with 0.9 for the chosen class; right with the given chance.
Answered answered(std::int64_t samples, std::int64_t classes, double chance, std::uint64_t seed) {
  Random random(seed);
  Answered result{Tensor::filled({samples, classes}, 0.1F / static_cast<float>(classes - 1)), {}};
  for (std::int64_t i = 0; i < samples; ++i) {
    const auto label = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(classes)));
    const std::int64_t chosen = random.uniform() < chance ? label : (label + 1) % classes;
    result.probabilities.values<float>()[static_cast<std::size_t>(i * classes + chosen)] = 0.9F;
    result.labels.push_back(static_cast<std::int32_t>(label));
  }
  return result;
}

TEST(Bootstrap, QuantilesAreInterpolated) {
  const std::vector<double> values{1, 2, 3, 5};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 5);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{7}, 0.9), 7);
}

TEST(Bootstrap, TheIntervalOfAShareIsThatOfTheBinomial) {
  const Answered data = answered(2000, 10, 0.9, 3);
  const auto intervals = bootstrap_intervals(data.probabilities, data.labels);
  ASSERT_TRUE(intervals.ok());
  ASSERT_EQ(intervals->size(), 5U);
  const double top1 = tasks::measure(data.probabilities, data.labels, {}).top1;
  const double half = 1.96 * std::sqrt(top1 * (1 - top1) / 2000);
  EXPECT_NEAR(intervals->at("top1").low, top1 - half, 0.15 * half);
  EXPECT_NEAR(intervals->at("top1").high, top1 + half, 0.15 * half);
  for (const auto& [name, interval] : *intervals) EXPECT_LT(interval.low, interval.high) << name;
}

TEST(Bootstrap, EveryIntervalHoldsItsFigure) {
  const Answered data = answered(500, 7, 0.7, 5);
  const auto figures = tasks::measure(data.probabilities, data.labels, {});
  const auto intervals = bootstrap_intervals(data.probabilities, data.labels);
  ASSERT_TRUE(intervals.ok());
  for (const auto& [name, value] : std::map<std::string, double>{{"top1", figures.top1},
                                                                 {"top5", figures.top5},
                                                                 {"macro_f1", figures.macro_f1},
                                                                 {"balanced_accuracy", figures.balanced_accuracy},
                                                                 {"log_loss", figures.log_loss}}) {
    EXPECT_LT(intervals->at(name).low, value) << name;
    EXPECT_GT(intervals->at(name).high, value) << name;
  }
}

TEST(Bootstrap, NeitherThreadsNorRunsChangeIt) {
  const Answered data = answered(300, 4, 0.8, 9);
  const auto one = bootstrap_intervals(data.probabilities, data.labels, {.threads = 1});
  const auto four = bootstrap_intervals(data.probabilities, data.labels, {.threads = 4});
  const auto other = bootstrap_intervals(data.probabilities, data.labels, {.seed = 1});
  ASSERT_TRUE(one.ok() && four.ok() && other.ok());
  EXPECT_EQ(one->at("log_loss").low, four->at("log_loss").low);
  EXPECT_EQ(one->at("macro_f1").high, four->at("macro_f1").high);
  EXPECT_NE(one->at("log_loss").low, other->at("log_loss").low);
}

TEST(Bootstrap, OneSampleAndNone) {
  const auto one = bootstrap_intervals(Tensor::of<float>({1, 2}, {0.9F, 0.1F}), std::vector<std::int32_t>{0});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->at("top1").low, 1);
  EXPECT_EQ(one->at("macro_f1").high, 1);
  const auto none = bootstrap_intervals(Tensor(Dtype::f32, {0, 2}), {});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
}

TEST(Bootstrap, StopsWhenInterrupted) {
  const Answered data = answered(100, 3, 0.5, 1);
  request_interrupt();
  const auto intervals = bootstrap_intervals(data.probabilities, data.labels);
  clear_interrupt();
  ASSERT_FALSE(intervals.ok());
  EXPECT_EQ(intervals.error().kind, ErrorKind::interrupted);
}

// Frames of one video are right or wrong together: forty videos of 25 frames say as much as forty pictures.
TEST(Bootstrap, SamplesOfAGroupAreDrawnTogether) {
  constexpr int videos = 40, frames = 25;
  Tensor probabilities(Dtype::f32, {videos * frames, 2}), alone(Dtype::f32, {videos, 2});
  std::vector<std::int32_t> labels(videos * frames, 0), labels_alone(videos, 0);
  std::vector<std::int64_t> groups;
  for (int video = 0; video < videos; ++video) {
    const float right = video % 4 == 0 ? 0.2F : 0.8F;
    for (int frame = 0; frame < frames; ++frame) {
      probabilities.values<float>()[static_cast<std::size_t>(2 * (video * frames + frame))] = right;
      probabilities.values<float>()[static_cast<std::size_t>(2 * (video * frames + frame) + 1)] = 1 - right;
      groups.push_back(video);
    }
    alone.values<float>()[static_cast<std::size_t>(2 * video)] = right;
    alone.values<float>()[static_cast<std::size_t>(2 * video + 1)] = 1 - right;
  }
  const auto width = [](const Result<std::map<std::string, Interval>>& intervals) {
    return intervals->at("top1").high - intervals->at("top1").low;
  };
  const double frame_by_frame = width(bootstrap_intervals(probabilities, labels));
  const double by_video = width(bootstrap_intervals(probabilities, labels, {.groups = groups}));
  const double as_pictures = width(bootstrap_intervals(alone, labels_alone));
  EXPECT_NEAR(by_video, as_pictures, 1e-9);  // the same draws
  EXPECT_NEAR(by_video / frame_by_frame, 5, 0.8);
  // Samples of no group stand for themselves, to the bit.
  const std::vector<std::int64_t> none(labels.size(), -1);
  EXPECT_EQ(width(bootstrap_intervals(probabilities, labels, {.groups = none})), frame_by_frame);
}

}  // namespace
}  // namespace sightline::evaluation
