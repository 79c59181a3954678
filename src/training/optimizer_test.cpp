#include "training/optimizer.h"

#include <gtest/gtest.h>

namespace sightline::training {
namespace {

// The same five steps on a least-squares problem, by LibTorch's own optimiser with two groups (decayed and not) and by the flat one.
template <class MakeReference>
void expect_equal(const OptimizerOptions& options, MakeReference make_reference) {
  torch::manual_seed(3);
  const torch::Tensor matrix = torch::randn({20, 12});
  const torch::Tensor target = torch::randn({20});
  const torch::Tensor start = torch::randn({12});

  torch::Tensor flat = start.clone();
  torch::Tensor decay = torch::cat({torch::ones({8}), torch::zeros({4})});
  FlatOptimizer optimizer(options, decay);

  torch::Tensor decayed = start.narrow(0, 0, 8).clone().set_requires_grad(true);
  torch::Tensor plain = start.narrow(0, 8, 4).clone().set_requires_grad(true);
  auto reference = make_reference(decayed, plain);

  for (int step = 0; step < 5; ++step) {
    torch::Tensor leaf = flat.clone().set_requires_grad(true);
    (matrix.mv(leaf) - target).square().mean().backward();
    torch::Tensor gradient = leaf.grad().clone();
    optimizer.step(flat, gradient, 0.05, step);

    reference->zero_grad();
    (matrix.mv(torch::cat({decayed, plain})) - target).square().mean().backward();
    reference->step();
    EXPECT_LT((flat - torch::cat({decayed, plain})).abs().max().template item<float>(), 1e-6F) << "step " << step;
  }
}

TEST(FlatOptimizer, SgdEqualsLibTorch) {
  expect_equal({.kind = modules::Optimizer::sgd, .momentum = 0.9, .weight_decay = 0.1}, [](torch::Tensor decayed, torch::Tensor plain) {
    using torch::optim::SGDOptions;
    const auto options = [](double decay) {
      return std::make_unique<SGDOptions>(SGDOptions(0.05).momentum(0.9).nesterov(true).weight_decay(decay));
    };
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(std::vector<torch::Tensor>{decayed}, options(0.1));
    groups.emplace_back(std::vector<torch::Tensor>{plain}, options(0));
    return std::make_unique<torch::optim::SGD>(groups, SGDOptions(0.05).momentum(0.9).nesterov(true));
  });
}

TEST(FlatOptimizer, AdamWEqualsLibTorch) {
  expect_equal({.kind = modules::Optimizer::adamw, .momentum = 0.9, .weight_decay = 0.1}, [](torch::Tensor decayed, torch::Tensor plain) {
    using torch::optim::AdamWOptions;
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(std::vector<torch::Tensor>{decayed}, std::make_unique<AdamWOptions>(AdamWOptions(0.05).weight_decay(0.1)));
    groups.emplace_back(std::vector<torch::Tensor>{plain}, std::make_unique<AdamWOptions>(AdamWOptions(0.05).weight_decay(0)));
    return std::make_unique<torch::optim::AdamW>(groups, AdamWOptions(0.05));
  });
}

TEST(ClipNorm, ScalesOnlyWhatIsLonger) {
  torch::Tensor gradients = torch::tensor({3.0F, 4.0F});
  EXPECT_NEAR(clip_norm(gradients, 10), 5, 1e-6);
  EXPECT_FLOAT_EQ(gradients[0].item<float>(), 3);
  EXPECT_NEAR(clip_norm(gradients, 1), 5, 1e-6);
  EXPECT_NEAR(gradients[1].item<float>(), 0.8, 1e-5);
}

}  // namespace
}  // namespace sightline::training
