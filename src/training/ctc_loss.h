// What a line that is read wrongly costs: minus the logarithm of the probability of its text over all ways through the columns (Graves et
// al. 2006; tasks/ctc.h computes the same without gradients).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <vector>

namespace sightline::training {

// logits N×T×(K+1), the blank last; the text of each of the N pictures as symbols 0 to K-1, which must fit into T columns
// (tasks::least_columns). A scalar: the mean over the pictures.
torch::Tensor ctc_loss(const torch::Tensor& logits, std::span<const std::vector<std::int32_t>> texts);

}  // namespace sightline::training
