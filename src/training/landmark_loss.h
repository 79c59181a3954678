// What a landmarker is taught (modules/landmarker.h), and what a wrong answer costs.
#pragma once

#include <torch/torch.h>

namespace sightline::training {

// Spread of the maps that are taught, in cells: as sharp as a cell allows, and wide enough that a place between cells shows.
inline constexpr double taught_deviation = 1.0;

// places f32 N×K×3: x, y in cells (the centre of the first one is 0.5) and whether they are known (not 0). f32 N×K×h×w: of each known place
// a Gaussian of that spread around it, cut at the edges, that sums to 1; zeros of others.
torch::Tensor taught_maps(const torch::Tensor& places, std::int64_t rows, std::int64_t columns);

// logits f32 N×K×h×w; mean over the known places of how far the softmax over all cells is from the taught map (Kullback-Leibler), a scalar;
// 0 where they are equal, or none is known.
torch::Tensor landmark_loss(const torch::Tensor& logits, const torch::Tensor& places);

}  // namespace sightline::training
