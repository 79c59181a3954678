#include "dataset/identity_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace sightline::dataset {
namespace {

using testing::HasSubstr;

Manifest people(const std::vector<int>& pictures) {
  Manifest manifest;
  for (std::size_t k = 0; k < pictures.size(); ++k) {
    manifest.classes.push_back("person " + std::to_string(k));
    for (int i = 0; i < pictures[k]; ++i) {
      Sample& sample = manifest.samples.emplace_back();
      sample.path = manifest.classes[k] + "/" + std::to_string(i) + ".jpg";
      sample.label = static_cast<int>(k);
    }
  }
  return manifest;
}

std::map<std::string, Split> splits_of(const Manifest& manifest) {
  std::map<std::string, Split> splits;
  for (const Sample& sample : manifest.samples) splits[sample.path] = sample.split;
  return splits;
}

// Pictures by split; fails where an identity is in two.
std::map<Split, int> counted(const Manifest& manifest) {
  std::map<int, Split> of;
  std::map<Split, int> counts;
  for (const Sample& sample : manifest.samples) {
    EXPECT_EQ(of.emplace(sample.label, sample.split).first->second, sample.split) << sample.path << " tears an identity apart";
    ++counts[sample.split];
  }
  return counts;
}

demand::SplitPlan plan_of(double validation, double test, std::vector<int> folds = {}) {
  demand::SplitPlan plan;
  plan.validation = validation;
  plan.test = test;
  plan.test_folds = std::move(folds);
  return plan;
}

TEST(IdentitySplit, NoIdentityIsInTwoSplitsAndSharesAreKept) {
  std::vector<int> pictures;
  for (int i = 0; i < 400; ++i) pictures.push_back(i % 7 == 0 ? 9 : 1 + i % 3);
  Manifest manifest = people(pictures);
  ASSERT_TRUE(assign_identity_splits(manifest, plan_of(0.1, 0.2), 7).ok());
  const auto counts = counted(manifest);
  const double all = static_cast<double>(manifest.samples.size());
  EXPECT_NEAR(counts.at(Split::test) / all, 0.2, 0.01);
  EXPECT_NEAR(counts.at(Split::validation) / all, 0.08, 0.01);

  Manifest shuffled = people(pictures);
  std::reverse(shuffled.samples.begin(), shuffled.samples.end());
  ASSERT_TRUE(assign_identity_splits(shuffled, plan_of(0.1, 0.2), 7).ok());
  EXPECT_EQ(splits_of(shuffled), splits_of(manifest));
  ASSERT_TRUE(assign_identity_splits(shuffled, plan_of(0.1, 0.2), 8).ok());
  EXPECT_NE(splits_of(shuffled), splits_of(manifest));
}

TEST(IdentitySplit, OneThatIsTooLargeStaysInTrain) {
  Manifest manifest = people({50, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2});
  for (int seed = 0; seed < 20; ++seed) {
    ASSERT_TRUE(assign_identity_splits(manifest, plan_of(0.01, 0.2), seed).ok());
    EXPECT_EQ(manifest.samples[0].split, Split::train) << "50 of 70 pictures are no fifth";
  }
}

TEST(IdentitySplit, TrainingNeverSeesWhomATestedFoldShows) {
  Manifest manifest = people({3, 2, 2, 2, 1, 1, 4, 2});
  const auto place = [&](int label, int picture) {
    return std::ranges::find_if(manifest.samples,
                                [&](const Sample& s) { return s.path == fmt::format("person {}/{}.jpg", label, picture); }) -
           manifest.samples.begin();
  };
  // Fold 1 shows 0 and 4, fold 2 shows 1, fold 3 shows 0 again (a file that does not keep its folds apart) and 2.
  manifest.pairs = {
      {place(0, 0), place(0, 1), 1}, {place(0, 0), place(4, 0), 1}, {place(1, 0), place(1, 1), 2}, {place(0, 2), place(2, 0), 3}};
  ASSERT_TRUE(assign_identity_splits(manifest, plan_of(0.1, 0.2, {1}), 1).ok());
  counted(manifest);
  for (const Sample& sample : manifest.samples) {
    const bool tested = sample.label == 0 || sample.label == 4;
    EXPECT_EQ(sample.split == Split::test, tested) << sample.path;
  }
  ASSERT_TRUE(assign_identity_splits(manifest, plan_of(0.1, 0.2, {1, 3}), 1).ok());
  EXPECT_EQ(manifest.samples[static_cast<std::size_t>(place(2, 1))].split, Split::test) << "all pictures of 2, also those in no pair";
  EXPECT_THAT(assign_identity_splits(manifest, plan_of(0.1, 0.2, {4}), 1).error().message, HasSubstr("no pair is of fold 4"));
  manifest.pairs.clear();
  EXPECT_THAT(assign_identity_splits(manifest, plan_of(0.1, 0.2, {1}), 1).error().message, HasSubstr("data.pairs"));
}

TEST(IdentitySplit, GivenSplitsStayAndMustNotShareAnIdentity) {
  Manifest manifest = people({2, 2, 2, 2, 2, 2});
  manifest.given_test = true;
  for (const std::size_t i : {0U, 1U, 2U, 3U}) manifest.samples[i].split = Split::test;
  ASSERT_TRUE(assign_identity_splits(manifest, plan_of(0.25, 0.2), 1).ok());
  const auto counts = counted(manifest);
  EXPECT_EQ(counts.at(Split::test), 4);
  EXPECT_EQ(counts.at(Split::validation), 2);
  manifest.samples[3].split = Split::train;
  const auto status = assign_identity_splits(manifest, plan_of(0.25, 0.2), 1);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("1 identity in two of the given splits: \"person 1\" (test and train)"));
}

TEST(IdentitySplit, SaysWhenThereIsNothingToCompareOrToLearn) {
  Manifest singles = people({1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  EXPECT_THAT(assign_identity_splits(singles, plan_of(0.1, 0.3), 1).error().message, HasSubstr("nothing to compare in the test split"));
  Manifest two = people({2, 2, 2});
  two.given_test = true;
  for (const std::size_t i : {0U, 1U, 2U, 3U}) two.samples[i].split = Split::test;
  EXPECT_THAT(assign_identity_splits(two, plan_of(0.1, 0.3), 1).error().message, HasSubstr("1 identity left to train on"));
}

}  // namespace
}  // namespace sightline::dataset
