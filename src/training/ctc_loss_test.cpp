#include "training/ctc_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tasks/ctc.h"

namespace sightline::training {
namespace {

// The logits whose softmax these are.
torch::Tensor logits_of(std::vector<float> probabilities, std::int64_t pictures, std::int64_t columns) {
  const auto width = static_cast<std::int64_t>(probabilities.size()) / (pictures * columns);
  return torch::log(torch::tensor(std::move(probabilities)).view({pictures, columns, width}));
}

TEST(CtcLoss, TwoColumnsByHand) {
  // (A .6, blank .4), (A .5, blank .5): "A" is AA, A-, -A = .8; "" is -- = .2 (tasks/read_test.cpp works the same).
  const torch::Tensor one = logits_of({0.6F, 0.4F, 0.5F, 0.5F}, 1, 2);
  EXPECT_NEAR(ctc_loss(one, std::vector<std::vector<std::int32_t>>{{0}}).item<double>(), -std::log(0.8), 1e-6);
  EXPECT_NEAR(ctc_loss(one, std::vector<std::vector<std::int32_t>>{{}}).item<double>(), -std::log(0.2), 1e-6);
  // The mean over pictures.
  const torch::Tensor both = torch::cat({one, one});
  EXPECT_NEAR(ctc_loss(both, std::vector<std::vector<std::int32_t>>{{0}, {}}).item<double>(), -(std::log(0.8) + std::log(0.2)) / 2, 1e-6);
}

TEST(CtcLoss, IsMinusTheLogarithmThatDecodingKnows) {
  torch::manual_seed(3);
  const torch::Tensor logits = torch::randn({3, 9, 5}) * 2;
  const std::vector<std::vector<std::int32_t>> texts{{0, 0, 3}, {2}, {1, 2, 1, 1}};
  const torch::Tensor columns = torch::softmax(logits, 2).contiguous();
  double expected = 0;
  for (std::size_t n = 0; n < texts.size(); ++n)
    expected -= tasks::log_probability({columns.data_ptr<float>() + n * 45, 45}, 4, texts[n]) / 3;
  EXPECT_NEAR(ctc_loss(logits, texts).item<double>(), expected, 1e-4);
}

TEST(CtcLoss, GradientIsThatOfFiniteDifferences) {
  torch::manual_seed(5);
  torch::Tensor logits = torch::randn({2, 6, 4}).requires_grad_();
  const std::vector<std::vector<std::int32_t>> texts{{0, 1}, {2, 2, 0}};
  ctc_loss(logits, texts).backward();
  const torch::Tensor gradient = logits.grad().contiguous();
  const torch::NoGradGuard no_gradient;
  constexpr float step = 1e-2F;
  for (std::int64_t i = 0; i < logits.numel(); i += 5) {
    torch::Tensor up = logits.detach().clone(), down = up.clone();
    up.view(-1)[i] += step;
    down.view(-1)[i] -= step;
    const double slope = (ctc_loss(up, texts).item<double>() - ctc_loss(down, texts).item<double>()) / (2.0 * step);
    EXPECT_NEAR(gradient.view(-1)[i].item<double>(), slope, 2e-3) << i;
  }
}

}  // namespace
}  // namespace sightline::training
