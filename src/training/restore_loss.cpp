#include "training/restore_loss.h"

namespace sightline::training {

torch::Tensor charbonnier_loss(const torch::Tensor& picture, const torch::Tensor& wanted) {
  const torch::Tensor difference = picture - wanted;
  return (difference * difference + smoothness * smoothness).sqrt().mean() - smoothness;
}

torch::Tensor deviation_loss(const torch::Tensor& picture, const torch::Tensor& log_variance, const torch::Tensor& wanted) {
  const torch::Tensor difference = picture.detach() - wanted;
  const torch::Tensor squared = (difference * difference).mean(1, true);
  return (0.5 * (log_variance + squared * (-log_variance).exp())).mean();
}

}  // namespace sightline::training
