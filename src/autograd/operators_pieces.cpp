// Operators that take values apart and put them together, by place or by index, and those that describe shapes: Slice, Split, Gather,
// GatherElements, Expand, Tile, Shape, Size, ConstantOfShape, Range.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "autograd/executor.h"
#include "autograd/operators.h"

namespace sightline::autograd {
namespace {

// Along one axis, by ONNX's rules for starts and ends that lie outside.
torch::Tensor cut(const torch::Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t end, std::int64_t step) {
  const std::int64_t size = x.size(axis);
  TORCH_CHECK(step != 0, "Slice: a step of 0");
  const auto place = [&](std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < 0) value = value < -size ? low : value + size;
    return std::clamp(value, low, high);
  };
  if (step > 0) {
    const std::int64_t from = place(start, 0, size);
    return x.slice(axis, from, std::max(from, place(end, 0, size)), step);
  }
  // Backwards: forwards in the flipped value, where -1 stands for the place before the first element.
  const std::int64_t from = size - 1 - place(start, -1, size - 1);
  const std::int64_t to = size - 1 - place(end, -1, size - 1);
  const std::int64_t stride = step == std::numeric_limits<std::int64_t>::min() ? std::numeric_limits<std::int64_t>::max() : -step;
  return x.flip({axis}).slice(axis, from, std::max(from, to), stride);
}

// Indices count from the end when they are negative.
torch::Tensor wrapped(const torch::Tensor& indices, std::int64_t size) {
  const torch::Tensor wide = indices.to(torch::kLong);
  return at::where(wide < 0, wide + size, wide);
}

}  // namespace

Result<Kernel> compile_slice(const Site& site) {
  const bool early = site.graph.opset < 10;
  SIGHTLINE_TRY(const Integers starts, site.integers_when_run(1, "starts", early ? "starts" : nullptr));
  SIGHTLINE_TRY(const Integers ends, site.integers_when_run(2, "ends", early ? "ends" : nullptr));
  SIGHTLINE_TRY(const Integers axes, site.integers_when_run(3, "axes", early ? "axes" : nullptr));
  SIGHTLINE_TRY(const Integers steps, site.integers_when_run(4, "steps", nullptr));
  if (!starts.given() || !ends.given()) return site.invalid("starts and ends are missing");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    torch::Tensor value = frame.slots[x];
    const std::vector<std::int64_t> from = starts(frame), to = ends(frame), over = axes(frame), by = steps(frame);
    TORCH_CHECK(from.size() == to.size() && (!axes.given() || over.size() == from.size()) && (!steps.given() || by.size() == from.size()),
                "Slice: starts, ends, axes and steps differ in length");
    for (std::size_t i = 0; i < from.size(); ++i) {
      std::int64_t axis = axes.given() ? over[i] : static_cast<std::int64_t>(i);
      if (axis < 0) axis += value.dim();
      TORCH_CHECK(axis >= 0 && axis < value.dim(), "Slice: axis ", axis, " of a value with ", value.dim(), " axes");
      value = cut(value, axis, from[i], to[i], steps.given() ? by[i] : 1);
    }
    frame.slots[y] = value;
  });
}

Result<Kernel> compile_split(const Site& site) {
  SIGHTLINE_TRY(const Integers parts, site.integers_when_run(1, "split", site.graph.opset < 13 ? "split" : nullptr));
  const auto axis = site.node.integer("axis", 0);
  const std::vector<int> outputs = site.outputs;
  const auto x = static_cast<std::size_t>(site.in(0));
  return Kernel([=](Frame& frame) {
    const torch::Tensor input = frame.slots[x];
    const auto count = static_cast<std::int64_t>(outputs.size());
    std::vector<std::int64_t> sizes = parts(frame);
    if (!parts.given()) {
      // From opset 18 on the last part may be smaller.
      const std::int64_t size = input.size(axis), each = (size + count - 1) / count;
      for (std::int64_t i = 0; i < count; ++i) sizes.push_back(std::clamp<std::int64_t>(size - i * each, 0, each));
    }
    const std::vector<torch::Tensor> pieces = at::split_with_sizes(input, sizes, axis);
    TORCH_CHECK(pieces.size() == outputs.size(), "Split: ", pieces.size(), " parts for ", outputs.size(), " outputs");
    for (std::size_t i = 0; i < pieces.size(); ++i)
      if (outputs[i] >= 0) frame.slots[static_cast<std::size_t>(outputs[i])] = pieces[i];
  });
}

