#include "autograd/fused_norm.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>

namespace sightline::autograd {
namespace {

struct Setting {
  bool shortcut, rectify;
};

class FusedNorm : public testing::TestWithParam<Setting> {};

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>() / std::max(1e-3, b.abs().max().item<double>());
}

// Large enough for several threads; a mean far from zero, where sums of squares would cancel.
TEST_P(FusedNorm, EqualsTheSeparateOperations) {
  torch::manual_seed(4);
  const Setting setting = GetParam();
  const auto last = torch::MemoryFormat::ChannelsLast;
  const auto leaf = [](const torch::Tensor& values) { return values.clone(values.suggest_memory_format()).set_requires_grad(true); };
  const torch::Tensor x = (torch::randn({9, 24, 31, 17}) * 2 + 300).contiguous(last);
  const torch::Tensor addend = torch::randn({9, 24, 31, 17}).contiguous(last);
  const torch::Tensor scale = torch::rand({24}) - 0.3;  // of both signs
  const torch::Tensor bias = torch::randn({24});
  // Nothing hangs on values so close to 0 that rounding, which differs with the number of threads, decides whether ReLU lets them pass.
  torch::Tensor passed =
      at::batch_norm(x.to(torch::kDouble), scale.to(torch::kDouble), bias.to(torch::kDouble), {}, {}, true, 0.2, 1e-4, false);
  if (setting.shortcut) passed = passed + addend;
  const torch::Tensor direction = torch::randn({9, 24, 31, 17}) * (passed.abs() > 1e-3);

  const auto run = [&](bool fused) {
    torch::Tensor inputs[] = {leaf(x), leaf(scale), leaf(bias), leaf(addend)};
    torch::Tensor mean = torch::full({24}, 7.0F);
    torch::Tensor variance = torch::full({24}, 3.0F);
    torch::Tensor y;
    if (fused) {
      y = fused_norm(inputs[0], inputs[1], inputs[2], mean, variance, setting.shortcut ? inputs[3] : torch::Tensor(),
                     {.momentum = 0.2, .epsilon = 1e-4, .rectify = setting.rectify});
    } else {
      // In double precision, as the truth.
      torch::Tensor wide_mean = mean.to(torch::kDouble);
      torch::Tensor wide_variance = variance.to(torch::kDouble);
      y = at::batch_norm(inputs[0].to(torch::kDouble), inputs[1].to(torch::kDouble), inputs[2].to(torch::kDouble), wide_mean, wide_variance,
                         true, 0.2, 1e-4, false);
      if (setting.shortcut) y = y + inputs[3];
      if (setting.rectify) y = y.relu();
      mean = wide_mean.to(torch::kFloat);
      variance = wide_variance.to(torch::kFloat);
    }
    (y * direction).sum().backward();
    std::vector<torch::Tensor> all{y.detach().to(torch::kFloat), mean, variance};
    for (int i = 0; i < (setting.shortcut ? 4 : 3); ++i) all.push_back(inputs[i].grad());
    return all;
  };
  const auto ours = run(true);
  const auto truth = run(false);
  for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_LT(difference(ours[i], truth[i]), 2e-4) << "tensor " << i;
  const auto again = run(true);
  for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(ours[i].equal(again[i])) << "tensor " << i;
}

INSTANTIATE_TEST_SUITE_P(All, FusedNorm,
                         testing::Values(Setting{false, false}, Setting{false, true}, Setting{true, false}, Setting{true, true}),
                         [](const auto& each) {
                           return std::string(each.param.shortcut ? "shortcut" : "plain") + (each.param.rectify ? "_relu" : "");
                         });

TEST(FusedNormFits, OnlyDenseChannelsLastPictures) {
  EXPECT_TRUE(fits_fused_norm(torch::zeros({2, 3, 4, 5}).contiguous(torch::MemoryFormat::ChannelsLast)));
  EXPECT_FALSE(fits_fused_norm(torch::zeros({2, 3, 4, 5})));
  EXPECT_FALSE(fits_fused_norm(torch::zeros({2, 3})));
  EXPECT_FALSE(fits_fused_norm(torch::zeros({2, 3, 4, 5}, torch::kDouble).contiguous(torch::MemoryFormat::ChannelsLast)));
}

// at::parallel_for is a template: compiled without OpenMP it runs on one thread and says nothing.
TEST(Threads, LoopsOfOurOwnUseAllOfThem) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::atomic<int> parts = 0;
  at::parallel_for(0, 2, 1, [&](std::int64_t first, std::int64_t last) { parts += last - first == 1 ? 1 : 0; });
  at::set_num_threads(before);
  EXPECT_EQ(parts, 2);
}

}  // namespace
}  // namespace sightline::autograd
