#include "training/segment_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace sightline::training {
namespace {

torch::Tensor logits_of(const std::vector<float>& values, at::IntArrayRef shape) { return torch::tensor(values).reshape(shape); }

// One picture of two pixels, one class: log-odds ln 3 and 0 for it against background, the first pixel is of it. p = 3/4 and 1/2.
TEST(SegmentLoss, IsWhatTheHandSays) {
  const auto logits = logits_of({0, 0, std::log(3.0F), 0}, {1, 2, 1, 2});
  const auto masks = torch::tensor({1, 0}, torch::kByte).reshape({1, 1, 2});
  const double cross_entropy = (-std::log(0.75) - std::log(0.5)) / 2;
  const double dice = 1 - (2 * 0.75 + 1) / (1.25 + 1 + 1);
  EXPECT_NEAR(pixel_loss(logits, masks).item<double>(), cross_entropy + dice, 1e-6);
  // The second pixel is not judged.
  const auto unjudged = torch::tensor({1, 255}, torch::kByte).reshape({1, 1, 2});
  EXPECT_NEAR(pixel_loss(logits, unjudged).item<double>(), -std::log(0.75) + 1 - (2 * 0.75 + 1) / (0.75 + 1 + 1), 1e-6);
  // No class, no Dice; nothing judged, nothing at all.
  EXPECT_NEAR(pixel_loss(logits, torch::zeros({1, 1, 2}, torch::kByte)).item<double>(), (-std::log(0.25) - std::log(0.5)) / 2, 1e-6);
  EXPECT_EQ(pixel_loss(logits, torch::full({1, 1, 2}, 255, torch::kByte)).item<double>(), 0);
}

// Two pixels of an object, the first on its border; border logits 0 and ln 3, depths as sigmoids 1/2 and 3/4 where 0.25 and 1 are right.
TEST(InstanceLoss, IsWhatTheHandSays) {
  const float three = std::log(3.0F);
  const auto logits = logits_of({0, three, 0, three}, {1, 2, 1, 2}), targets = logits_of({1, 0, 0.25F, 1}, {1, 2, 1, 2});
  const auto masks = torch::ones({1, 1, 2}, torch::kByte);
  const double border = (-std::log(0.5) - std::log(0.25)) / 2 + 1 - (2 * 0.5 + 1) / (1.25 + 1 + 1);
  const double depth = (0.25 * 0.25 + 0.25 * 0.25) / 2;
  EXPECT_NEAR(instance_loss(logits, targets, masks).item<double>(), border_weight * border + depth_weight * depth, 1e-6);
}

struct Drawn {
  torch::Tensor pixels, instances, targets, masks;
};
Drawn drawn() {
  torch::manual_seed(4);
  Drawn one{torch::randn({2, 4, 5, 6}), torch::randn({2, 2, 5, 6}), torch::rand({2, 2, 5, 6}),
            torch::randint(0, 4, {2, 5, 6}, torch::kByte)};
  one.masks.masked_fill_(torch::rand({2, 5, 6}) < 0.2, 255);
  one.masks.masked_fill_(one.masks.eq(2), 1);  // class 2 is not there
  one.targets.select(1, 0).round_();
  return one;
}

// Pixel by pixel, as the header has it.
TEST(SegmentLoss, IsTheLiteralOne) {
  const Drawn one = drawn();
  const auto p = torch::softmax(one.pixels.to(torch::kDouble), 1);
  double cross = 0, judged = 0;
  std::vector<double> both(4), found(4), given(4);
  double border_cross = 0, border_both = 0, border_found = 0, border_given = 0, depth = 0, objects = 0;
  for (int n = 0; n < 2; ++n)
    for (int y = 0; y < 5; ++y)
      for (int x = 0; x < 6; ++x) {
        const auto label = one.masks[n][y][x].item<int>();
        if (label == 255) continue;
        ++judged;
        cross -= std::log(p[n][label][y][x].item<double>());
        for (int k = 1; k < 4; ++k) {
          const auto value = p[n][k][y][x].item<double>();
          found[static_cast<std::size_t>(k)] += value;
          given[static_cast<std::size_t>(k)] += k == label ? 1 : 0;
          both[static_cast<std::size_t>(k)] += k == label ? value : 0;
        }
        const double b = 1 / (1 + std::exp(-one.instances[n][0][y][x].item<double>())),
                     d = 1 / (1 + std::exp(-one.instances[n][1][y][x].item<double>()));
        const auto wanted = one.targets[n][0][y][x].item<double>();
        border_cross -= wanted * std::log(b) + (1 - wanted) * std::log(1 - b);
        border_both += b * wanted;
        border_found += b;
        border_given += wanted;
        if (label == 0) continue;
        ++objects;
        depth += std::pow(d - one.targets[n][1][y][x].item<double>(), 2);
      }
  const auto dice = [](double a, double b, double c) { return 1 - (2 * a + 1) / (b + c + 1); };
  EXPECT_NEAR(pixel_loss(one.pixels, one.masks).item<double>(),
              cross / judged + (dice(both[1], found[1], given[1]) + dice(both[3], found[3], given[3])) / 2, 1e-5);
  EXPECT_NEAR(instance_loss(one.instances, one.targets, one.masks).item<double>(),
              border_weight * (border_cross / judged + dice(border_both, border_found, border_given)) + depth_weight * depth / objects,
              1e-5);
}

void expect_gradient(const torch::Tensor& at, const std::function<torch::Tensor(const torch::Tensor&)>& loss) {
  const auto x = at.to(torch::kDouble).clone().requires_grad_(true);
  loss(x).backward();
  const torch::NoGradGuard none;
  constexpr double step = 1e-5;
  for (const std::int64_t place : {std::int64_t{0}, std::int64_t{17}, std::int64_t{40}, x.numel() - 1}) {
    auto up = x.detach().clone(), down = x.detach().clone();
    up.view(-1)[place] += step;
    down.view(-1)[place] -= step;
    EXPECT_NEAR(x.grad().view(-1)[place].item<double>(), (loss(up).item<double>() - loss(down).item<double>()) / (2 * step), 1e-6) << place;
  }
}

TEST(SegmentLoss, ItsGradientIsThatOfFiniteDifferences) {
  const Drawn one = drawn();
  expect_gradient(one.pixels, [&](const auto& x) { return pixel_loss(x, one.masks); });
  expect_gradient(one.instances, [&](const auto& x) { return instance_loss(x, one.targets.to(torch::kDouble), one.masks); });
}

TEST(SegmentLoss, VanishesWhereTheAnswerIsRight) {
  Drawn one = drawn();
  const auto classes = one.masks.masked_fill(one.masks.eq(255), 0).to(torch::kLong);
  const auto sure = torch::one_hot(classes, 4).permute({0, 3, 1, 2}).to(torch::kFloat) * 40;
  EXPECT_NEAR(pixel_loss(sure, one.masks).item<double>(), 0, 1e-5);
  const auto right = torch::logit(one.targets.clamp(1e-7, 1 - 1e-7));
  EXPECT_NEAR(instance_loss(right, one.targets, one.masks).item<double>(), 0, 1e-4);
}

}  // namespace
}  // namespace sightline::training
