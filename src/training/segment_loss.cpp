#include "training/segment_loss.h"

#include "annotation/annotation.h"

namespace sightline::training {

torch::Tensor dice_loss(const torch::Tensor& probabilities, const torch::Tensor& targets) {
  return 1 - (2 * (probabilities * targets).sum() + 1) / (probabilities.sum() + targets.sum() + 1);
}

torch::Tensor pixel_loss(const torch::Tensor& logits, const torch::Tensor& masks) {
  const torch::Tensor judged = masks.ne(annotation::unjudged_pixel).to(torch::kFloat);  // N×H×W
  const torch::Tensor classes = masks.masked_fill(masks.eq(annotation::unjudged_pixel), 0).to(torch::kLong);
  const torch::Tensor log_probabilities = torch::log_softmax(logits, 1);
  const torch::Tensor right = log_probabilities.gather(1, classes.unsqueeze(1)).squeeze(1);
  torch::Tensor loss = -(right * judged).sum() / judged.sum().clamp_min(1);
  const torch::Tensor probabilities = log_probabilities.exp();
  torch::Tensor dice = torch::zeros({}, logits.options());
  int present = 0;
  for (std::int64_t k = 1; k < logits.size(1); ++k) {
    const torch::Tensor target = classes.eq(k).to(torch::kFloat);
    if (target.sum().item<float>() == 0) continue;
    dice = dice + dice_loss(probabilities.select(1, k) * judged, target);
    ++present;
  }
  return present > 0 ? loss + dice / present : loss;
}

torch::Tensor instance_loss(const torch::Tensor& logits, const torch::Tensor& targets, const torch::Tensor& masks) {
  const torch::Tensor judged = masks.ne(annotation::unjudged_pixel).to(torch::kFloat);
  const torch::Tensor objects = judged * masks.ne(0).to(torch::kFloat);
  const torch::Tensor border = logits.select(1, 0), wanted_border = targets.select(1, 0) * judged;
  const torch::Tensor each = torch::binary_cross_entropy_with_logits(border, wanted_border, {}, {}, at::Reduction::None) * judged;
  const torch::Tensor border_loss = each.sum() / judged.sum().clamp_min(1) + dice_loss(torch::sigmoid(border) * judged, wanted_border);
  const torch::Tensor apart = torch::sigmoid(logits.select(1, 1)) - targets.select(1, 1);
  const torch::Tensor depth_loss = (apart * apart * objects).sum() / objects.sum().clamp_min(1);
  return border_weight * border_loss + depth_weight * depth_loss;
}

}  // namespace sightline::training
