#include "dataset/audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/random.h"
#include "dataset/duplicates.h"

namespace sightline::dataset {
namespace {

Sample make_sample(std::size_t id, int label) {
  Random random(41, id);
  Sample sample;
  sample.path = "image" + std::to_string(id) + ".png";
  sample.digest = sha256_of(sample.path);
  sample.label = label;
  sample.width = 96;
  sample.height = 64;
  sample.channels = 3;
  sample.perceptual_hash = random.next();
  sample.mean = random.uniform(40, 200);
  sample.deviation = random.uniform(20, 80);
  sample.sharpness = sample.deviation * sample.deviation * random.uniform(0.2, 0.4);
  return sample;
}

Manifest make_manifest(std::size_t count, std::size_t classes) {
  Manifest manifest;
  for (std::size_t k = 0; k < classes; ++k) manifest.classes.push_back("class" + std::to_string(k));
  for (std::size_t i = 0; i < count; ++i) manifest.samples.push_back(make_sample(i, static_cast<int>(i % classes)));
  return manifest;
}

std::vector<Finding> of_kind(const Audit& audit, const std::string& kind) {
  std::vector<Finding> out;
  std::copy_if(audit.findings.begin(), audit.findings.end(), std::back_inserter(out), [&](const Finding& f) { return f.kind == kind; });
  return out;
}

// What re-encoding and resizing do to the record of a picture.
Sample altered_copy(const Sample& original, std::size_t id, int width) {
  Sample copy = original;
  copy.path = "copy" + std::to_string(id) + ".jpg";
  copy.digest = sha256_of(copy.path);
  copy.perceptual_hash ^= 0x8000000000000400ULL;
  copy.mean += 0.4;
  copy.deviation *= width == original.width ? 0.995 : 0.95;
  copy.height = original.height * width / original.width;
  copy.width = width;
  return copy;
}

TEST(Audit, AcceptsACleanSet) {
  const Audit result = audit(make_manifest(2000, 4));
  for (const Finding& finding : result.findings) ADD_FAILURE() << finding.kind << ": " << finding.sentence;
  for (const FindingKind& kind : finding_kinds()) {
    if (std::string(kind.name) == "label_error") continue;
    EXPECT_EQ(result.counts.at(kind.name), 0) << kind.name;
  }
}

TEST(Audit, FindsExactAndNearDuplicatesConflictsAndLeaks) {
  Manifest manifest = make_manifest(1000, 4);
  for (std::size_t i = 800; i < 1000; ++i) manifest.samples[i].split = Split::test;
  Sample same = manifest.samples[0];
  same.path = "same.png";
  manifest.samples.push_back(same);  // 1000: equal bytes, same label, same split
  manifest.samples.push_back(altered_copy(manifest.samples[1], 1, 96));
  manifest.samples.back().label = 3;  // 1001: re-encoded, label conflict
  manifest.samples.push_back(altered_copy(manifest.samples[900], 2, 48));
  manifest.samples.back().split = Split::train;  // 1002: resized test picture in train
  Sample leaked = manifest.samples[901];
  leaked.path = "leaked.png";
  leaked.split = Split::validation;
  manifest.samples.push_back(leaked);  // 1003: equal bytes in test and validation

  const Audit result = audit(manifest);
  const auto exact = of_kind(result, "exact_duplicate");
  ASSERT_EQ(exact.size(), 2);
  const auto near = of_kind(result, "near_duplicate");
  ASSERT_EQ(near.size(), 2);
  const auto conflicts = of_kind(result, "conflicting_labels");
  ASSERT_EQ(conflicts.size(), 1);
  EXPECT_EQ(conflicts[0].samples, (std::vector<std::int64_t>{1, 1001}));
  EXPECT_NE(conflicts[0].sentence.find("class3"), std::string::npos);
  const auto leaks = of_kind(result, "leak");
  ASSERT_EQ(leaks.size(), 2);
  EXPECT_EQ(leaks[0].samples, (std::vector<std::int64_t>{901, 1003}));
  EXPECT_EQ(leaks[1].samples, (std::vector<std::int64_t>{900, 1002}));
  EXPECT_NE(leaks[1].sentence.find("image900.png is in test, copy2.jpg is in train"), std::string::npos) << leaks[1].sentence;
  EXPECT_EQ(result.counts.at("leak"), 4);
  EXPECT_EQ(result.findings.front().kind, "leak");
}

TEST(Audit, FindsBlankBlurredTinyAndOddPictures) {
  Manifest manifest = make_manifest(500, 2);
  manifest.samples[3].deviation = 0.5;
  manifest.samples[3].sharpness = 0;
  manifest.samples[4].sharpness /= 200;
  manifest.samples[5].width = 12;
  manifest.samples[5].height = 9;
  manifest.samples[6].width = 6;
  manifest.samples[7].height = 20;
  const Audit result = audit(manifest);
  const auto only = [&](const char* kind, std::vector<std::int64_t> wanted) {
    std::vector<std::int64_t> got;
    for (const Finding& finding : of_kind(result, kind)) got.insert(got.end(), finding.samples.begin(), finding.samples.end());
    EXPECT_EQ(got, wanted) << kind;
  };
  only("blank", {3});
  only("blurred", {4});
  only("tiny", {6, 5});
  only("odd_size", {7});
}

TEST(Audit, FindsImbalance) {
  Manifest manifest = make_manifest(300, 2);
  manifest.classes = {"many", "few", "none"};
  for (std::size_t i = 0; i < 300; ++i) manifest.samples[i].label = i < 290 ? 0 : 1;
  const auto findings = of_kind(audit(manifest), "imbalance");
  ASSERT_EQ(findings.size(), 2);
  EXPECT_NE(findings[0].sentence.find("\"none\""), std::string::npos);
  EXPECT_NE(findings[1].sentence.find("\"few\""), std::string::npos);
  EXPECT_EQ(findings[1].samples.size(), 10);
}

TEST(Audit, BearsStrangeManifests) {
  EXPECT_TRUE(audit(Manifest{}).findings.empty());
  Manifest manifest;
  manifest.samples.resize(50);  // no digest, no size, no classes, label 0 without a name
  EXPECT_EQ(audit(manifest).counts.at("exact_duplicate"), 0);
  for (Sample& sample : manifest.samples) {
    sample.label = -7;
    sample.mean = sample.deviation = sample.sharpness = std::nan("");
  }
  EXPECT_EQ(audit(manifest).counts.at("near_duplicate"), 0);
}

// A set of few-detail pictures whose hashes crowd together, as in Fashion-MNIST: 12 free bits only, so nearly all hashes are near another.
Manifest crowded_manifest(std::size_t count) {
  Manifest manifest = make_manifest(count, 10);
  for (std::size_t i = 0; i < count; ++i) {
    Random random(8, i);
    std::uint64_t hash = 0x0123456789abcdefULL;
    for (int bit = 0; bit < 12; ++bit) hash ^= random.below(2) << (bit * 5);
    manifest.samples[i].perceptual_hash = hash;
  }
  return manifest;
}

TEST(Duplicates, CrowdedHashesAreNoDuplicatesAndSwallowNoClass) {
  Manifest manifest = crowded_manifest(6000);
  const DuplicateClusters reported = clusters_to_report(manifest);
  EXPECT_LT(reported.members.size(), 30);
  for (const auto& members : clusters_to_keep_together(manifest).members) EXPECT_LE(members.size(), 6000 / 10 / 5);
  // Real copies in the crowd are still told by their equal statistics, as long as they are many.
  for (std::size_t i = 0; i < 200; ++i) {
    Sample copy = manifest.samples[i];
    copy.path = "copy" + std::to_string(i);
    copy.digest = sha256_of(copy.path);
    copy.mean += 0.02;
    manifest.samples.push_back(copy);
  }
  const DuplicateClusters found = clusters_to_report(manifest);
  std::size_t together = 0;
  for (std::size_t i = 0; i < 200; ++i) together += found.cluster_of[i] >= 0 && found.cluster_of[i] == found.cluster_of[6000 + i] ? 1 : 0;
  EXPECT_EQ(together, 200);
  EXPECT_LT(found.members.size(), 280);
}

TEST(Duplicates, AgreesWithComparingAllPairs) {
  Manifest manifest = make_manifest(1500, 3);
  Random random(17);
  for (std::size_t i = 500; i < 1500; ++i) {  // copies of copies, with up to five bits changed
    const Sample original = manifest.samples[random.below(i)];
    Sample& sample = manifest.samples[i];
    sample.perceptual_hash = original.perceptual_hash;
    for (std::uint64_t k = random.below(6); k > 0; --k) sample.perceptual_hash ^= 1ULL << random.below(64);
    sample.mean = original.mean;
    sample.deviation = original.deviation;
    sample.sharpness = original.sharpness;
  }
  std::vector<std::size_t> cluster(1500);
  for (std::size_t i = 0; i < 1500; ++i) cluster[i] = i;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < 1500; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const Sample &a = manifest.samples[i], &b = manifest.samples[j];
        if (cluster[i] == cluster[j] || std::popcount(a.perceptual_hash ^ b.perceptual_hash) > 4 || a.mean != b.mean) continue;
        cluster[i] = cluster[j] = std::min(cluster[i], cluster[j]);
        changed = true;
      }
    }
  }
  const DuplicateClusters found = clusters_to_report(manifest);
  for (std::size_t i = 0; i < 1500; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool together = found.cluster_of[i] >= 0 && found.cluster_of[i] == found.cluster_of[j];
      ASSERT_EQ(together, cluster[i] == cluster[j]) << i << " " << j;
    }
  }
}

