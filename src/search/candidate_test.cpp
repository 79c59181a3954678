#include "search/candidate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace sightline::search {
namespace {

const Material everything{.backbones = {{"eyes", {64, 48}}, {"foreign", {224}}},
                          .nets = {{"resnet-s", {32}}, {"resnet-xs", {32}}},
                          .augmentations = {"light", "none"}};

TEST(Candidates, TheDefaultIsTheFirstAndHeadsComeBeforeTraining) {
  const std::vector<Candidate> all = candidates_of(everything);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(describe(all[0]), "eyes frozen at 64 pixels, head chosen");
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) { return a.approach < b.approach; }));
  // 3 inputs × 6 heads, 3 inputs × 2 depths × 3 rates × 2 augmentations, 2 nets × 3 rates × 2 augmentations
  EXPECT_EQ(all.size(), 18U + 36U + 12U);
  std::set<std::string> names;
  for (const Candidate& each : all) names.insert(describe(each));
  EXPECT_EQ(names.size(), all.size()) << "two have the same description";
}

TEST(Candidates, WhatDiffersInFewerSettingsIsTriedEarlier) {
  const std::vector<Candidate> all = candidates_of(everything);
  const auto tuned = std::find_if(all.begin(), all.end(), [](const Candidate& each) { return each.approach == Approach::tuned; });
  EXPECT_EQ(describe(*tuned), "eyes tuned at 64 pixels (whole, rate × 1, augmentation light)");
  const auto place = [&](const std::string& name) {
    return std::find_if(all.begin(), all.end(), [&](const Candidate& each) { return describe(each) == name; }) - all.begin();
  };
  EXPECT_LT(place("foreign frozen at 224 pixels, head chosen"), place("foreign frozen at 224 pixels, head ridge"));
  EXPECT_LT(place("resnet-s from scratch at 32 pixels (rate × 3, augmentation light)"),
            place("resnet-s from scratch at 32 pixels (rate × 3, augmentation none)"));
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
