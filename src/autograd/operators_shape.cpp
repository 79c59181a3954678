// Operators that order values anew: Flatten, Reshape, Transpose, Concat, Pad, Squeeze, Unsqueeze, Cast, DepthToSpace, SpaceToDepth.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/operators.h"

namespace sightline::autograd {

Result<Kernel> compile_flatten(const Site& site) {
  const auto axis = site.node.integer("axis", 1);
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const std::int64_t at = axis < 0 ? axis + input.dim() : axis;
    TORCH_CHECK(at >= 0 && at <= input.dim(), "Flatten: axis ", axis, " of a value with ", input.dim(), " axes");
    std::int64_t rows = 1;
    for (std::int64_t i = 0; i < at; ++i) rows *= input.size(i);
    frame.slots[y] = input.reshape({rows, rows == 0 ? 0 : input.numel() / rows});
  });
}

Result<Kernel> compile_reshape(const Site& site) {
  SIGHTLINE_TRY(const Integers shape, site.integers_when_run(1, "shape", nullptr));
  const bool zero_copies = site.node.integer("allowzero", 0) == 0;
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    std::vector<std::int64_t> sizes = shape(frame);
    for (std::size_t i = 0; i < sizes.size() && zero_copies; ++i) {
      if (sizes[i] != 0) continue;
      TORCH_CHECK(static_cast<std::int64_t>(i) < input.dim(), "Reshape: axis ", i, " copies an axis that the input lacks");
      sizes[i] = input.size(static_cast<std::int64_t>(i));
    }
    frame.slots[y] = input.reshape(sizes);
  });
}

Result<Kernel> compile_transpose(const Site& site) {
  const std::vector<std::int64_t> order = site.node.integers("perm");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    std::vector<std::int64_t> axes = order;
    if (axes.empty())
      for (std::int64_t i = frame.slots[x].dim(); i-- > 0;) axes.push_back(i);
    frame.slots[y] = frame.slots[x].permute(axes);
  });
}

Result<Kernel> compile_concat(const Site& site) {
  const auto axis = site.node.integer("axis", 0);
  const std::vector<int> inputs = site.inputs;
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor> parts;
    parts.reserve(inputs.size());
    for (const int slot : inputs) parts.push_back(frame.slots[static_cast<std::size_t>(slot)]);
    frame.slots[y] = at::cat(parts, axis);
  });
}

Result<Kernel> compile_pad(const Site& site) {
  const std::string mode = site.node.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge") return site.unsupported(fmt::format("mode \"{}\"", mode));
  std::vector<std::int64_t> pads = site.node.integers("pads");
  double value = site.node.real("value", 0.0F);
  if (site.inputs.size() > 1) {
    SIGHTLINE_TRY(pads, site.integers(1, "pads"));
    SIGHTLINE_TRY(const std::optional<double> given, site.scalar(2, "value"));
    value = given.value_or(0);
  }
  std::optional<std::vector<std::int64_t>> axes;
  if (site.in(3) >= 0) {
    SIGHTLINE_TRY(axes, site.integers(3, "axes"));
  }
  if (pads.size() % 2 != 0 || (axes && axes->size() * 2 != pads.size())) return site.invalid("pads need a begin and an end per axis");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const auto rank = static_cast<std::size_t>(input.dim());
    std::vector<std::int64_t> begin(rank, 0);
    std::vector<std::int64_t> end(rank, 0);
    const std::size_t count = pads.size() / 2;
    TORCH_CHECK(axes || count == rank, "Pad: ", count, " axes are padded and the value has ", rank);
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t axis = axes ? (*axes)[i] : static_cast<std::int64_t>(i);
      if (axis < 0) axis += input.dim();
      TORCH_CHECK(axis >= 0 && axis < input.dim(), "Pad: axis ", axis, " of a value with ", rank, " axes");
      begin[static_cast<std::size_t>(axis)] = pads[i];
      end[static_cast<std::size_t>(axis)] = pads[count + i];
    }
    if (mode == "constant") {
      frame.slots[y] = at::constant_pad_nd(input, torch_pads(begin, end), value);
      return;
    }
    // LibTorch reflects and repeats over the last axes only, behind one or two that it leaves alone.
    TORCH_CHECK(rank >= 2 && begin[0] == 0 && end[0] == 0, "Pad: mode ", mode, " cannot pad the first axis");
    const std::size_t first = rank == 2 || begin[1] != 0 || end[1] != 0 ? 1 : 2;
    const auto tail = static_cast<std::ptrdiff_t>(first);
    const std::vector<std::int64_t> tail_pads = torch_pads({begin.begin() + tail, begin.end()}, {end.begin() + tail, end.end()});
    frame.slots[y] = at::pad(input, tail_pads, mode == "edge" ? "replicate" : "reflect");
  });
}

