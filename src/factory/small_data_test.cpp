#include "factory/small_data.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "evaluation/conformal.h"
#include "evaluation/cross_validation.h"
#include "evaluation/thresholds.h"
#include "heads/clouds_for_test.h"

namespace sightline::factory {
namespace {

using testing::HasSubstr;

TEST(SmallData, LabelErrorsLeadTheRankingOfTheChosenHead) {
  heads::Clouds clouds = heads::make_clouds(300, 40, 4, 1.5, 9);
  dataset::Manifest manifest;
  manifest.classes = {"a", "b", "c", "d"};
  std::vector<std::int64_t> rows;
  std::vector<bool> flipped(300);
  for (std::size_t i = 0; i < 300; ++i) {
    if (i % 12 == 5) {
      clouds.labels[i] = (clouds.labels[i] + 1 + static_cast<int>(i) % 3) % 4;
      flipped[i] = true;
    }
    dataset::Sample sample;
    sample.label = clouds.labels[i];
    manifest.samples.push_back(sample);
    rows.push_back(static_cast<std::int64_t>(i));
  }
  const auto choice = heads::choose_head(clouds.features, clouds.labels, {}, 4);
  ASSERT_TRUE(choice.ok());
  const std::vector<dataset::Suspect> suspects = suspects_of(manifest, rows, *choice);
  ASSERT_EQ(suspects.size(), 300U);
  int found = 0, likely = 0;
  for (std::size_t i = 0; i < 25; ++i) found += flipped[static_cast<std::size_t>(suspects[i].sample)] ? 1 : 0;
  for (const dataset::Suspect& suspect : suspects) likely += suspect.likely ? 1 : 0;
  EXPECT_GE(found, 23) << "of 25 in the first 25";
  EXPECT_NEAR(likely, 25, 8);
}

TEST(SmallData, SaysHowManyImagesAreMissing) {
  // One class overlaps another more than the rest do.
  heads::Clouds clouds = heads::make_clouds(240, 80, 3, 3.5, 3);
  const std::vector<std::string> classes{"bolt", "nut", "washer"};
  const auto needed = images_needed(clouds.features, clouds.labels, {}, classes, 0.97, 1);
  ASSERT_TRUE(needed.ok()) << needed.error().message;
  ASSERT_EQ(needed->sentences.size(), needed->classes.size() + 1);
  EXPECT_FALSE(needed->overall.reached);
  EXPECT_THAT(needed->sentences[0], HasSubstr("of each class"));
  // What it takes, found by really drawing more of the same clouds.
  if (needed->overall.reachable) {
    EXPECT_GT(needed->overall.more, 10);
    EXPECT_LT(needed->overall.interval.low, needed->overall.interval.high);
  }
  const auto easy = images_needed(clouds.features, clouds.labels, {}, classes, 0.5, 1);
  ASSERT_TRUE(easy.ok());
  EXPECT_TRUE(easy->overall.reached);
  EXPECT_TRUE(easy->classes.empty());
  EXPECT_EQ(images_needed(clouds.features, clouds.labels, {}, classes, 1, 1).error().kind, ErrorKind::usage);
}

TEST(SmallData, TooFewImagesGiveNoCurve) {
  const heads::Clouds tiny{Tensor::of<float>({4, 1}, {0, 1, 5, 6}), {0, 0, 1, 1}};
  const auto needed = images_needed(tiny.features, tiny.labels, {}, {"a", "b"}, 0.9, 1);
  ASSERT_FALSE(needed.ok());
  EXPECT_EQ(needed.error().kind, ErrorKind::unsupported);
}

TEST(SmallData, OneChoiceFeedsIntervalsThresholdsAndSets) {
  const heads::Clouds all = heads::make_clouds(3120, 50, 3, 3.0, 12);
  const Tensor train = all.features.rows(0, 120), others = all.features.rows(120, 3120);
  const std::vector<std::int32_t> labels(all.labels.begin(), all.labels.begin() + 120), wanted(all.labels.begin() + 120, all.labels.end());
  const auto choice = heads::choose_head(train, labels, {}, 3);
  ASSERT_TRUE(choice.ok());
  const auto estimate = evaluation::cross_validated(choice->scores, labels);
  ASSERT_TRUE(estimate.ok());
  const double truth = heads::accuracy(heads::scores_of(choice->head, others), wanted);
  EXPECT_LE(estimate->accuracy.interval.low, truth);
  EXPECT_GE(estimate->accuracy.interval.high, truth);
  EXPECT_TRUE(estimate->balanced_accuracy.excludes_chance);

  const Tensor out_of_fold = heads::out_of_fold_of(*choice), probabilities = heads::probabilities_of(choice->head, others);
  const auto conformal = evaluation::calibrate_conformal(out_of_fold, labels, 0.9);
  ASSERT_TRUE(conformal.ok());
  double covered = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto set = package::prediction_set(*conformal, probabilities.values<float>().subspan(i * 3, 3));
    covered += std::ranges::count(set, wanted[i]) > 0 ? 1 / static_cast<double>(wanted.size()) : 0;
  }
  EXPECT_GT(covered, 0.86);  // one calibration set of 120 strays by 0.03
  const auto thresholds = evaluation::choose_thresholds(out_of_fold, labels);
  ASSERT_TRUE(thresholds.ok());
  for (const evaluation::ClassThreshold& each : *thresholds) EXPECT_GT(each.f1, 0.5);
}

}  // namespace
}  // namespace sightline::factory
