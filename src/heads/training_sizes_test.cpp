#include "heads/training_sizes.h"

#include <gtest/gtest.h>

#include "heads/clouds_for_test.h"

namespace sightline::heads {
namespace {

TEST(TrainingSizes, ErrorsFallWithMoreSamples) {
  const Clouds clouds = make_clouds(240, 60, 3, 3.0, 5);
  const auto errors = errors_by_training_size(clouds.features, clouds.labels, {}, 3);
  ASSERT_TRUE(errors.ok()) << errors.error().message;
  ASSERT_EQ(errors->size(), 6U);
  EXPECT_EQ(errors->front().size, 2);
  EXPECT_NEAR(static_cast<double>(errors->back().size), 60, 8);
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value / static_cast<double>(values.size());
    return sum;
  };
  EXPECT_GT(mean(errors->front().balanced), mean(errors->back().balanced) + 0.1);
  EXPECT_EQ(errors->front().trained[0], 2);
  EXPECT_EQ(errors->front().balanced.size(), 5U);
  EXPECT_EQ(errors->front().by_class[4].size(), 3U);
  // The same for the same seed.
  EXPECT_EQ(errors->at(2).balanced, errors_by_training_size(clouds.features, clouds.labels, {}, 3)->at(2).balanced);
}

TEST(TrainingSizes, SmallClassesGiveAllTheyHave) {
  Clouds clouds = make_clouds(100, 10, 2, 0.3, 5);
  for (std::size_t i = 0; i < 100; ++i) clouds.labels[i] = i < 8 ? 1 : 0;
  const auto errors = errors_by_training_size(clouds.features, clouds.labels, {}, 3, {.sizes = {3, 20}});
  ASSERT_TRUE(errors.ok());
  EXPECT_NEAR(errors->at(1).trained[0], 20, 1e-9);
  EXPECT_NEAR(errors->at(1).trained[1], 6, 1e-9);
  EXPECT_EQ(errors->at(1).trained[2], 0);
  EXPECT_EQ(errors->at(0).judged[1], 8);
}

TEST(TrainingSizes, ASingleSampleOfAClassIsNeverKnown) {
  const Clouds clouds{Tensor::of<float>({3, 2}, {0, 1, 5, 4, 5, 5}), {0, 1, 1}};
  const auto errors = errors_by_training_size(clouds.features, clouds.labels, {}, 2, {.sizes = {1}, .repeats = 1});
  ASSERT_TRUE(errors.ok()) << errors.error().message;
  EXPECT_EQ(errors->at(0).by_class[0][0], 1);
  EXPECT_EQ(errors_by_training_size(clouds.features, clouds.labels, {}, 2, {.sizes = {3, 3}}).error().kind, ErrorKind::usage);
  EXPECT_EQ(errors_by_training_size(clouds.features, clouds.labels, {}, 2, {.folds = 1}).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::heads