Result<Kernel> compile_squeeze(const Site& site) {
  SIGHTLINE_TRY(const std::optional<std::vector<std::int64_t>> axes, site.axes(1));
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    torch::Tensor value = frame.slots[x];
    if (!axes) {
      frame.slots[y] = value.squeeze();
      return;
    }
    std::vector<std::int64_t> sorted = *axes;
    for (std::int64_t& axis : sorted) axis = axis < 0 ? axis + value.dim() : axis;
    std::sort(sorted.rbegin(), sorted.rend());
    for (const std::int64_t axis : sorted) {
      TORCH_CHECK(axis >= 0 && axis < value.dim() && value.size(axis) == 1, "Squeeze: axis ", axis, " is not of size 1");
      value = value.squeeze(axis);
    }
    frame.slots[y] = value;
  });
}

Result<Kernel> compile_unsqueeze(const Site& site) {
  SIGHTLINE_TRY(const std::optional<std::vector<std::int64_t>> axes, site.axes(1));
  if (!axes) return site.invalid("axes are missing");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    torch::Tensor value = frame.slots[x];
    const std::int64_t rank = value.dim() + static_cast<std::int64_t>(axes->size());
    std::vector<std::int64_t> sorted = *axes;
    for (std::int64_t& axis : sorted) axis = axis < 0 ? axis + rank : axis;
    std::sort(sorted.begin(), sorted.end());
    for (const std::int64_t axis : sorted) value = value.unsqueeze(axis);
    frame.slots[y] = value;
  });
}

Result<Kernel> compile_cast(const Site& site) {
  // TensorProto.DataType of onnx.proto3.
  struct Row {
    std::int64_t onnx;
    torch::ScalarType dtype;
  };
  static constexpr Row rows[] = {{1, torch::kFloat}, {2, torch::kByte},  {3, torch::kChar},    {6, torch::kInt},      {7, torch::kLong},
                                 {9, torch::kBool},  {10, torch::kHalf}, {11, torch::kDouble}, {16, torch::kBFloat16}};
  const auto wanted = site.node.integer("to", 0);
  const auto* row = std::find_if(std::begin(rows), std::end(rows), [&](const Row& each) { return each.onnx == wanted; });
  if (row == std::end(rows)) return site.unsupported(fmt::format("data type {}", wanted));
  const torch::ScalarType dtype = row->dtype;
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = frame.slots[x].to(dtype); });
}

// Channels to places: C = b·b·D, in blocks as DCR or CRD orders them.
Result<Kernel> compile_depth_to_space(const Site& site) {
  const auto block = site.node.integer("blocksize", 0);
  if (block < 1) return site.invalid("blocksize must be positive");
  const bool depth_first = site.node.text("mode", "DCR") == "CRD";
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const std::int64_t n = input.size(0), depth = input.size(1) / (block * block), h = input.size(2), w = input.size(3);
    const torch::Tensor apart = depth_first ? input.reshape({n, depth, block, block, h, w}).permute({0, 1, 4, 2, 5, 3})
                                            : input.reshape({n, block, block, depth, h, w}).permute({0, 3, 4, 1, 5, 2});
    frame.slots[y] = apart.reshape({n, depth, h * block, w * block});
  });
}

Result<Kernel> compile_space_to_depth(const Site& site) {
  const auto block = site.node.integer("blocksize", 0);
  if (block < 1) return site.invalid("blocksize must be positive");
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    const torch::Tensor& input = frame.slots[x];
    const std::int64_t n = input.size(0), c = input.size(1), h = input.size(2) / block, w = input.size(3) / block;
    frame.slots[y] = input.reshape({n, c, h, block, w, block}).permute({0, 3, 5, 1, 2, 4}).reshape({n, c * block * block, h, w});
  });
}

}  // namespace sightline::autograd
