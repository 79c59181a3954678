#include "dataset/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"

namespace sightline::dataset {
namespace {

Sample make_sample(std::size_t id, int label, const std::string& group = "") {
  Random random(99, id);
  Sample sample;
  sample.path = "image" + std::to_string(id) + ".png";
  sample.digest = sha256_of(sample.path);
  sample.label = label;
  sample.group = group;
  sample.width = sample.height = 64;
  sample.channels = 3;
  sample.perceptual_hash = random.next();
  sample.mean = random.uniform(40, 200);
  sample.deviation = random.uniform(20, 80);
  sample.sharpness = random.uniform(200, 400);
  return sample;
}

Manifest make_manifest(const std::vector<int>& class_sizes) {
  Manifest manifest;
  std::size_t id = 0;
  for (std::size_t k = 0; k < class_sizes.size(); ++k) {
    manifest.classes.push_back("class" + std::to_string(k));
    for (int i = 0; i < class_sizes[k]; ++i) manifest.samples.push_back(make_sample(id++, static_cast<int>(k)));
  }
  return manifest;
}

std::map<std::string, Split> splits_by_path(const Manifest& manifest) {
  std::map<std::string, Split> out;
  for (const Sample& sample : manifest.samples) out[sample.path] = sample.split;
  return out;
}

std::array<std::int64_t, 3> count_splits(const Manifest& manifest, int label = -1) {
  std::array<std::int64_t, 3> counts{};
  for (const Sample& sample : manifest.samples) {
    if (label < 0 || sample.label == label) counts[static_cast<std::size_t>(sample.split)]++;
  }
  return counts;
}

constexpr demand::SplitPlan by_group{.validation = 0.1, .test = 0.2, .group_by = demand::GroupBy::folder, .pattern = {}, .column = {}};
constexpr demand::SplitPlan by_likeness{
    .validation = 0.1, .test = 0.2, .group_by = demand::GroupBy::near_duplicates, .pattern = {}, .column = {}};

TEST(Split, GivesTheExactSharesOfEveryClassWithoutGroups) {
  Manifest manifest = make_manifest({1000, 500, 100});
  ASSERT_TRUE(assign_splits(manifest, by_likeness, 7).ok());
  EXPECT_EQ(count_splits(manifest, 0), (std::array<std::int64_t, 3>{720, 80, 200}));
  EXPECT_EQ(count_splits(manifest, 1), (std::array<std::int64_t, 3>{360, 40, 100}));
  EXPECT_EQ(count_splits(manifest, 2), (std::array<std::int64_t, 3>{72, 8, 20}));
}

TEST(Split, DependsOnSeedButNotOnOrder) {
  Manifest manifest = make_manifest({200, 100, 37});
  // Some groups, equal digests and near duplicates for good measure.
  for (std::size_t i = 0; i < 60; ++i) manifest.samples[i].perceptual_hash = manifest.samples[i / 4 * 4].perceptual_hash;
  for (std::size_t i = 0; i < 60; ++i) manifest.samples[i].mean = manifest.samples[i / 4 * 4].mean;
  for (std::size_t i = 0; i < 60; ++i) manifest.samples[i].deviation = manifest.samples[i / 4 * 4].deviation;
  for (std::size_t i = 300; i < 310; ++i) manifest.samples[i].digest = manifest.samples[300].digest;
  Manifest shuffled = manifest, other_seed = manifest;
  Random(5).shuffle(shuffled.samples);
  ASSERT_TRUE(assign_splits(manifest, by_likeness, 7).ok());
  ASSERT_TRUE(assign_splits(shuffled, by_likeness, 7).ok());
  ASSERT_TRUE(assign_splits(other_seed, by_likeness, 8).ok());
  EXPECT_EQ(splits_by_path(manifest), splits_by_path(shuffled));
  EXPECT_NE(splits_by_path(manifest), splits_by_path(other_seed));
  std::map<std::string, std::string> groups, shuffled_groups;
  for (const Sample& sample : manifest.samples) groups[sample.path] = sample.group;
  for (const Sample& sample : shuffled.samples) shuffled_groups[sample.path] = sample.group;
  EXPECT_EQ(groups, shuffled_groups);

  Manifest again = manifest;
  ASSERT_TRUE(assign_splits(again, by_likeness, 7).ok());
  EXPECT_EQ(splits_by_path(again), splits_by_path(manifest));
}

TEST(Split, NeverTearsGroupsAndKeepsSharesForRandomManifests) {
  for (std::uint64_t round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    Random random(round);
    Manifest manifest;
    const std::size_t classes = 2 + random.below(9);
    for (std::size_t k = 0; k < classes; ++k) manifest.classes.push_back("c" + std::to_string(k));
    const std::size_t count = classes * (60 + random.below(200));
    // Groups of 1 to 8 samples, mostly of one class.
    std::size_t id = 0;
    while (id < count) {
      const auto main_label = static_cast<int>(random.below(classes));
      const std::size_t size = 1 + random.below(8);
      const std::string group = size == 1 ? "" : "g" + std::to_string(id);
      for (std::size_t i = 0; i < size; ++i) {
        const int label = random.below(10) == 0 ? static_cast<int>(random.below(classes)) : main_label;
        manifest.samples.push_back(make_sample(id++, label, group));
      }
    }
    const demand::SplitPlan plan{.validation = random.uniform(0.05, 0.3),
                                 .test = random.uniform(0.05, 0.4),
                                 .group_by = demand::GroupBy::column,
                                 .pattern = {},
                                 .column = {}};
    ASSERT_TRUE(assign_splits(manifest, plan, static_cast<std::int64_t>(round)).ok());
    std::map<std::string, Split> of_group;
    for (const Sample& sample : manifest.samples) {
      if (sample.group.empty()) continue;
      const auto [found, fresh] = of_group.try_emplace(sample.group, sample.split);
      EXPECT_EQ(found->second, sample.split) << sample.group;
    }
    for (std::size_t k = 0; k < classes; ++k) {
      const auto counts = count_splits(manifest, static_cast<int>(k));
      const double total = static_cast<double>(counts[0] + counts[1] + counts[2]);
      EXPECT_NEAR(static_cast<double>(counts[2]), plan.test * total, 0.04 * total + 3);
      EXPECT_NEAR(static_cast<double>(counts[1]), plan.validation * (1 - plan.test) * total, 0.04 * total + 3);
    }
  }
}

TEST(Split, ALargeGroupGoesWhereThereIsRoom) {
  Manifest manifest = make_manifest({100, 100});
  for (std::size_t i = 0; i < 60; ++i) manifest.samples[i].group = "one video";
  ASSERT_TRUE(assign_splits(manifest, by_group, 1).ok());
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(manifest.samples[i].split, Split::train);
  EXPECT_EQ(count_splits(manifest, 0), (std::array<std::int64_t, 3>{72, 8, 20}));
}

TEST(Split, KeepsGivenSplits) {
  Manifest manifest = make_manifest({100, 100});
  manifest.given_test = manifest.given_validation = true;
  for (std::size_t i = 0; i < 200; ++i)
    manifest.samples[i].split = i % 4 == 0 ? Split::test : i % 4 == 1 ? Split::validation : Split::train;
  const auto before = splits_by_path(manifest);
  ASSERT_TRUE(assign_splits(manifest, by_likeness, 3).ok());
  EXPECT_EQ(splits_by_path(manifest), before);

  manifest.given_validation = false;  // what is marked validation is then free
  ASSERT_TRUE(assign_splits(manifest, by_likeness, 3).ok());
  for (const auto& [path, split] : before) {
    if (split != Split::test) continue;
    EXPECT_EQ(splits_by_path(manifest)[path], Split::test);
  }
  EXPECT_EQ(count_splits(manifest), (std::array<std::int64_t, 3>{135, 15, 50}));
}

TEST(Split, NearDuplicatesOfGivenTestSamplesStayInTrain) {
  for (std::int64_t seed = 0; seed < 20; ++seed) {
    Manifest manifest = make_manifest({50, 50});
    manifest.given_test = true;
    for (std::size_t i = 0; i < 10; ++i) manifest.samples[i].split = Split::test;
    manifest.samples[20].digest = manifest.samples[0].digest;
    manifest.samples[21].perceptual_hash = manifest.samples[1].perceptual_hash ^ 5;
    manifest.samples[21].mean = manifest.samples[1].mean + 0.5;
    manifest.samples[21].deviation = manifest.samples[1].deviation;
    manifest.samples[21].sharpness = manifest.samples[1].sharpness;
    ASSERT_TRUE(assign_splits(manifest, by_likeness, seed).ok());
    EXPECT_EQ(manifest.samples[20].split, Split::train);
    EXPECT_EQ(manifest.samples[21].split, Split::train);
    EXPECT_EQ(manifest.samples[21].group, manifest.samples[1].group);
    EXPECT_NE(manifest.samples[21].group, "");
    EXPECT_EQ(manifest.samples[0].split, Split::test);
  }
}

TEST(Split, SmallClassesKeepATrainingSample) {
  Manifest manifest = make_manifest({300, 1, 2, 3, 1});
  ASSERT_TRUE(assign_splits(manifest, by_likeness, 4).ok());
  for (int k = 0; k < 5; ++k) EXPECT_GE(count_splits(manifest, k)[0], 1) << k;
  // Many classes of three: each rounds badly, together they give the shares.
  Manifest many = make_manifest(std::vector<int>(200, 3));
  ASSERT_TRUE(assign_splits(many, by_likeness, 4).ok());
  EXPECT_NEAR(static_cast<double>(count_splits(many)[2]), 120, 2);
  EXPECT_NEAR(static_cast<double>(count_splits(many)[1]), 48, 2);
}

TEST(Split, OneImagePerClassIsAnErrorUnlessNoTestIsWanted) {
  Manifest manifest = make_manifest({1, 1, 1});
  const auto before = splits_by_path(manifest);
  const auto status = assign_splits(manifest, by_likeness, 4);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::invalid_data);
  EXPECT_NE(status.error().message.find("test"), std::string::npos);
  EXPECT_EQ(splits_by_path(manifest), before);
  demand::SplitPlan plan = by_likeness;
  plan.test = 0;
  ASSERT_TRUE(assign_splits(manifest, plan, 4).ok());
  EXPECT_EQ(count_splits(manifest), (std::array<std::int64_t, 3>{3, 0, 0}));
}

TEST(Split, TwoOrThreeImagesPerClassStillGiveATest) {
  for (int size : {2, 3}) {
    Manifest manifest = make_manifest({size, size});
    demand::SplitPlan plan = by_likeness;
    plan.test = 0.05;
    ASSERT_TRUE(assign_splits(manifest, plan, 4).ok());
    EXPECT_GE(count_splits(manifest)[2], 1);
    EXPECT_GE(count_splits(manifest)[1], 1);
    for (int k = 0; k < 2; ++k) EXPECT_GE(count_splits(manifest, k)[0], 1);
  }
}

TEST(Split, AClassThatIsOneGroupIsTrained) {
  Manifest manifest = make_manifest({40, 40, 12});
  for (std::size_t i = 80; i < 92; ++i) manifest.samples[i].group = "the only series";
  for (std::int64_t seed = 0; seed < 10; ++seed) {
    ASSERT_TRUE(assign_splits(manifest, by_group, seed).ok());
    EXPECT_EQ(count_splits(manifest, 2)[0], 12);
  }
}

TEST(Split, RefusesWhatCannotBeSplit) {
  Manifest empty = make_manifest({});
  EXPECT_EQ(assign_splits(empty, by_likeness, 1).error().kind, ErrorKind::invalid_data);

  Manifest no_images = make_manifest({5, 0});
  auto status = assign_splits(no_images, by_likeness, 1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("class1"), std::string::npos);

  Manifest only_test = make_manifest({5, 5});
  only_test.given_test = true;
  for (std::size_t i = 5; i < 10; ++i) only_test.samples[i].split = Split::test;
  status = assign_splits(only_test, by_likeness, 1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("class1"), std::string::npos);

  Manifest bad_label = make_manifest({5, 5});
  bad_label.samples[3].label = 2;
  EXPECT_EQ(assign_splits(bad_label, by_likeness, 1).error().kind, ErrorKind::invalid_data);
  bad_label.samples[3].label = -1;
  EXPECT_EQ(assign_splits(bad_label, by_likeness, 1).error().kind, ErrorKind::invalid_data);

  Manifest fine = make_manifest({5, 5});
  demand::SplitPlan plan = by_likeness;
  plan.test = 1;
  EXPECT_EQ(assign_splits(fine, plan, 1).error().kind, ErrorKind::usage);
  plan.test = std::nan("");
  EXPECT_EQ(assign_splits(fine, plan, 1).error().kind, ErrorKind::usage);
}

TEST(Split, OneClassIsSplitLikeAnyOther) {
  Manifest manifest = make_manifest({50});
  ASSERT_TRUE(assign_splits(manifest, by_likeness, 1).ok());
  EXPECT_EQ(count_splits(manifest), (std::array<std::int64_t, 3>{36, 4, 10}));
}

}  // namespace
}  // namespace sightline::dataset
