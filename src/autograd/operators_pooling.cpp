// MaxPool and AveragePool (ONNX operators, opset 12 and 11). Input N×C×spatial.
#include <fmt/format.h>

#include <limits>

#include "autograd/operators.h"

namespace sightline::autograd {
namespace {

struct Pool {
  Window window;
  bool ceil = false;
};

Result<Pool> read_pool(const Site& site) {
  std::vector<std::int64_t> kernel = site.node.integers("kernel_shape");
  if (kernel.empty()) return site.invalid("kernel_shape is missing");
  Pool pool;
  SIGHTLINE_TRY(pool.window, read_window(site, std::move(kernel)));
  pool.ceil = site.node.integer("ceil_mode", 0) != 0;
  return pool;
}

// LibTorch's own pads do: the same on both sides and at most half a window.
bool plain(const Pool& pool) {
  const Window& window = pool.window;
  if (pool.ceil || !window.symmetric()) return false;
  if (window.automatic != Window::Auto::none && window.automatic != Window::Auto::valid) return false;
  for (std::size_t i = 0; i < window.kernel.size(); ++i)
    if (window.begin[i] > window.kernel[i] / 2) return false;
  return true;
}

// Pads with which a pool that rounds down gives ONNX's output size. `extra` is what rounding up adds behind the declared end.
struct Pads {
  std::vector<std::int64_t> begin, end, extra;
};
Pads pads_for(const Pool& pool, torch::IntArrayRef sizes) {
  Pads pads;
  const Window& window = pool.window;
  window.resolve(sizes, pads.begin, pads.end);
  pads.extra.assign(pads.begin.size(), 0);
  if (!pool.ceil) return pads;
  for (std::size_t i = 0; i < pads.begin.size(); ++i) {
    const std::int64_t span = sizes[i] + pads.begin[i] + pads.end[i];
    const std::int64_t reach = (window.kernel[i] - 1) * window.dilation[i] + 1;
    std::int64_t count = (span - reach + window.stride[i] - 1) / window.stride[i] + 1;
    if ((count - 1) * window.stride[i] >= sizes[i] + pads.begin[i]) --count;  // a window that starts in the end's pads is none
    pads.extra[i] = std::max<std::int64_t>(0, (count - 1) * window.stride[i] + reach - span);
  }
  return pads;
}

std::vector<std::int64_t> sum(std::vector<std::int64_t> a, const std::vector<std::int64_t>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

torch::Tensor max_pool(const torch::Tensor& x, const Window& window, const std::vector<std::int64_t>& padding) {
  switch (window.kernel.size()) {
    case 1: return at::max_pool1d(x, window.kernel, window.stride, padding, window.dilation);
    case 2: return at::max_pool2d(x, window.kernel, window.stride, padding, window.dilation);
    default: return at::max_pool3d(x, window.kernel, window.stride, padding, window.dilation);
  }
}

torch::Tensor average_pool(const torch::Tensor& x, const Window& window, const std::vector<std::int64_t>& padding, bool count_pads) {
  switch (window.kernel.size()) {
    case 1: return at::avg_pool1d(x, window.kernel, window.stride, padding, false, count_pads);
    case 2: return at::avg_pool2d(x, window.kernel, window.stride, padding, false, count_pads);
    default: return at::avg_pool3d(x, window.kernel, window.stride, padding, false, count_pads);
  }
}

}  // namespace

Result<Kernel> compile_max_pool(const Site& site) {
  SIGHTLINE_TRY(const Pool pool, read_pool(site));
  if (site.outputs.size() > 1 && site.outputs[1] >= 0) return site.unsupported("the second output (indices)");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  if (plain(pool)) return Kernel([=](Frame& frame) { frame.slots[y] = max_pool(frame.slots[x], pool.window, pool.window.begin); });
  return Kernel([=](Frame& frame) {
    const Pads pads = pads_for(pool, frame.slots[x].sizes().slice(2));
    const torch::Tensor padded =
        at::constant_pad_nd(frame.slots[x], torch_pads(pads.begin, sum(pads.end, pads.extra)), -std::numeric_limits<double>::infinity());
    frame.slots[y] = max_pool(padded, pool.window, std::vector<std::int64_t>(pads.begin.size(), 0));
  });
}

Result<Kernel> compile_average_pool(const Site& site) {
  SIGHTLINE_TRY(const Pool pool, read_pool(site));
  for (const std::int64_t dilation : pool.window.dilation)
    if (dilation != 1) return site.unsupported("dilations");
  const bool count_pads = site.node.integer("count_include_pad", 0) != 0;
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  if (plain(pool))
    return Kernel([=](Frame& frame) { frame.slots[y] = average_pool(frame.slots[x], pool.window, pool.window.begin, count_pads); });
  return Kernel([=](Frame& frame) {
    // Sum and count over padded copies. What rounding up adds never counts.
    const torch::Tensor& input = frame.slots[x];
    const Pads pads = pads_for(pool, input.sizes().slice(2));
    const std::vector<std::int64_t> none(pads.begin.size(), 0);
    const std::vector<std::int64_t> outside = torch_pads(none, pads.extra);
    const std::vector<std::int64_t> declared = torch_pads(pads.begin, pads.end);
    std::vector<std::int64_t> ones_shape = input.sizes().vec();
    ones_shape[0] = ones_shape[1] = 1;
    const torch::Tensor ones = at::ones(ones_shape, input.options().requires_grad(false));
    const torch::Tensor padded = at::constant_pad_nd(at::constant_pad_nd(input, declared), outside);
    const torch::Tensor counted = at::constant_pad_nd(at::constant_pad_nd(ones, declared, count_pads ? 1 : 0), outside);
    frame.slots[y] = average_pool(padded, pool.window, none, true) / average_pool(counted, pool.window, none, true);
  });
}

}  // namespace sightline::autograd
