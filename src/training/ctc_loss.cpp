#include "training/ctc_loss.h"

namespace sightline::training {

torch::Tensor ctc_loss(const torch::Tensor& logits, std::span<const std::vector<std::int32_t>> texts) {
  const std::int64_t columns = logits.size(1), blank = logits.size(2) - 1;
  std::vector<std::int64_t> symbols, lengths;
  for (const std::vector<std::int32_t>& text : texts) {
    symbols.insert(symbols.end(), text.begin(), text.end());
    lengths.push_back(static_cast<std::int64_t>(text.size()));
  }
  const torch::Tensor targets = torch::tensor(symbols, torch::kLong);
  const std::vector<std::int64_t> widths(texts.size(), columns);
  const torch::Tensor logarithms = torch::log_softmax(logits.to(torch::kFloat), 2).transpose(0, 1);  // T×N×(K+1)
  return torch::ctc_loss(logarithms, targets, widths, lengths, blank, at::Reduction::Sum) / static_cast<double>(texts.size());
}

}  // namespace sightline::training
