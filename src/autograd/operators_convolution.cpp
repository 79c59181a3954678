// Conv and ConvTranspose (ONNX operators, opset 11). Input N×C×spatial, weight M×C/group×kernel (Conv), C×M/group×kernel (ConvTranspose).
#include <fmt/format.h>

#include "autograd/operators.h"

namespace sightline::autograd {

std::vector<std::int64_t> torch_pads(const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& end) {
  std::vector<std::int64_t> pads;
  for (std::size_t i = begin.size(); i-- > 0;) {
    pads.push_back(begin[i]);
    pads.push_back(end[i]);
  }
  return pads;
}

void Window::resolve(torch::IntArrayRef sizes, std::vector<std::int64_t>& out_begin, std::vector<std::int64_t>& out_end) const {
  out_begin = begin;
  out_end = end;
  if (automatic != Auto::same_upper && automatic != Auto::same_lower) return;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t wanted = (sizes[i] + stride[i] - 1) / stride[i];
    const std::int64_t total = std::max<std::int64_t>(0, (wanted - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - sizes[i]);
    out_begin[i] = automatic == Auto::same_upper ? total / 2 : total - total / 2;
    out_end[i] = total - out_begin[i];
  }
}

Result<Window> read_window(const Site& site, std::vector<std::int64_t> kernel) {
  Window window;
  const std::size_t rank = kernel.size();
  if (rank < 1 || rank > 3) return site.unsupported(fmt::format("{} spatial axes; 1 to 3 are known", rank));
  window.kernel = std::move(kernel);
  const std::vector<std::int64_t> ones(rank, 1);
  window.stride = site.node.integers("strides", ones);
  window.dilation = site.node.integers("dilations", ones);
  const std::vector<std::int64_t> pads = site.node.integers("pads", std::vector<std::int64_t>(2 * rank, 0));
  if (window.stride.size() != rank || window.dilation.size() != rank || pads.size() != 2 * rank)
    return site.invalid("kernel, strides, dilations and pads do not have one entry per spatial axis");
  for (std::size_t i = 0; i < rank; ++i) {
    if (window.kernel[i] < 1 || window.stride[i] < 1 || window.dilation[i] < 1)
      return site.invalid("kernel, strides and dilations must be positive");
    if (pads[i] < 0 || pads[rank + i] < 0) return site.unsupported("negative pads");
  }
  window.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  window.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  const std::string automatic = site.node.text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER") {
    window.automatic = Window::Auto::same_upper;
  } else if (automatic == "SAME_LOWER") {
    window.automatic = Window::Auto::same_lower;
  } else if (automatic == "VALID") {
    window.automatic = Window::Auto::valid;
    window.begin.assign(rank, 0);
    window.end.assign(rank, 0);
  } else if (automatic != "NOTSET" && !automatic.empty()) {
    return site.invalid(fmt::format("auto_pad \"{}\"", automatic));
  }
  return window;
}

namespace {
// The kernel's sizes from the attribute, or from the weight's shape when that is known.
Result<std::vector<std::int64_t>> kernel_of(const Site& site) {
  std::vector<std::int64_t> kernel = site.node.integers("kernel_shape");
  if (const Tensor* weight = site.constant(1)) {
    if (weight->rank() < 3) return site.invalid("the weight needs at least one spatial axis");
    const std::vector<std::int64_t> shape(weight->shape().begin() + 2, weight->shape().end());
    if (!kernel.empty() && kernel != shape) return site.invalid("kernel_shape differs from the weight's shape");
    return shape;
  }
  if (kernel.empty()) return site.unsupported("a computed weight without kernel_shape");
  return kernel;
}

torch::Tensor optional_slot(const Frame& frame, int slot) {
  return slot < 0 ? torch::Tensor() : frame.slots[static_cast<std::size_t>(slot)];
}
}  // namespace

