#include "evaluation/learning_curve.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"

namespace sightline::evaluation {
namespace {

using testing::HasSubstr;

constexpr double sizes[] = {5, 8, 12, 20, 32, 50};

std::vector<CurvePoint> exact(const CurveShape& truth) {
  std::vector<CurvePoint> points;
  for (const double n : sizes) points.push_back({n, std::vector<double>(5, truth.error_at(n)), 2000});
  return points;
}

// Each repeat errs on `judged` samples; the same offset for all sizes, as they are judged on the same data.
std::vector<CurvePoint> noisy(const CurveShape& truth, double judged, Random random) {
  std::vector<CurvePoint> points;
  const double offset = random.normal();
  for (const double n : sizes) {
    CurvePoint point{n, {}, judged};
    const double error = truth.error_at(n), deviation = std::sqrt(error * (1 - error) / judged);
    for (int repeat = 0; repeat < 6; ++repeat)
      point.errors.push_back(std::clamp(error + deviation * (0.7 * offset + 0.7 * random.normal()), 0.0, 1.0));
    points.push_back(point);
  }
  return points;
}

// The error at a hundred times what was trained on, beyond which nothing counts as reachable.
double curve_floor(const LearningCurve& curve) { return curve.best.error_at(100 * curve.largest); }

TEST(LearningCurve, RecoversAKnownCurve) {
  const CurveShape truth{0.04, 0.9, 0.55};
  const auto curve = fit_learning_curve(exact(truth));
  ASSERT_TRUE(curve.ok());
  for (const double n : {10.0, 50.0, 200.0}) EXPECT_NEAR(curve->best.error_at(n), truth.error_at(n), 0.006) << n;
  const double wanted = truth.samples_for(0.1);
  EXPECT_NEAR(curve->best.samples_for(0.1), wanted, 0.1 * wanted);
  const SamplesNeeded needed = samples_needed(*curve, 0.1, 50, "of \"cat\"");
  EXPECT_TRUE(needed.reachable);
  EXPECT_FALSE(needed.reached);
  EXPECT_NEAR(needed.more, wanted - 50, 0.15 * wanted);
  EXPECT_LT(needed.interval.low, needed.more);
  EXPECT_GT(needed.interval.high, needed.more);
  EXPECT_THAT(needed.sentence, HasSubstr("more images of \"cat\" would be needed (between"));
}

TEST(LearningCurve, KnowsWhenATargetIsReachedOrNeverIs) {
  const auto flat = fit_learning_curve(exact({0.2, 0.5, 1.0}));
  ASSERT_TRUE(flat.ok());
  const SamplesNeeded never = samples_needed(*flat, 0.05, 50, "of each class");
  EXPECT_FALSE(never.reachable);
  EXPECT_THAT(never.sentence, HasSubstr("is not reached by more images of this kind"));
  EXPECT_LT(never.likelihood, 0.05);
  // A floor just above the target: the curve says no, its draws are not so sure.
  const auto close = fit_learning_curve(noisy({0.2, 0.5, 0.8}, 100, Random(4)));
  ASSERT_TRUE(close.ok());
  const SamplesNeeded doubtful = samples_needed(*close, curve_floor(*close) - 0.01, 50, "of each class");
  EXPECT_FALSE(doubtful.reachable);
  EXPECT_GT(doubtful.likelihood, 0.1);
  EXPECT_THAT(doubtful.sentence, HasSubstr("probably not reached"));
  const SamplesNeeded already = samples_needed(*flat, 0.3, 50, "of each class");
  EXPECT_TRUE(already.reached);
  EXPECT_EQ(already.more, 0);
  EXPECT_THAT(already.sentence, HasSubstr("enough for this target"));
}

TEST(LearningCurve, AConstantErrorAndARisingOneAreFlat) {
  for (const double rise : {0.0, 0.002}) {
    std::vector<CurvePoint> points;
    for (const double n : sizes) points.push_back({n, {0.3 + rise * n}, 200});
    const auto curve = fit_learning_curve(points);
    ASSERT_TRUE(curve.ok());
    EXPECT_NEAR(curve->best.error_at(1000), 0.3, 0.1);
    EXPECT_FALSE(samples_needed(*curve, 0.1, 50, "of each class").reachable);
  }
}

TEST(LearningCurve, ItsIntervalHoldsTheTruthAsOftenAsItSays) {
  // 90% intervals of the number of images, curves of several shapes seen through noise; a target some way beyond the data.
  int held = 0, all = 0, lost = 0;
  for (const CurveShape& truth : {CurveShape{0, 0.9, 0.5}, CurveShape{0.05, 1.0, 0.7}, CurveShape{0.02, 0.6, 0.35}}) {
    for (int trial = 0; trial < 60; ++trial) {
      const auto curve = fit_learning_curve(noisy(truth, 300, Random(9, static_cast<std::uint64_t>(trial))), {.draws = 200});
      ASSERT_TRUE(curve.ok());
      const double wanted = 150, target = truth.error_at(wanted);
      const SamplesNeeded needed = samples_needed(*curve, target, 50, "of each class");
      ++all;
      held += needed.interval.low <= wanted - 50 && wanted - 50 <= needed.interval.high ? 1 : 0;
      lost += needed.reachable || needed.reached ? 0 : 1;
    }
  }
  EXPECT_GT(held, 0.85 * all);
  EXPECT_LT(lost, 0.25 * all) << "targets that are reachable called unreachable";
}

TEST(LearningCurve, IsDeterministicAndRefusesTooLittle) {
  const auto points = noisy({0.05, 1.0, 0.5}, 100, Random(1));
  const auto one = fit_learning_curve(points), two = fit_learning_curve(points);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(one->draws[17].scale, two->draws[17].scale);
  const std::vector<CurvePoint> twice{points[0], points[1], points[1]};
  EXPECT_EQ(fit_learning_curve(twice).error().kind, ErrorKind::usage);
  const std::vector<CurvePoint> wrong{points[0], points[1], {30, {1.5}, 10}};
  EXPECT_EQ(fit_learning_curve(wrong).error().kind, ErrorKind::usage);
  const std::vector<CurvePoint> empty{points[0], points[1], {30, {}, 10}};
  EXPECT_EQ(fit_learning_curve(empty).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::evaluation
