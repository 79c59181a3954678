#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "evaluation/evaluation.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;
using testing::Not;

Evaluation measured(double top1, double half_width = 0.005) {
  Evaluation evaluation;
  evaluation.split = "test";
  evaluation.classes = {"boot", "coat"};
  evaluation.figures.count = 10000;
  evaluation.figures.top1 = top1;
  evaluation.intervals["top1"] = {top1 - half_width, top1 + half_width};
  evaluation.latency = {.p50 = 0.4, .p95 = 0.61, .p99 = 0.9, .count = 200, .threads = 2};
  evaluation.size_bytes = 812'000;
  return evaluation;
}

demand::Demand demanding(double at_least) {
  demand::Demand demand;
  demand.target.at_least = at_least;
  return demand;
}

const GateLine& line_of(const Verdict& verdict, const std::string& what) {
  for (const GateLine& line : verdict.lines) {
    if (line.what == what) return line;
  }
  ADD_FAILURE() << "no line about " << what;
  return verdict.lines.front();
}

TEST(Gate, ReleasesWhatReachesItsTarget) {
  const Verdict verdict = gate(demanding(0.925), measured(0.931), std::nullopt);
  EXPECT_TRUE(verdict.release);
  EXPECT_EQ(verdict.sentence, "released: top1 0.9310 (95% interval 0.9260 to 0.9360, 10,000 images) reaches the target 0.9250");
  EXPECT_EQ(line_of(verdict, "release in force").sentence, "no release in force yet");
  EXPECT_EQ(verdict.lines.size(), 2U);
}

TEST(Gate, RefusesWhatMissesItsTargetAndSaysByHowMuch) {
  const Verdict verdict = gate(demanding(0.95), measured(0.931), std::nullopt);
  EXPECT_FALSE(verdict.release);
  EXPECT_THAT(verdict.sentence, HasSubstr("refused: top1 0.9310"));
  EXPECT_THAT(verdict.sentence, HasSubstr("misses the target 0.9500 by 0.0190"));
  EXPECT_THAT(verdict.sentence, Not(HasSubstr("\n")));
}

TEST(Gate, ThePointValueDecidesAndTheIntervalIsNamed) {
  const Verdict exact = gate(demanding(0.931), measured(0.931), std::nullopt);
  EXPECT_TRUE(exact.release);
  EXPECT_THAT(exact.sentence, HasSubstr("though the interval reaches below it"));
  const Verdict below = gate(demanding(0.9310001), measured(0.931), std::nullopt);
  EXPECT_FALSE(below.release);
  EXPECT_THAT(below.sentence, HasSubstr("0.9310000"));  // as many digits as it takes to see why
  EXPECT_THAT(below.sentence, HasSubstr("0.9310001"));
  EXPECT_THAT(below.sentence, HasSubstr("though the interval reaches it"));
}

TEST(Gate, OtherMetricsAndNoTarget) {
  demand::Demand demand = demanding(0.5);
  demand.target.metric = "macro_f1";
  EXPECT_FALSE(gate(demand, measured(0.9), std::nullopt).release);  // macro_f1 is 0 here
  demand.target = {.metric = "top9", .at_least = 0.1};
  EXPECT_THAT(gate(demand, measured(0.9), std::nullopt).sentence, HasSubstr("no metric is called \"top9\""));
  EXPECT_THAT(gate(demanding(0), measured(0.2), std::nullopt).sentence, HasSubstr("the demand sets no target"));
  const Verdict useless = gate(demanding(0), measured(0), std::nullopt);
  EXPECT_FALSE(useless.release);
  EXPECT_THAT(useless.sentence, HasSubstr("never right"));
}

TEST(Gate, LimitsAreKeptOrNamed) {
  demand::Demand demand = demanding(0.9);
  demand.limits.latency_ms = 2;
  demand.limits.size_mb = 1;
  const Verdict kept = gate(demand, measured(0.931), std::nullopt);
  EXPECT_TRUE(kept.release);
  EXPECT_EQ(line_of(kept, "latency").sentence, "latency p95 0.61 ms per image (200 runs, 2 threads) is within the limit 2 ms");
  EXPECT_EQ(line_of(kept, "size").sentence, "size 0.812 MB is within the limit 1 MB");

  demand.limits.latency_ms = 0.6;
  demand.limits.size_mb = 0.8;
  const Verdict broken = gate(demand, measured(0.931), std::nullopt);
  EXPECT_FALSE(broken.release);
  EXPECT_THAT(broken.sentence, HasSubstr("latency p95 0.61 ms per image (200 runs, 2 threads) is above the limit 0.6 ms"));
  EXPECT_THAT(broken.sentence, HasSubstr("; size 0.812 MB is above the limit 0.8 MB"));
}

TEST(Gate, WhatWasNotMeasuredDoesNotPass) {
  demand::Demand demand = demanding(0.9);
  demand.limits.latency_ms = 2;
  demand.limits.size_mb = 1;
  Evaluation evaluation = measured(0.95);
  evaluation.latency = {};
  evaluation.size_bytes = 0;
  const Verdict verdict = gate(demand, evaluation, std::nullopt);
  EXPECT_FALSE(line_of(verdict, "latency").passed);
  EXPECT_FALSE(line_of(verdict, "size").passed);
  evaluation.figures.count = 0;
  EXPECT_THAT(gate(demanding(0.1), evaluation, std::nullopt).sentence, HasSubstr("has no images"));
}

TEST(Gate, ComparesWithTheReleaseInForce) {
  // Half widths of 0.005 on both sides: the difference is noise up to 0.005 * sqrt(2) = 0.0071.
  const auto against = [](double before) { return gate(demanding(0.5), measured(0.931), measured(before)); };
  EXPECT_THAT(line_of(against(0.940), "release in force").sentence,
              HasSubstr("top1 0.9310 against 0.9400 of the release in force: worse by 0.0090, more than the noise (0.0071)"));
  EXPECT_FALSE(against(0.940).release);
  EXPECT_TRUE(against(0.937).release);
  EXPECT_THAT(line_of(against(0.937), "release in force").sentence, HasSubstr("worse by 0.0060, within the noise"));
  EXPECT_THAT(line_of(against(0.930), "release in force").sentence, HasSubstr("better by 0.0010, within the noise"));
  EXPECT_THAT(line_of(against(0.900), "release in force").sentence, HasSubstr("better by 0.0310, more than the noise"));
  EXPECT_THAT(line_of(against(0.931), "release in force").sentence, HasSubstr("equal"));
}

TEST(Gate, OtherClassesAreNotCompared) {
  Evaluation before = measured(0.99);
  before.classes = {"coat", "boot"};  // the order does not matter
  EXPECT_FALSE(gate(demanding(0.5), measured(0.9), before).release);
  before.classes.emplace_back("bag");
  const Verdict verdict = gate(demanding(0.5), measured(0.9), before);
  EXPECT_TRUE(verdict.release);
  EXPECT_THAT(line_of(verdict, "release in force").sentence, HasSubstr("other classes"));
}

}  // namespace
}  // namespace sightline::evaluation