Result<Kernel> compile_conv(const Site& site) {
  SIGHTLINE_TRY(std::vector<std::int64_t> kernel, kernel_of(site));
  SIGHTLINE_TRY(Window window, read_window(site, std::move(kernel)));
  const auto groups = site.node.integer("group", 1);
  if (groups < 1) return site.invalid("group must be positive");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto w = static_cast<std::size_t>(site.in(1));
  const int b = site.in(2);
  const auto y = static_cast<std::size_t>(site.out());
  const std::vector<std::int64_t> no_output_padding(window.kernel.size(), 0);
  const bool fixed = window.automatic == Window::Auto::none || window.automatic == Window::Auto::valid;
  const Tensor* weight = site.constant(1);
  constexpr std::int64_t least_channels = 16;  // fewer fill no register: casts would cost more than they bring
  if (site.bf16 && fixed && window.symmetric() && b < 0 && weight != nullptr && weight->dim(1) >= least_channels) {
    return Kernel([=](Frame& frame) {
      frame.slots[y] = at::convolution(frame.slots[x].to(torch::kBFloat16), frame.slots[w].to(torch::kBFloat16), {}, window.stride,
                                       window.begin, window.dilation, false, no_output_padding, groups)
                           .to(torch::kFloat);
    });
  }
  if (fixed && window.symmetric()) {
    return Kernel([=](Frame& frame) {
      frame.slots[y] = at::convolution(frame.slots[x], frame.slots[w], optional_slot(frame, b), window.stride, window.begin,
                                       window.dilation, false, no_output_padding, groups);
    });
  }
  return Kernel([=](Frame& frame) {
    torch::Tensor input = frame.slots[x];
    std::vector<std::int64_t> begin, end;
    window.resolve(input.sizes().slice(2), begin, end);
    if (begin != end) {  // LibTorch pads both sides alike
      input = at::constant_pad_nd(input, torch_pads(begin, end));
      begin.assign(begin.size(), 0);
    }
    frame.slots[y] = at::convolution(input, frame.slots[w], optional_slot(frame, b), window.stride, begin, window.dilation, false,
                                     no_output_padding, groups);
  });
}

Result<Kernel> compile_conv_transpose(const Site& site) {
  SIGHTLINE_TRY(std::vector<std::int64_t> kernel, kernel_of(site));
  SIGHTLINE_TRY(Window window, read_window(site, std::move(kernel)));
  const std::size_t rank = window.kernel.size();
  const auto groups = site.node.integer("group", 1);
  if (groups < 1) return site.invalid("group must be positive");
  const std::vector<std::int64_t> extra = site.node.integers("output_padding", std::vector<std::int64_t>(rank, 0));
  const std::vector<std::int64_t> wanted = site.node.integers("output_shape");
  if (extra.size() != rank || (!wanted.empty() && wanted.size() != rank && wanted.size() != rank + 2))
    return site.invalid("output_padding and output_shape need one entry per spatial axis");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto w = static_cast<std::size_t>(site.in(1));
  const int b = site.in(2);
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    // The whole output without pads, then cut or extended to the shape that ONNX asks for; the bias comes last, because it also fills
    // what output_padding adds.
    const torch::Tensor& input = frame.slots[x];
    const std::vector<std::int64_t> none(rank, 0);
    torch::Tensor whole = at::convolution(input, frame.slots[w], {}, window.stride, none, window.dilation, true, none, groups);
    std::vector<std::int64_t> begin = window.begin;
    std::vector<std::int64_t> end = window.end;
    for (std::size_t i = 0; i < rank; ++i) {
      const std::int64_t in = input.size(static_cast<std::int64_t>(i) + 2);
      const std::int64_t span = (in - 1) * window.stride[i] + (window.kernel[i] - 1) * window.dilation[i] + 1 + extra[i];
      const bool same = window.automatic == Window::Auto::same_upper || window.automatic == Window::Auto::same_lower;
      if (!wanted.empty() || same) {
        const std::int64_t target = wanted.empty() ? in * window.stride[i] : wanted[wanted.size() - rank + i];
        const std::int64_t total = span - target;
        begin[i] = window.automatic == Window::Auto::same_upper ? total / 2 : total - total / 2;
        end[i] = total - begin[i];
      }
      begin[i] = -begin[i];
      end[i] = extra[i] - end[i];
    }
    whole = at::constant_pad_nd(whole, torch_pads(begin, end));
    if (b >= 0) {
      std::vector<std::int64_t> shape(rank + 2, 1);
      shape[1] = -1;
      whole = whole + frame.slots[static_cast<std::size_t>(b)].view(shape);
    }
    frame.slots[y] = whole;
  });
}

}  // namespace sightline::autograd
