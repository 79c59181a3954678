// Normalisation over the batch, over each picture, over layers and channels; Dropout.
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
  const bool frozen = site.frozen;
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor>& s = frame.slots;
    const bool batch = frame.training && !frozen;
    if (batch && fits_fused_norm(s[slots[0]])) {
      s[y] = fused_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], {}, {.momentum = momentum, .epsilon = epsilon});
      return;
    }
    s[y] = at::batch_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], batch, momentum, epsilon, false);
  });
}

// Inputs as BatchNormalization, then the shortcut.
Result<Kernel> compile_fused_norm(const Site& site) {
  std::array<std::size_t, 5> slots{};
  for (std::size_t i = 0; i < 5; ++i) slots[i] = static_cast<std::size_t>(site.in(i));
  const int shortcut = site.in(5);
  const auto y = static_cast<std::size_t>(site.out());
  const bool frozen = site.frozen;
  const NormOptions options{.momentum = site.batch_norm_momentum,
                            .epsilon = static_cast<double>(site.node.real("epsilon", 1e-5F)),
                            .rectify = site.node.integer("rectify", 0) != 0};
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor>& s = frame.slots;
    const torch::Tensor addend = shortcut < 0 ? torch::Tensor() : s[static_cast<std::size_t>(shortcut)];
    const bool batch = frame.training && !frozen;
    if (batch && fits_fused_norm(s[slots[0]])) {
      s[y] = fused_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], addend, options);
      return;
    }
    torch::Tensor value =
        at::batch_norm(s[slots[0]], s[slots[1]], s[slots[2]], s[slots[3]], s[slots[4]], batch, options.momentum, options.epsilon, false);
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

// Over the spatial axes of each picture and channel; scale C, bias C.
Result<Kernel> compile_instance_normalization(const Site& site) {
  const double epsilon = site.node.real("epsilon", 1e-5F);
  std::array<std::size_t, 3> slots{};
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<std::size_t>(site.in(i));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor>& s = frame.slots;
    s[y] = at::instance_norm(s[slots[0]], s[slots[1]], s[slots[2]], {}, {}, true, 0, epsilon, false);
  });
}

// Over the axes from `axis` on; scale and bias broadcast to them.
Result<Kernel> compile_layer_normalization(const Site& site) {
  for (std::size_t i = 1; i < site.outputs.size(); ++i)
    if (site.outputs[i] >= 0) return site.unsupported("outputs beside the first (mean and deviation)");
  const auto axis = site.node.integer("axis", -1);
  const double epsilon = site.node.real("epsilon", 1e-5F);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto scale = static_cast<std::size_t>(site.in(1));
  const int bias = site.in(2);
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const torch::Tensor& factor = frame.slots[scale];
    const std::int64_t first = axis < 0 ? axis + input.dim() : axis;
    TORCH_CHECK(first >= 0 && first < input.dim(), "LayerNormalization: axis ", axis, " of a value with ", input.dim(), " axes");
    const torch::IntArrayRef shape = input.sizes().slice(static_cast<std::size_t>(first));
    const torch::Tensor offset = bias < 0 ? torch::Tensor() : frame.slots[static_cast<std::size_t>(bias)];
    const bool whole = factor.sizes() == shape && (!offset.defined() || offset.sizes() == shape);
    if (whole) {
      frame.slots[y] = at::layer_norm(input, shape, factor, offset, epsilon);
      return;
    }
    const torch::Tensor value = at::layer_norm(input, shape, {}, {}, epsilon) * factor;
    frame.slots[y] = offset.defined() ? value + offset : value;
  });
}

Result<Kernel> compile_lp_normalization(const Site& site) {
  const auto axis = site.node.integer("axis", -1);
  const auto p = site.node.integer("p", 2);
  if (p != 1 && p != 2) return site.invalid(fmt::format("p is {}; it must be 1 or 2", p));
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const torch::Tensor norm = at::linalg_vector_norm(input, p, {axis}, true);
    frame.slots[y] = input / at::where(norm == 0, at::ones_like(norm), norm);  // zeros stay zeros
  });
}

// Krizhevsky et al. 2012: over `size` neighbouring channels.
Result<Kernel> compile_local_response_normalization(const Site& site) {
  const auto size = site.node.integer("size", 0);
  if (size < 1) return site.invalid("size must be positive");
  const double alpha = site.node.real("alpha", 1e-4F);
  const double beta = site.node.real("beta", 0.75F);
  const double bias = site.node.real("bias", 1.0F);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    std::vector<std::int64_t> pads(static_cast<std::size_t>(2 * (input.dim() - 1)), 0);  // the channels are the last pair
    pads[pads.size() - 2] = (size - 1) / 2;
    pads[pads.size() - 1] = size / 2;
    const torch::Tensor squares = at::constant_pad_nd(input * input, pads);
    torch::Tensor sum = squares.narrow(1, 0, input.size(1));
    for (std::int64_t i = 1; i < size; ++i) sum = sum + squares.narrow(1, i, input.size(1));
    frame.slots[y] = input / at::pow(sum * (alpha / static_cast<double>(size)) + bias, beta);
  });
}

Result<Kernel> compile_mean_variance_normalization(const Site& site) {
  const std::vector<std::int64_t> axes = site.node.integers("axes", {0, 2, 3});
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor centred = frame.slots[x] - at::mean(frame.slots[x], axes, true);
    frame.slots[y] = centred / (at::sqrt(at::mean(centred * centred, axes, true)) + 1e-9);
  });
}

}  // namespace sightline::autograd
