// Steps over flat buffers: SGD with Nesterov momentum (Sutskever et al. 2013) and AdamW (Loshchilov and Hutter 2019).
#pragma once

#include <torch/torch.h>

#include <vector>

#include "modules/training_spec.h"

namespace sightline::training {

struct OptimizerOptions {
  modules::Optimizer kind = modules::Optimizer::sgd;
  double momentum = 0.9;  // AdamW: the first beta
  double weight_decay = 0;
};

class FlatOptimizer {
 public:
  // decay: 1 where weight decay applies; rate: factor of the learning rate, undefined: 1 everywhere. All buffers are f32 of one length.
  FlatOptimizer(const OptimizerOptions& options, const torch::Tensor& decay, const torch::Tensor& rate = {});

  // Moves parameters; writes over gradients. step counts from 0.
  void step(torch::Tensor& parameters, torch::Tensor& gradients, double learning_rate, std::int64_t step);

  // What it remembers between steps, for checkpoints: one buffer for SGD, two for AdamW.
  std::vector<torch::Tensor>& memory() { return memory_; }

 private:
  OptimizerOptions options_;
  torch::Tensor decay_, rate_;
  std::vector<torch::Tensor> memory_;
};

// Scales gradients down to the norm `most` when theirs is larger. Returns the norm before.
double clip_norm(torch::Tensor& gradients, double most);

}  // namespace sightline::training
