#include "autograd/fused_norm.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/channel_loops.h"

namespace sightline::autograd {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Rows of channels, cut into one part per thread.
struct Parts {
  std::int64_t rows = 0, channels = 0, count = 1;
  std::int64_t begin(std::int64_t part) const { return part * rows / count; }
  std::int64_t length(std::int64_t part) const { return begin(part + 1) - begin(part); }
};

Parts parts_of(const torch::Tensor& x) {
  constexpr std::int64_t worth_a_thread = std::int64_t{1} << 15;  // elements
  Parts parts{.rows = x.size(0) * x.size(2) * x.size(3), .channels = x.size(1)};
  parts.count = std::clamp<std::int64_t>(x.numel() / worth_a_thread, 1, at::get_num_threads());
  return parts;
}

template <class Body>
void for_each_part(const Parts& parts, const Body& body) {
  at::parallel_for(0, parts.count, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t part = first; part < last; ++part) body(part);
  });
}

// Two sums per channel, over all parts in their order.
template <class Add>
void sum_parts(const Parts& parts, std::vector<double>& first, std::vector<double>& second, const Add& add) {
  const auto channels = static_cast<std::size_t>(parts.channels);
  std::vector<std::vector<double>> sums(static_cast<std::size_t>(parts.count), std::vector<double>(2 * channels, 0.0));
  for_each_part(parts, [&](std::int64_t part) {
    std::vector<double>& mine = sums[static_cast<std::size_t>(part)];
    add(part, mine.data(), mine.data() + channels);
  });
  first.assign(channels, 0);
  second.assign(channels, 0);
  for (const std::vector<double>& each : sums) {
    for (std::size_t c = 0; c < channels; ++c) {
      first[c] += each[c];
      second[c] += each[channels + c];
    }
  }
}

torch::Tensor empty_like_last(const torch::Tensor& x) {
  return at::empty(x.sizes(), x.options().memory_format(torch::MemoryFormat::ChannelsLast));
}