Result<Kernel> compile_gather(const Site& site) {
  const auto axis = site.node.integer("axis", 0);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto indices = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const torch::Tensor& places = frame.slots[indices];
    const std::int64_t at = axis < 0 ? axis + input.dim() : axis;
    TORCH_CHECK(at >= 0 && at < input.dim(), "Gather: axis ", axis, " of a value with ", input.dim(), " axes");
    std::vector<std::int64_t> shape(input.sizes().begin(), input.sizes().begin() + at);
    shape.insert(shape.end(), places.sizes().begin(), places.sizes().end());
    shape.insert(shape.end(), input.sizes().begin() + at + 1, input.sizes().end());
    frame.slots[y] = at::index_select(input, at, wrapped(places, input.size(at)).reshape({-1})).reshape(shape);
  });
}

Result<Kernel> compile_gather_elements(const Site& site) {
  const auto axis = site.node.integer("axis", 0);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto indices = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    frame.slots[y] = at::gather(input, axis, wrapped(frame.slots[indices], input.size(axis)));
  });
}

// Both ways: an axis of 1 in the wanted shape keeps the value's.
Result<Kernel> compile_expand(const Site& site) {
  SIGHTLINE_TRY(const Integers shape, site.integers_when_run(1, "shape", nullptr));
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    std::vector<std::int64_t> sizes = shape(frame);
    const auto rank = static_cast<std::size_t>(input.dim());
    if (sizes.size() < rank) sizes.insert(sizes.begin(), rank - sizes.size(), 1);
    for (std::size_t i = 0; i < rank; ++i) {
      std::int64_t& size = sizes[sizes.size() - rank + i];
      if (size == 1) size = input.size(static_cast<std::int64_t>(i));
    }
    frame.slots[y] = input.expand(sizes);
  });
}

Result<Kernel> compile_tile(const Site& site) {
  SIGHTLINE_TRY(const Integers repeats, site.integers_when_run(1, "repeats", nullptr));
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = frame.slots[x].repeat(repeats(frame)); });
}

Result<Kernel> compile_shape(const Site& site) {
  const auto start = site.node.integer("start", 0);
  const auto end = site.node.integer("end", std::numeric_limits<std::int64_t>::max());
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = torch::tensor(frame.slots[x].sizes().vec(), torch::kLong).slice(0, start, end); });
}

Result<Kernel> compile_size(const Site& site) {
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = torch::scalar_tensor(frame.slots[x].numel(), torch::kLong); });
}

Result<Kernel> compile_constant_of_shape(const Site& site) {
  SIGHTLINE_TRY(const Integers shape, site.integers_when_run(0, "shape", nullptr));
  torch::Tensor value = torch::zeros({1});
  if (const auto found = site.node.attributes.find("value"); found != site.node.attributes.end()) {
    const auto* given = std::get_if<Tensor>(&found->second);
    if (given == nullptr || given->count() != 1) return site.invalid("its value is not one number");
    value = to_torch(*given);
  }
  value = value.reshape({});
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = value.expand(shape(frame)).contiguous(); });
}

Result<Kernel> compile_range(const Site& site) {
  std::array<std::size_t, 3> inputs{};
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<std::size_t>(site.in(i));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& start = frame.slots[inputs[0]];
    frame.slots[y] =
        at::arange(start.item(), frame.slots[inputs[1]].item(), frame.slots[inputs[2]].item(), start.options().requires_grad(false));
  });
}

}  // namespace sightline::autograd
