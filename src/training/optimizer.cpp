#include "training/optimizer.h"

#include <cmath>

namespace sightline::training {

FlatOptimizer::FlatOptimizer(const OptimizerOptions& options, const torch::Tensor& decay, const torch::Tensor& rate)
    : options_(options), decay_(decay * options.weight_decay), rate_(rate) {
  memory_.push_back(torch::zeros_like(decay));
  if (options.kind == modules::Optimizer::adamw) memory_.push_back(torch::zeros_like(decay));
}

void FlatOptimizer::step(torch::Tensor& parameters, torch::Tensor& gradients, double learning_rate, std::int64_t step) {
  torch::NoGradGuard no_gradient;
  if (options_.kind == modules::Optimizer::sgd) {
    torch::Tensor& velocity = memory_[0];
    gradients.addcmul_(parameters, decay_);
    velocity.mul_(options_.momentum).add_(gradients);
    gradients.add_(velocity, options_.momentum);
    if (rate_.defined()) gradients.mul_(rate_);
    parameters.add_(gradients, -learning_rate);
    return;
  }
  const double beta1 = options_.momentum;
  constexpr double beta2 = 0.999;
  constexpr double epsilon = 1e-8;
  const auto count = static_cast<double>(step + 1);
  parameters.addcmul_(parameters, rate_.defined() ? decay_ * rate_ : decay_, -learning_rate);
  memory_[0].mul_(beta1).add_(gradients, 1 - beta1);
  memory_[1].mul_(beta2).addcmul_(gradients, gradients, 1 - beta2);
  torch::Tensor deviation = memory_[1].sqrt().mul_(1 / std::sqrt(1 - std::pow(beta2, count))).add_(epsilon);
  if (rate_.defined()) deviation.div_(rate_.clamp_min(1e-30));  // a rate of 0 leaves a step of nothing
  parameters.addcdiv_(memory_[0], deviation, -learning_rate / (1 - std::pow(beta1, count)));
}

double clip_norm(torch::Tensor& gradients, double most) {
  torch::NoGradGuard no_gradient;
  const double norm = gradients.norm().item<double>();
  if (norm > most) gradients.mul_(most / (norm + 1e-6));
  return norm;
}

}  // namespace sightline::training
