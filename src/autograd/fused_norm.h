// Batch normalisation, an optional shortcut and an optional ReLU in one operation of two passes over memory each way, where LibTorch's
// separate ones take nine: on a processor these passes, not the convolutions, are half of the time of a small net.
#pragma once

#include <torch/torch.h>

namespace sightline::autograd {

struct NormOptions {
  double momentum = 0.1;  // share of the batch in the running statistics
  double epsilon = 1e-5;
  bool rectify = false;  // ReLU at the end
};

// True when fused_norm takes this input: f32 N×C×H×W, dense, channels last.
bool fits_fused_norm(const torch::Tensor& x);

// y = relu(scale · (x - mean) / sqrt(variance + epsilon) + bias + shortcut), with the mean and biased variance of the batch per channel.
// shortcut: undefined, or of x's shape. The running statistics are updated as at::batch_norm does. Same result as the separate operations
// but for rounding; the same bits for the same number of threads.
torch::Tensor fused_norm(const torch::Tensor& x, const torch::Tensor& scale, const torch::Tensor& bias, torch::Tensor running_mean,
                         torch::Tensor running_variance, const torch::Tensor& shortcut, const NormOptions& options);

}  // namespace sightline::autograd
