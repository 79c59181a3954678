// BatchNormalization (opset 15) and Dropout (opset 13).
#include <fmt/format.h>

#include <array>

#include "autograd/fused_norm.h"
#include "autograd/operators.h"

namespace sightline::autograd {

// Inputs x N×C×…, scale C, bias C, running mean C, running variance C. Training: batch statistics with the biased variance normalise,
// and running = (1 - momentum) running + momentum batch, with the unbiased variance (Ioffe and Szegedy 2015, algorithm 2).
Result<Kernel> compile_batch_normalization(const Site& site) {
  for (std::size_t i = 1; i < site.outputs.size(); ++i)
    if (site.outputs[i] >= 0) return site.unsupported("outputs beside the first (they are the engine's own running statistics)");
  std::array<std::size_t, 5> slots{};
  for (std::size_t i = 0; i < 5; ++i) slots[i] = static_cast<std::size_t>(site.in(i));
  const auto y = static_cast<std::size_t>(site.out());
  const double epsilon = site.node.real("epsilon", 1e-5F);
  const double momentum = site.batch_norm_momentum;
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor>& s = frame.slots;
    if (frame.training && fits_fused_norm(s[slots[0]])) {
      s[y] = fused_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], {}, {.momentum = momentum, .epsilon = epsilon});
      return;
    }
    s[y] = at::batch_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], frame.training, momentum, epsilon, false);
  });
}

// Inputs as BatchNormalization, then the shortcut.
Result<Kernel> compile_fused_norm(const Site& site) {
  std::array<std::size_t, 5> slots{};
  for (std::size_t i = 0; i < 5; ++i) slots[i] = static_cast<std::size_t>(site.in(i));
  const int shortcut = site.in(5);
  const auto y = static_cast<std::size_t>(site.out());
  const NormOptions options{.momentum = site.batch_norm_momentum,
                            .epsilon = static_cast<double>(site.node.real("epsilon", 1e-5F)),
                            .rectify = site.node.integer("rectify", 0) != 0};
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor>& s = frame.slots;
    const torch::Tensor addend = shortcut < 0 ? torch::Tensor() : s[static_cast<std::size_t>(shortcut)];
    if (frame.training && fits_fused_norm(s[slots[0]])) {
      s[y] = fused_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], addend, options);
      return;
    }
    torch::Tensor value = at::batch_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], frame.training, options.momentum,
                                         options.epsilon, false);
    if (addend.defined()) value = value.add_(addend);
    s[y] = options.rectify ? value.relu_() : value;
  });
}

Result<Kernel> compile_dropout(const Site& site) {
  if (site.outputs.size() > 1 && site.outputs[1] >= 0) return site.unsupported("the second output (mask)");
  SIGHTLINE_TRY(const std::optional<double> given, site.scalar(1, "ratio"));
  const double ratio = given ? *given : static_cast<double>(site.node.real("ratio", 0.5F));
  if (!(ratio >= 0 && ratio < 1)) return site.invalid(fmt::format("ratio {} is outside [0, 1)", ratio));
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    if (!frame.training || ratio == 0) {
      frame.slots[y] = input;
      return;
    }
    const torch::Tensor mask = at::empty_like(input, input.options().requires_grad(false)).bernoulli_(1 - ratio, *frame.dropout_generator);
    frame.slots[y] = input * mask.mul_(1 / (1 - ratio));
  });
}

}  // namespace sightline::autograd
