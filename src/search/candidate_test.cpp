#include "search/candidate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace sightline::search {
namespace {

const Material everything{.backbones = {{"eyes", {64, 48}, {"f32", "bf16"}}, {"foreign", {224}}},
                          .nets = {{"resnet-s", {32}}, {"resnet-xs", {32}}},
                          .augmentations = {"light", "none"}};

std::ptrdiff_t place_of(const std::vector<Candidate>& all, const std::string& name) {
  return std::find_if(all.begin(), all.end(), [&](const Candidate& each) { return describe(each) == name; }) - all.begin();
}

TEST(Candidates, TheDefaultIsTheFirstAndNoTwoAreTheSame) {
  const std::vector<Candidate> all = candidates_of(everything);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(describe(all[0]), "eyes frozen at 64 pixels, head chosen");
  EXPECT_EQ(describe(all[1]), "foreign frozen at 224 pixels, head chosen") << "every backbone as usual before unusual settings";
  std::set<std::string> names;
  for (const Candidate& each : all) names.insert(describe(each));
  EXPECT_EQ(names.size(), all.size()) << "two have the same description";
  // Frozen: 2 sides × 6 heads × 2 precisions less 5 with three unusual settings, and 6. Tuned: 24 less those with three (11) or four
  // (2), and 12 less 2. From scratch: 2 nets × 3 rates × 2 augmentations.
  const auto count = [&](Approach approach) { return std::ranges::count(all, approach, &Candidate::approach); };
  EXPECT_EQ(count(Approach::frozen), 19 + 6);
  EXPECT_EQ(count(Approach::scratch), 12);
  EXPECT_EQ(place_of(all, "eyes frozen at 48 pixels, head ridge, in bf16"), static_cast<std::ptrdiff_t>(all.size()));
}

TEST(Candidates, WhatDiffersInFewerSettingsIsTriedEarlierAndWhatIsTrainedLater) {
  const std::vector<Candidate> all = candidates_of(everything);
  const auto trained = std::find_if(all.begin(), all.end(), [](const Candidate& each) { return each.approach != Approach::frozen; });
  EXPECT_EQ(describe(*trained), "eyes tuned at 64 pixels (whole, rate × 1, augmentation light)");
  EXPECT_LT(place_of(all, "foreign frozen at 224 pixels, head chosen"), place_of(all, "foreign frozen at 224 pixels, head ridge"));
  EXPECT_LT(place_of(all, "eyes frozen at 48 pixels, head chosen, in bf16"), trained - all.begin());
  EXPECT_LT(place_of(all, "resnet-s from scratch at 32 pixels (rate × 3, augmentation light)"),
            place_of(all, "resnet-s from scratch at 32 pixels (rate × 3, augmentation none)"));
}

TEST(Candidates, HeadsReadAllCutsTooAndWhatIsTunedTheUsualOne) {
  const std::vector<Candidate> all =
      candidates_of({.backbones = {{.name = "eyes", .sides = {64}, .cuts = {"last", "all"}}}, .augmentations = {"none"}});
  EXPECT_LT(place_of(all, "eyes frozen at 64 pixels, head chosen on all cuts"), static_cast<std::ptrdiff_t>(all.size()));
  for (const Candidate& each : all) {
    if (each.approach == Approach::tuned) {
      EXPECT_EQ(each.cut, "last");
    }
  }
}

TEST(Candidates, OnlyWhatThereIs) {
  Material material = everything;
  material.trains = false;
  for (const Candidate& each : candidates_of(material)) EXPECT_EQ(each.approach, Approach::frozen);
  material = everything;
  material.backbones.clear();
  EXPECT_EQ(describe(candidates_of(material).at(0)), "resnet-s from scratch at 32 pixels (rate × 1, augmentation light)");
  EXPECT_TRUE(candidates_of({}).empty());
}

}  // namespace
}  // namespace sightline::search
