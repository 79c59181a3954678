// Everything that training changes, in a few flat buffers: parameters, gradients, running statistics. The executor's tensors are views
// into them, so that a step of the optimiser, an average, a copy or a checkpoint is a few operations on whole buffers.
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>

#include "autograd/executor.h"

namespace sightline::training {

class FlatState {
 public:
  // Moves the executor's parameters, gradients and statistics (f32) into flat buffers. The executor must outlive it.
  // rates: factors of the learning rate by parameter; those that are not in it have 1.
  // Error unsupported: a learned tensor of another type.
  static Result<FlatState> bind(autograd::Executor& executor, const std::map<std::string, double>& rates = {});

  torch::Tensor parameters, gradients, statistics;  // f32, one dimension
  torch::Tensor decay;                              // 1 where weight decay applies (weights), 0 elsewhere (biases, normalisation, padding)
  torch::Tensor rate;                               // factor of the learning rate; undefined where it is 1 everywhere
  Digest layout;                                    // of names, shapes and places: buffers of equal layout can be exchanged
};

}  // namespace sightline::training
