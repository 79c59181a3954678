// Operators that choose by rank: NonMaxSuppression. They have no gradient; a detector's graph holds one, and is trained before it.
#include <algorithm>
#include <vector>

#include "autograd/operators.h"

namespace sightline::autograd {
namespace {

// Rows of boxes as edges in order.
torch::Tensor edges_of(const torch::Tensor& boxes, bool centred) {
  const torch::Tensor first = boxes.narrow(-1, 0, 2), second = boxes.narrow(-1, 2, 2);
  if (centred) return at::cat({first - second / 2, first + second / 2}, -1);
  return at::cat({at::minimum(first, second), at::maximum(first, second)}, -1);
}

// Intersection over union of one box with each row.
torch::Tensor overlaps(const torch::Tensor& box, const torch::Tensor& rows) {
  const torch::Tensor shared =
      (at::minimum(box.narrow(0, 2, 2), rows.narrow(1, 2, 2)) - at::maximum(box.narrow(0, 0, 2), rows.narrow(1, 0, 2)))
          .clamp_min(0)
          .prod(1);
  const auto area = [](const torch::Tensor& edges) { return (edges.narrow(-1, 2, 2) - edges.narrow(-1, 0, 2)).prod(-1); };
  return at::where(shared > 0, shared / (area(box) + area(rows) - shared), at::zeros_like(shared));
}

// Places of the boxes that are kept, best first.
torch::Tensor suppress(const torch::Tensor& edges, const torch::Tensor& scores, std::int64_t most, double overlap, const double* least) {
  torch::Tensor order = std::get<1>(scores.sort(/*stable=*/true, 0, /*descending=*/true));
  const torch::Tensor sorted = scores.index_select(0, order);
  order = order.masked_select(least != nullptr ? sorted > *least : sorted.eq(sorted));  // what is no number is not chosen
  std::vector<std::int64_t> kept;
  while (order.numel() > 0 && static_cast<std::int64_t>(kept.size()) < most) {
    kept.push_back(order[0].item<std::int64_t>());
    order = order.slice(0, 1);
    order = order.masked_select(overlaps(edges[kept.back()], edges.index_select(0, order)) <= overlap);
  }
  return torch::tensor(kept, torch::kLong);
}

}  // namespace

// As many rows as there can be; those that hold nothing are -1, as the runtime has it.
Result<Kernel> compile_non_max_suppression(const Site& site) {
  const bool centred = site.node.integer("center_point_box", 0) != 0;
  SIGHTLINE_TRY(const std::optional<double> most, site.scalar(2, "number of boxes per class"));
  SIGHTLINE_TRY(const std::optional<double> overlap, site.scalar(3, "overlap"));
  SIGHTLINE_TRY(const std::optional<double> least, site.scalar(4, "score"));
  const auto boxes_at = static_cast<std::size_t>(site.in(0)), scores_at = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::NoGradGuard no_gradient;
    const torch::Tensor edges = edges_of(frame.slots[boxes_at].to(torch::kFloat), centred),
                        scores = frame.slots[scores_at].to(torch::kFloat);
    std::vector<torch::Tensor> rows{torch::empty({0, 3}, torch::kLong)};
    for (std::int64_t image = 0; image < scores.size(0); ++image)
      for (std::int64_t which = 0; which < scores.size(1); ++which) {
        const torch::Tensor kept = suppress(edges[image], scores[image][which], static_cast<std::int64_t>(most.value_or(0)),
                                            overlap.value_or(0), least ? &*least : nullptr);
        rows.push_back(at::stack({at::full_like(kept, image), at::full_like(kept, which), kept}, 1));
      }
    const torch::Tensor chosen = at::cat(rows);
    const std::int64_t slots = scores.size(0) * scores.size(1) * std::min(scores.size(2), static_cast<std::int64_t>(most.value_or(0)));
    frame.slots[y] = at::cat({chosen, torch::full({slots - chosen.size(0), 3}, -1, torch::kLong)});
  });
}

}  // namespace sightline::autograd
