#include "training/landmark_loss.h"

namespace sightline::training {

torch::Tensor taught_maps(const torch::Tensor& places, std::int64_t rows, std::int64_t columns) {
  const auto along = [&](std::int64_t cells, std::int64_t axis) {  // N×K×cells
    const torch::Tensor centres = torch::arange(cells, torch::kFloat) + 0.5;
    const torch::Tensor away = centres - places.select(2, axis).unsqueeze(2);
    return (away * away / (-2 * taught_deviation * taught_deviation)).exp();
  };
  const torch::Tensor maps = along(rows, 1).unsqueeze(3) * along(columns, 0).unsqueeze(2);  // N×K×h×w
  constexpr double nothing = 1e-12;
  const torch::Tensor known = places.select(2, 2).ne(0).to(torch::kFloat).unsqueeze(2).unsqueeze(3);
  return maps / maps.sum({2, 3}, true).clamp_min(nothing) * known;
}

torch::Tensor landmark_loss(const torch::Tensor& logits, const torch::Tensor& places) {
  const torch::Tensor taught = taught_maps(places, logits.size(2), logits.size(3)).flatten(2);
  const torch::Tensor said = logits.flatten(2).log_softmax(2);
  const torch::Tensor apart = torch::xlogy(taught, taught).sum() - (taught * said).sum();
  return apart / places.select(2, 2).ne(0).sum().clamp_min(1);
}

}  // namespace sightline::training
