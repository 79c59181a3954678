// What a segmenter is taught (modules/segmenter.h), and what a wrong answer costs. Every loss is 0 where the answer is the target.
//
// Cross-entropy keeps every pixel honest; Dice (Milletari et al. 2016) measures the overlap of each class as a whole, so that a class of
// few pixels counts as much as one of many. Pixels that are not judged (annotation.h: unjudged_pixel) count nowhere.
#pragma once

#include <torch/torch.h>

namespace sightline::training {

// 1 - (2 Σ p·t + 1) / (Σ p + Σ t + 1) over everything in p and t, f32 of one shape. The 1 keeps it smooth where there is next to nothing.
torch::Tensor dice_loss(const torch::Tensor& probabilities, const torch::Tensor& targets);

// logits f32 N×(K+1)×H×W, masks u8 N×H×W. Mean cross-entropy over the judged pixels, plus the mean of dice_loss over the classes (without
// background) that stand in the masks of the batch. A scalar; 0 without judged pixels.
torch::Tensor pixel_loss(const torch::Tensor& logits, const torch::Tensor& masks);

// What the parts of instance_loss weigh.
inline constexpr double border_weight = 1, depth_weight = 4;

// logits f32 N×2×H×W and targets f32 N×2×H×W (border, depth; tasks/instance_maps.h), masks as above. Of the border, mean binary
// cross-entropy over the judged pixels plus dice_loss over them; of the depth, mean squared difference from the sigmoid over the judged
// pixels of objects. A scalar.
torch::Tensor instance_loss(const torch::Tensor& logits, const torch::Tensor& targets, const torch::Tensor& masks);

}  // namespace sightline::training