class FusedNorm : public torch::autograd::Function<FusedNorm> {
 public:
  static Variable forward(AutogradContext* context, const Variable& x, const Variable& scale, const Variable& bias,
                          torch::Tensor running_mean, torch::Tensor running_variance, const c10::optional<torch::Tensor>& shortcut,
                          const NormOptions& options) {
    const Parts parts = parts_of(x);
    const auto channels = static_cast<std::size_t>(parts.channels);
    const float* input = x.data_ptr<float>();
    // Sums about the first pixel, which is near enough to the mean that squares do not cancel.
    const std::vector<float> shift(input, input + channels);
    std::vector<double> sum, square;
    sum_parts(parts, sum, square, [&](std::int64_t part, double* first, double* second) {
      add_moments(input + parts.begin(part) * parts.channels, parts.length(part), parts.channels, shift.data(), first, second);
    });

    const auto count = static_cast<double>(parts.rows);
    torch::Tensor mean = at::empty({parts.channels}, x.options());
    torch::Tensor inverse = at::empty({parts.channels}, x.options());
    torch::Tensor factor = at::empty({parts.channels}, x.options());
    torch::Tensor offset = at::empty({parts.channels}, x.options());
    for (std::size_t c = 0; c < channels; ++c) {
      const double about_shift = sum[c] / count;
      const double average = about_shift + static_cast<double>(shift[c]);
      const double variance = std::max(0.0, square[c] / count - about_shift * about_shift);
      const double inverse_deviation = 1 / std::sqrt(variance + options.epsilon);
      mean.data_ptr<float>()[c] = static_cast<float>(average);
      inverse.data_ptr<float>()[c] = static_cast<float>(inverse_deviation);
      const double slope = static_cast<double>(scale.data_ptr<float>()[c]) * inverse_deviation;
      factor.data_ptr<float>()[c] = static_cast<float>(slope);
      offset.data_ptr<float>()[c] = static_cast<float>(static_cast<double>(bias.data_ptr<float>()[c]) - average * slope);
      const auto blend = [&](float& kept, double fresh) {
        kept = static_cast<float>((1 - options.momentum) * static_cast<double>(kept) + options.momentum * fresh);
      };
      blend(running_mean.data_ptr<float>()[c], average);
      blend(running_variance.data_ptr<float>()[c], count > 1 ? variance * count / (count - 1) : variance);
    }

    const torch::Tensor addend = shortcut ? shortcut->contiguous(torch::MemoryFormat::ChannelsLast) : torch::Tensor();
    torch::Tensor y = empty_like_last(x);
    for_each_part(parts, [&](std::int64_t part) {
      const std::int64_t at = parts.begin(part) * parts.channels;
      normalise_rows(input + at, addend.defined() ? addend.data_ptr<float>() + at : nullptr, parts.length(part), parts.channels,
                     factor.data_ptr<float>(), offset.data_ptr<float>(), options.rectify, y.data_ptr<float>() + at);
    });
    // What was cut off can be told from x alone, unless a shortcut was added.
    const bool needs_result = options.rectify && addend.defined();
    context->save_for_backward({x, factor, offset, mean, inverse, needs_result ? y : torch::Tensor()});
    context->saved_data["rectify"] = options.rectify;
    context->saved_data["shortcut"] = addend.defined();
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &factor = saved[1], &offset = saved[2], &mean = saved[3], &inverse = saved[4], &y = saved[5];
    const torch::Tensor dy = gradients[0].contiguous(torch::MemoryFormat::ChannelsLast);
    const Parts parts = parts_of(x);
    const auto channels = static_cast<std::size_t>(parts.channels);
    const bool rectify = context->saved_data["rectify"].toBool();
    const bool with_shortcut = context->saved_data["shortcut"].toBool();

    const auto part_of = [&](std::int64_t part) {
      const std::int64_t at = parts.begin(part) * parts.channels;
      return NormGradient{.dy = dy.data_ptr<float>() + at,
                          .x = x.data_ptr<float>() + at,
                          .y = y.defined() ? y.data_ptr<float>() + at : nullptr,
                          .factor = factor.data_ptr<float>(),
                          .offset = offset.data_ptr<float>(),
                          .rectified = rectify};
    };
    std::vector<double> sum, product;
    sum_parts(parts, sum, product, [&](std::int64_t part, double* first, double* second) {
      add_gradient_sums(part_of(part), parts.length(part), parts.channels, mean.data_ptr<float>(), first, second);
    });

    // With n values per channel and x' = (x - mean) / deviation: dx = scale / deviation · (g - Σg/n - x' Σ(g x')/n).
    const auto count = static_cast<double>(parts.rows);
    torch::Tensor scale_gradient = at::empty_like(factor);
    torch::Tensor bias_gradient = at::empty_like(offset);
    std::vector<float> a(channels), b(channels), k(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const auto inverse_deviation = static_cast<double>(inverse.data_ptr<float>()[c]);
      const auto slope = static_cast<double>(factor.data_ptr<float>()[c]);
      const double of_x = -slope * inverse_deviation * inverse_deviation * product[c] / count;
      a[c] = static_cast<float>(slope);
      b[c] = static_cast<float>(of_x);
      k[c] = static_cast<float>(-slope * sum[c] / count - of_x * static_cast<double>(mean.data_ptr<float>()[c]));
      scale_gradient.data_ptr<float>()[c] = static_cast<float>(product[c] * inverse_deviation);
      bias_gradient.data_ptr<float>()[c] = static_cast<float>(sum[c]);
    }
    torch::Tensor dx = empty_like_last(x);
    torch::Tensor masked = with_shortcut && rectify ? empty_like_last(x) : torch::Tensor();
    for_each_part(parts, [&](std::int64_t part) {
      const std::int64_t at = parts.begin(part) * parts.channels;
      gradient_rows(part_of(part), parts.length(part), parts.channels, a.data(), b.data(), k.data(), dx.data_ptr<float>() + at,
                    masked.defined() ? masked.data_ptr<float>() + at : nullptr);
    });
    torch::Tensor shortcut_gradient;
    if (with_shortcut) shortcut_gradient = rectify ? masked : dy;
    return {dx, scale_gradient, bias_gradient, torch::Tensor(), torch::Tensor(), shortcut_gradient, torch::Tensor()};
  }
};

}  // namespace

bool fits_fused_norm(const torch::Tensor& x) {
  return x.dim() == 4 && x.scalar_type() == torch::kFloat && x.numel() > 0 && x.is_contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor fused_norm(const torch::Tensor& x, const torch::Tensor& scale, const torch::Tensor& bias, torch::Tensor running_mean,
                         torch::Tensor running_variance, const torch::Tensor& shortcut, const NormOptions& options) {
  const c10::optional<torch::Tensor> addend = shortcut.defined() ? c10::optional<torch::Tensor>(shortcut) : c10::nullopt;
  return FusedNorm::apply(x, scale, bias, std::move(running_mean), std::move(running_variance), addend, options);
}

}  // namespace sightline::autograd
