// How far apart the two engines are.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "autograd/executor.h"
#include "tensor/tensor.h"

namespace sightline {

// Largest absolute difference, as a share of the largest absolute value of `b` (at least 1e-3); infinite when the shapes differ.
inline double difference(const Tensor& a, const torch::Tensor& b) {
  const torch::Tensor x = autograd::to_torch(a).to(torch::kDouble);
  const torch::Tensor y = b.detach().to(torch::kDouble);
  if (x.sizes() != y.sizes()) return INFINITY;
  if (x.numel() == 0) return 0;
  return (x - y).abs().max().item<double>() / std::max(1e-3, y.abs().max().item<double>());
}

}  // namespace sightline
