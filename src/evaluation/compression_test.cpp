// What may be kept of several precisions, and how the loss is judged.
#include "evaluation/compression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// f32 N×2 whose answer is right where `right` says so; labels are all 0.
Tensor answers(const std::vector<bool>& right) {
  Tensor tensor(Dtype::f32, {static_cast<std::int64_t>(right.size()), 2});
  for (std::size_t i = 0; i < right.size(); ++i) {
    tensor.values<float>()[2 * i] = right[i] ? 0.9F : 0.2F;
    tensor.values<float>()[2 * i + 1] = right[i] ? 0.1F : 0.8F;
  }
  return tensor;
}

TEST(PairedLoss, PairsMakeTheIntervalNarrow) {
  constexpr std::size_t n = 4000;
  std::vector<bool> before(n), after(n);
  Random random(1);
  for (std::size_t i = 0; i < n; ++i) after[i] = before[i] = random.uniform() < 0.8;
  // Ten that were right are wrong now, four the other way round.
  std::size_t lost = 0, won = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (before[i] && lost < 10) after[i] = lost++ >= 10;
    if (!before[i] && won < 4) after[i] = won++ < 4;
  }
  const std::vector<std::int32_t> labels(n, 0);
  const auto loss = paired_loss(answers(before), answers(after), labels, "top1");
  ASSERT_TRUE(loss.ok()) << loss.error().message;
  EXPECT_NEAR(loss->points, 100 * 6.0 / n, 1e-9);
  EXPECT_NEAR(loss->reference - loss->candidate, 6.0 / n, 1e-12);
  // Standard error of the mean of 14 differences of ±1 among 4,000.
  const double half = 1.96 * 100 * std::sqrt(14.0 / n / n);
  EXPECT_NEAR(loss->interval.high, loss->points + half, 0.2 * half);
  EXPECT_NEAR(loss->interval.low, loss->points - half, 0.2 * half);
  // Judged apart, the interval would be seven times as wide.
  EXPECT_LT(loss->interval.high - loss->interval.low, 100 * 1.96 * std::sqrt(2 * 0.16 / n));
}

TEST(PairedLoss, TheSameAnswersLoseNothing) {
  const Tensor same = answers({true, false, true, true});
  const std::vector<std::int32_t> labels(4, 0);
  for (const char* metric : {"top1", "top5", "macro_f1"}) {
    const auto loss = paired_loss(same, same, labels, metric);
    ASSERT_TRUE(loss.ok()) << metric;
    EXPECT_EQ(loss->points, 0) << metric;
    EXPECT_EQ(loss->interval.high, 0) << metric;
  }
  EXPECT_EQ(paired_loss(same, same, labels, "log_loss").error().kind, ErrorKind::usage);
  EXPECT_EQ(paired_loss(same, same, labels, "mAP50").error().kind, ErrorKind::usage);
}

Compression tried(const std::string& wanted) {
  Compression compression{.wanted = wanted, .metric = "top1", .tolerance = 0.5, .validation_images = 1000};
  compression.candidates = {
      {.precision = "f32", .metric = 0.9, .latency_ms = 4},
      {.precision = "int8", .metric = 0.899, .loss = 0.1, .interval = {-0.1, 0.3}, .latency_ms = 1.05},
      {.precision = "bf16", .metric = 0.9, .loss = 0, .interval = {-0.1, 0.1}, .latency_ms = 1},
  };
  return compression;
}

std::string kept(Compression compression) {
  decide(compression);
  int count = 0;
  for (const CompressionCandidate& each : compression.candidates) {
    EXPECT_THAT(each.sentence, testing::AnyOf(StartsWith("kept"), StartsWith("not kept"), StartsWith("refused"), StartsWith("replaced")));
    count += each.kept ? 1 : 0;
    if (each.kept) {
      EXPECT_EQ(each.precision, compression.precision);
    }
  }
  EXPECT_EQ(count, 1);
  EXPECT_THAT(compression.sentence, StartsWith("ships " + compression.precision));
  return compression.precision;
}

TEST(Decide, EquallyFastMeansFewerBits) { EXPECT_EQ(kept(tried("auto")), "int8"); }

TEST(Decide, ClearlyFasterWins) {
  Compression compression = tried("auto");
  compression.candidates[1].latency_ms = 2;
  EXPECT_EQ(kept(compression), "bf16");
  compression.candidates[0].latency_ms = 0.5;
  EXPECT_EQ(kept(compression), "f32");
}

TEST(Decide, AnIntervalThatReachesBeyondTheToleranceIsRefused) {
  Compression compression = tried("auto");
  compression.candidates[1].interval.high = 0.51;
  EXPECT_EQ(kept(compression), "bf16");
  decide(compression);
  EXPECT_THAT(compression.candidates[1].sentence, HasSubstr("refused: it loses 0.10 points of top1 on 1,000 validation images"));
  compression.candidates[2].interval.high = 3;
  EXPECT_EQ(kept(compression), "f32");
}

TEST(Decide, AWantedPrecisionIsKeptWhateverItsSpeed) {
  Compression compression = tried("int8");
  compression.candidates.pop_back();
  compression.candidates[1].latency_ms = 40;
  EXPECT_EQ(kept(compression), "int8");
  compression.candidates[1].interval.high = 1;
  EXPECT_EQ(kept(compression), "f32");
}

}  // namespace
}  // namespace sightline::evaluation
