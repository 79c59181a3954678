// What takes axes together: the Reduce family, the global pools, Softmax and LogSoftmax.
#include <algorithm>

#include "autograd/operators.h"

namespace sightline::autograd {
namespace {

using torch::IntArrayRef;
using torch::Tensor;

Tensor product(const Tensor& x, IntArrayRef axes, bool keep) {
  std::vector<std::int64_t> last_first;
  for (const std::int64_t axis : axes) last_first.push_back(axis < 0 ? axis + x.dim() : axis);
  std::sort(last_first.rbegin(), last_first.rend());
  Tensor result = x;
  for (const std::int64_t axis : last_first) result = at::prod(result, axis, keep);
  return result;
}

struct Reduction {
  const char* op;
  Tensor (*apply)(const Tensor& x, IntArrayRef axes, bool keep);
};
constexpr Reduction reductions[] = {
    {"ReduceL1", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::sum(at::abs(x), axes, keep); }},
    {"ReduceL2", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::linalg_vector_norm(x, 2, axes, keep); }},
    {"ReduceLogSum", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::log(at::sum(x, axes, keep)); }},
    {"ReduceLogSumExp", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::logsumexp(x, axes, keep); }},
    {"ReduceMax", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::amax(x, axes, keep); }},
    {"ReduceMean", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::mean(x, axes, keep); }},
    {"ReduceMin", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::amin(x, axes, keep); }},
    {"ReduceProd", product},
    {"ReduceSum", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::sum(x, axes, keep); }},
    {"ReduceSumSquare", [](const Tensor& x, IntArrayRef axes, bool keep) { return at::sum(x * x, axes, keep); }},
};

}  // namespace

Result<Kernel> compile_reduction(const Site& site) {
  const auto* const row =
      std::find_if(std::begin(reductions), std::end(reductions), [&](const Reduction& each) { return site.node.op_type == each.op; });
  if (row == std::end(reductions)) return site.unsupported("this reduction");
  SIGHTLINE_TRY(const std::optional<std::vector<std::int64_t>> axes, site.axes(1));
  const bool keep = site.node.integer("keepdims", 1) != 0;
  const bool all = !axes || axes->empty();
  const bool nothing = all && site.node.integer("noop_with_empty_axes", 0) != 0;
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=, apply = row->apply](Frame& frame) {
    const Tensor& input = frame.slots[x];
    if (nothing) {
      frame.slots[y] = input;
      return;
    }
    std::vector<std::int64_t> over;
    if (!all) {
      over = *axes;
    } else {
      for (std::int64_t i = 0; i < input.dim(); ++i) over.push_back(i);
    }
    frame.slots[y] = apply(input, over, keep);
  });
}

Result<Kernel> compile_global_pool(const Site& site) {
  const bool largest = site.node.op_type == "GlobalMaxPool";
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const Tensor& input = frame.slots[x];
    std::vector<std::int64_t> spatial;
    for (std::int64_t i = 2; i < input.dim(); ++i) spatial.push_back(i);
    frame.slots[y] = largest ? at::amax(input, spatial, true) : at::mean(input, spatial, true);
  });
}

// Before opset 13 the axes from `axis` on were taken together, and the default was 1.
Result<Kernel> compile_softmax(const Site& site) {
  const bool logarithm = site.node.op_type == "LogSoftmax";
  const bool together = site.graph.opset < 13;
  const auto axis = site.node.integer("axis", together ? 1 : -1);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const Tensor& input = frame.slots[x];
    if (!together) {
      frame.slots[y] = logarithm ? at::log_softmax(input, axis) : at::softmax(input, axis);
      return;
    }
    const std::int64_t first = axis < 0 ? axis + input.dim() : axis;
    const Tensor flat = input.flatten(first);
    frame.slots[y] = (logarithm ? at::log_softmax(flat, first) : at::softmax(flat, first)).reshape(input.sizes());
  });
}

}  // namespace sightline::autograd
