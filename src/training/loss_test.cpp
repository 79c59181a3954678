#include "training/loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sightline::training {
namespace {

using modules::Loss;

// One class with 8 samples, one with 2, one with none; the last sample is not trained on.
const std::vector<std::int32_t> labels{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2};
const std::vector<std::int64_t> chosen{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

std::vector<float> weights(Loss loss) {
  const torch::Tensor tensor = class_weights(loss, labels, chosen, 3);
  return {tensor.data_ptr<float>(), tensor.data_ptr<float>() + tensor.numel()};
}

TEST(Loss, WeighsClassesAsItSays) {
  EXPECT_FALSE(class_weights(Loss::cross_entropy, labels, chosen, 3).defined());
  EXPECT_FALSE(class_weights(Loss::focal, labels, chosen, 3).defined());
  const std::vector<float> balanced = weights(Loss::balanced_cross_entropy);
  EXPECT_FLOAT_EQ(balanced[1] / balanced[0], 4);
  EXPECT_EQ(balanced[2], 0);
  EXPECT_FLOAT_EQ((8 * balanced[0] + 2 * balanced[1]) / 10, 1);  // the learning rate means what it means without weights
  const std::vector<float> effective = weights(Loss::class_balanced);
  EXPECT_NEAR(effective[1] / effective[0], (1 - std::pow(0.999, 8)) / (1 - std::pow(0.999, 2)), 1e-4);
  EXPECT_FLOAT_EQ((8 * effective[0] + 2 * effective[1]) / 10, 1);
}

TEST(Loss, OfTwoSamplesByHand) {
  const torch::Tensor logits = torch::tensor({{2.0F, 0.0F, 0.0F}, {0.0F, 1.0F, 0.0F}});
  const torch::Tensor wanted = torch::tensor({std::int64_t{0}, std::int64_t{2}});
  const double first = -std::log(std::exp(2.0) / (std::exp(2.0) + 2)), second = -std::log(1 / (std::exp(1.0) + 2));
  EXPECT_NEAR(classification_loss(Loss::cross_entropy, logits, wanted, {}, 0).item<double>(), (first + second) / 2, 1e-6);
  const double hard = std::pow(1 - std::exp(-first), 2) * first, harder = std::pow(1 - std::exp(-second), 2) * second;
  EXPECT_NEAR(classification_loss(Loss::focal, logits, wanted, {}, 0).item<double>(), (hard + harder) / 2, 1e-6);
  const torch::Tensor weighing = torch::tensor({3.0F, 1.0F, 1.0F});
  EXPECT_NEAR(classification_loss(Loss::balanced_cross_entropy, logits, wanted, weighing, 0).item<double>(), (3 * first + second) / 4,
              1e-6);
}

TEST(Loss, FocalHasTheGradientOfItsDifferences) {
  torch::Tensor logits = torch::tensor({{0.3, -0.2, 0.9}, {1.5, 0.1, -0.4}}, torch::kFloat64).requires_grad_();
  const torch::Tensor wanted = torch::tensor({std::int64_t{1}, std::int64_t{0}});
  classification_loss(Loss::focal, logits, wanted, {}, 0.1).backward();
  for (std::int64_t i = 0; i < 2; ++i)
    for (std::int64_t j = 0; j < 3; ++j) {
      const auto at = [&](double shift) {
        torch::NoGradGuard guard;
        torch::Tensor moved = logits.detach().clone();
        moved[i][j] += shift;
        return classification_loss(Loss::focal, moved, wanted, {}, 0.1).item<double>();
      };
      EXPECT_NEAR(logits.grad()[i][j].item<double>(), (at(1e-5) - at(-1e-5)) / 2e-5, 1e-7);
    }
}

}  // namespace
}  // namespace sightline::training
