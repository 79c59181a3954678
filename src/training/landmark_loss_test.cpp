#include "training/landmark_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sightline::training {
namespace {

torch::Tensor places_of(const std::vector<float>& values, std::int64_t points) { return torch::tensor(values).reshape({-1, points, 3}); }

TEST(LandmarkLoss, TaughtMapsAreGaussiansThatSumToOne) {
  const auto maps = taught_maps(places_of({2.5, 1.5, 2, 0.2F, 3.9F, 1, 1, 1, 0}, 3), 4, 5);
  ASSERT_EQ(maps.sizes(), at::IntArrayRef({1, 3, 4, 5}));
  EXPECT_NEAR(maps[0][0].sum().item<double>(), 1, 1e-6);
  EXPECT_NEAR(maps[0][1].sum().item<double>(), 1, 1e-6);  // at the corner
  EXPECT_EQ(maps[0][2].sum().item<double>(), 0);          // nothing is said of it
  double total = 0;
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 5; ++x) total += std::exp(-(std::pow(x + 0.5 - 2.5, 2) + std::pow(y + 0.5 - 1.5, 2)) / 2);
  EXPECT_NEAR(maps[0][0][2][4].item<double>(), std::exp(-(4.0 + 1.0) / 2) / total, 1e-6);
}

TEST(LandmarkLoss, IsNothingWhereTheAnswerIsTheTarget) {
  const auto places = places_of({2.3F, 1.1F, 2, 1, 3, 1, 0, 0, 0}, 3);
  const auto taught = taught_maps(places, 4, 5);
  const auto logits = torch::log(taught.clamp_min(1e-30)) + 3;  // a softmax does not mind what is added
  EXPECT_NEAR(landmark_loss(logits, places).item<double>(), 0, 1e-5);
  // Of even answers: the mean over the known points of Σ t ln(t · cells).
  double expected = 0;
  for (int k = 0; k < 2; ++k)
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 5; ++x) {
        const double t = taught[0][k][y][x].item<double>();
        expected += t * std::log(t * 20) / 2;
      }
  EXPECT_NEAR(landmark_loss(torch::zeros({1, 3, 4, 5}), places).item<double>(), expected, 1e-5);
  EXPECT_EQ(landmark_loss(torch::randn({1, 1, 4, 5}), places_of({1, 1, 0}, 1)).item<double>(), 0);
}

TEST(LandmarkLoss, GradientsAreThoseOfFiniteDifferences) {
  torch::manual_seed(3);
  const auto places = places_of({2.3F, 1.1F, 2, 1, 3, 1, 0, 0, 0, 4, 2, 2}, 2);
  auto logits = torch::randn({2, 2, 4, 5}, torch::kDouble).requires_grad_(true);
  landmark_loss(logits, places).backward();
  const torch::NoGradGuard no_gradient;
  constexpr double step = 1e-4;
  for (const std::int64_t at : {0, 7, 33, 52, 79}) {
    auto moved = logits.detach().clone();
    moved.flatten()[at] += step;
    const double up = landmark_loss(moved, places).item<double>();
    moved.flatten()[at] -= 2 * step;
    EXPECT_NEAR((up - landmark_loss(moved, places).item<double>()) / (2 * step), logits.grad().flatten()[at].item<double>(), 1e-5) << at;
  }
}

}  // namespace
}  // namespace sightline::training