TEST(Duplicates, StaysAffordableWhenAllPicturesLookAlike) {
  Manifest manifest = make_manifest(20000, 10);
  for (Sample& sample : manifest.samples) {
    sample.perceptual_hash = 12345;
    sample.mean = 100;
    sample.deviation = 40;
    sample.sharpness = 300;
  }
  const auto begin = std::chrono::steady_clock::now();
  const Audit result = audit(manifest);
  const DuplicateClusters kept = clusters_to_keep_together(manifest);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(of_kind(result, "near_duplicate").size(), 1);
  std::printf("20,000 look-alikes: %.2f s\n", seconds);
  EXPECT_LT(seconds, 60);  // generous: the machine may be busy
}

TEST(Audit, SeventyThousandSamplesInAboutASecond) {
  for (const Manifest& manifest : {make_manifest(70000, 10), crowded_manifest(70000)}) {
    const auto begin = std::chrono::steady_clock::now();
    const Audit result = audit(manifest);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("audit of 70,000 samples: %.2f s, %zu findings\n", seconds, result.findings.size());
    EXPECT_LT(seconds, 20);  // generous: the machine may be busy
  }
}

TEST(LabelErrors, RanksBySelfConfidenceAndCountsConfidentOnes) {
  Manifest manifest = make_manifest(6, 2);  // labels 0 1 0 1 0 1
  const Tensor probabilities = Tensor::of<float>({6, 2}, {0.9F, 0.1F, 0.2F, 0.8F, 0.05F, 0.95F, 0.4F, 0.6F, 0.8F, 0.2F, 0.55F, 0.45F});
  const auto ranking = rank_label_errors(manifest, {0, 1, 2, 3, 4, 5}, probabilities);
  ASSERT_EQ(ranking.size(), 6);
  EXPECT_EQ(ranking[0].sample, 2);
  EXPECT_EQ(ranking[0].given, 0);
  EXPECT_EQ(ranking[0].suggested, 1);
  EXPECT_NEAR(ranking[0].score, 1 - 0.05 / ((0.9 + 0.05 + 0.8) / 3), 1e-6);
  EXPECT_TRUE(ranking[0].likely);
  EXPECT_EQ(ranking[1].sample, 5);
  EXPECT_FALSE(ranking[1].likely);  // 0.55 is below the threshold of class 0, (0.9 + 0.05 + 0.8) / 3 = 0.583
  EXPECT_EQ(ranking.back().sample, 0);
  const auto findings = label_error_findings(manifest, ranking, 10);
  ASSERT_EQ(findings.size(), 1);
  EXPECT_EQ(findings[0].samples, std::vector<std::int64_t>{2});
  EXPECT_TRUE(label_error_findings(manifest, ranking, 0).empty());
}

TEST(LabelErrors, UsesTheGivenRowsAndPutsBrokenProbabilitiesLast) {
  Manifest manifest = make_manifest(6, 2);
  const float nan = std::nanf("");
  const auto ranking = rank_label_errors(manifest, {5, 2, 0}, Tensor::of<float>({3, 2}, {0.3F, 0.7F, nan, nan, 0.6F, 0.4F}));
  ASSERT_EQ(ranking.size(), 3);
  EXPECT_EQ(ranking[0].sample, 0);
  EXPECT_EQ(ranking[1].sample, 5);
  EXPECT_EQ(ranking[2].sample, 2);
  EXPECT_FALSE(ranking[2].likely);
  EXPECT_TRUE(rank_label_errors(manifest, {}, Tensor(Dtype::f32, {0, 2})).empty());
}

}  // namespace
}  // namespace sightline::dataset
