// Shapes of what slides or multiplies: convolutions, pools, matrix products, resizing.
#include <fmt/format.h>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

// Larger windows than this are no window; the bound keeps the arithmetic below far from overflow.
constexpr std::int64_t kWindowLimit = 1 << 20;

Result<std::vector<std::int64_t>> window_numbers(const Node& node, const char* key, std::size_t count, std::int64_t otherwise,
                                                 std::int64_t least) {
  std::vector<std::int64_t> values = node.integers(key, std::vector<std::int64_t>(count, otherwise));
  if (values.empty()) values.assign(count, otherwise);
  if (values.size() != count) return fault(node, fmt::format("{} has {} numbers where {} are needed", key, values.size(), count));
  for (std::int64_t value : values) {
    if (value < least || value > kWindowLimit) return fault(node, fmt::format("{} holds {}, which makes no sense", key, value));
  }
  return values;
}

Result<Window> window_base(const Node& node, const Shape& input, const std::vector<std::int64_t>& kernel) {
  if (input.size() < 3) return fault(node, fmt::format("the input must be N×C×spatial, but is {}", to_string(input)));
  const std::size_t spatial = input.size() - 2;
  if (kernel.size() != spatial)
    return fault(node, fmt::format("the kernel has {} axes, the input {} spatial ones", kernel.size(), spatial));
  Window window;
  window.kernel = kernel;
  for (std::int64_t size : kernel) {
    if (size < 1 || size > kWindowLimit) return fault(node, fmt::format("kernel size {} makes no sense", size));
  }
  SIGHTLINE_TRY(window.strides, window_numbers(node, "strides", spatial, 1, 1));
  SIGHTLINE_TRY(window.dilations, window_numbers(node, "dilations", spatial, 1, 1));
  SIGHTLINE_TRY(const std::vector<std::int64_t> pads, window_numbers(node, "pads", 2 * spatial, 0, 0));
  window.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(spatial));
  window.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(spatial), pads.end());
  return window;
}

Result<std::string> auto_pad_of(const Node& node) {
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER")
    return fault(node, fmt::format("auto_pad \"{}\" is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER", mode));
  return mode;
}

void share(std::int64_t total, bool more_at_end, std::int64_t& begin, std::int64_t& end) {
  begin = more_at_end ? total / 2 : total - total / 2;
  end = total - begin;
}

std::vector<std::int64_t> spatial_of(const Shape& shape) { return {shape.begin() + 2, shape.end()}; }

}  // namespace

Result<Window> window_of(const Node& node, const Shape& input, const std::vector<std::int64_t>& kernel) {
  SIGHTLINE_TRY(Window window, window_base(node, input, kernel));
  SIGHTLINE_TRY(const std::string mode, auto_pad_of(node));
  const bool ceil_mode = node.integer("ceil_mode", 0) != 0;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t size = input[i + 2];
    const std::int64_t extent = (kernel[i] - 1) * window.dilations[i] + 1;
    const std::int64_t stride = window.strides[i];
    if (mode == "VALID") window.pads_begin[i] = window.pads_end[i] = 0;
    if (size < 0) {
      if (mode.starts_with("SAME"))
        return Error{ErrorKind::unsupported, fmt::format("{}: auto_pad {} over a free size", describe(node), mode)};
      window.output.push_back(-1);
      continue;
    }
    if (mode.starts_with("SAME")) {
      const std::int64_t output = (size + stride - 1) / stride;
      share(std::max<std::int64_t>(0, (output - 1) * stride + extent - size), mode == "SAME_UPPER", window.pads_begin[i],
            window.pads_end[i]);
      window.output.push_back(output);
      continue;
    }
    const std::int64_t room = size + window.pads_begin[i] + window.pads_end[i] - extent;
    if (room < 0)
      return fault(node, fmt::format("a window of {} does not fit into {} with padding {} and {}", extent, size, window.pads_begin[i],
                                     window.pads_end[i]));
    std::int64_t output = room / stride + 1;
    // A last, partial window counts only when it begins inside the input or its left padding.
    if (ceil_mode && room % stride != 0 && output * stride < size + window.pads_begin[i]) ++output;
    window.output.push_back(output);
  }
  return window;
}

Result<Window> transposed_window_of(const Node& node, const Shape& input, const std::vector<std::int64_t>& kernel) {
  SIGHTLINE_TRY(Window window, window_base(node, input, kernel));
  SIGHTLINE_TRY(const std::string mode, auto_pad_of(node));
  const std::size_t spatial = kernel.size();
  SIGHTLINE_TRY(const std::vector<std::int64_t> extra, window_numbers(node, "output_padding", spatial, 0, 0));
  std::vector<std::int64_t> wanted = node.integers("output_shape");
  if (!wanted.empty() && wanted.size() != spatial && wanted.size() != spatial + 2)
    return fault(node, fmt::format("output_shape has {} numbers where {} are needed", wanted.size(), spatial));
  if (wanted.size() == spatial + 2) wanted = spatial_of(wanted);
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t size = input[i + 2];
    if (mode == "VALID") window.pads_begin[i] = window.pads_end[i] = 0;
    if (size < 0) {
      if (mode.starts_with("SAME") || !wanted.empty())
        return Error{ErrorKind::unsupported, fmt::format("{}: output size over a free size", describe(node))};
      window.output.push_back(-1);
      continue;
    }
    const std::int64_t full = (size - 1) * window.strides[i] + extra[i] + (kernel[i] - 1) * window.dilations[i] + 1;
    if (!wanted.empty() || mode.starts_with("SAME")) {
      const std::int64_t output = wanted.empty() ? size * window.strides[i] : wanted[i];
      // One that is a little longer than the result is padded at its end, as output_padding does.
      if (output < 1 || output >= full + window.strides[i])
        return fault(node, fmt::format("an output of {} cannot be cut from {}", output, full));
      share(std::max<std::int64_t>(full - output, 0), mode == "SAME_UPPER", window.pads_begin[i], window.pads_end[i]);
      window.output.push_back(output);
      continue;
    }
    const std::int64_t output = full - window.pads_begin[i] - window.pads_end[i];
    if (output < 1) return fault(node, "its padding cuts everything away");
    window.output.push_back(output);
  }
  return window;
}

namespace shape_rules {
namespace {

std::optional<Error> check_vector(const Call& call, std::size_t i, std::int64_t length, const char* what) {
  const ValueInfo* value = call.input(i);
  if (value == nullptr || length < 0) return std::nullopt;
  if (value->shape != Shape{length}) {
    return fault(call.node, fmt::format("{} \"{}\" is {} where {} is needed", what, value->name, to_string(value->shape), length));
  }
  return std::nullopt;
}

std::optional<Error> same_dtype(const Call& call) {
  for (const ValueInfo* value : call.inputs) {
    if (value != nullptr && value->dtype != call.inputs[0]->dtype)
      return fault(call.node, fmt::format("\"{}\" is {}, but \"{}\" is {}", value->name, name_of(value->dtype), call.inputs[0]->name,
                                          name_of(call.inputs[0]->dtype)));
  }
  return std::nullopt;
}

Inferred convolution(const Call& call, bool transposed) {
  const ValueInfo& x = *call.inputs[0];
  const ValueInfo& w = *call.inputs[1];
  if (auto error = same_dtype(call)) return *error;
  const std::int64_t groups = call.node.integer("group", 1);
  if (groups < 1 || groups > kWindowLimit) return fault(call.node, fmt::format("group {} makes no sense", groups));
  if (x.shape.size() < 3 || w.shape.size() != x.shape.size())
    return fault(call.node, fmt::format("input {} and weight {} do not fit", to_string(x.shape), to_string(w.shape)));
  const std::int64_t in = transposed ? w.shape[0] : w.shape[1] * groups;
  const std::int64_t out = transposed ? w.shape[1] * groups : w.shape[0];
  if (x.shape[1] >= 0 && x.shape[1] != in)
    return fault(call.node, fmt::format("the input \"{}\" has {} channels, but the weight \"{}\" ({}, {} groups) wants {}", x.name,
                                        x.shape[1], w.name, to_string(w.shape), groups, in));
  if (in % groups != 0 || out % groups != 0 || in < 1 || out < 1)
    return fault(call.node, fmt::format("{} groups do not divide {} input and {} output channels", groups, in, out));
  const std::vector<std::int64_t> kernel = spatial_of(w.shape);
  if (call.node.integers("kernel_shape", kernel) != kernel)
    return fault(call.node, fmt::format("kernel_shape differs from the weight {}", to_string(w.shape)));
  if (auto error = check_vector(call, 2, out, "the bias")) return *error;
  SIGHTLINE_TRY(const Window window, transposed ? transposed_window_of(call.node, x.shape, kernel) : window_of(call.node, x.shape, kernel));
  Shape shape{x.shape[0], out};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  return std::vector<Typed>{{x.dtype, shape}};
}

}  // namespace

Inferred conv(const Call& call) { return convolution(call, false); }
Inferred conv_transpose(const Call& call) { return convolution(call, true); }

Inferred batch_normalization(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  if (x.shape.size() < 2) return fault(call.node, fmt::format("the input must be N×C×…, but is {}", to_string(x.shape)));
  constexpr const char* kNames[] = {"", "the scale", "the bias", "the running mean", "the running variance"};
  for (std::size_t i = 1; i < 5; ++i) {
    if (auto error = check_vector(call, i, x.shape[1], kNames[i])) return *error;
  }
  const Typed statistic{call.inputs[3]->dtype, call.inputs[3]->shape};
  return std::vector<Typed>{{x.dtype, x.shape}, statistic, statistic, statistic, statistic};
}

Inferred pool(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  const std::vector<std::int64_t> kernel = call.node.integers("kernel_shape");
  if (kernel.empty()) return fault(call.node, "kernel_shape is missing");
  SIGHTLINE_TRY(const Window window, window_of(call.node, x.shape, kernel));
  Shape shape{x.shape[0], x.shape[1]};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  if (call.node.op_type == "AveragePool") return std::vector<Typed>{{x.dtype, shape}};
  return std::vector<Typed>{{x.dtype, shape}, {Dtype::i64, shape}};
}

Inferred global_pool(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  if (x.shape.size() < 3) return fault(call.node, fmt::format("the input must be N×C×spatial, but is {}", to_string(x.shape)));
  Shape shape(x.shape.size(), 1);
  shape[0] = x.shape[0];
  shape[1] = x.shape[1];
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred gemm(const Call& call) {
  const ValueInfo& a = *call.inputs[0];
  const ValueInfo& b = *call.inputs[1];
  if (auto error = same_dtype(call)) return *error;
  if (a.shape.size() != 2 || b.shape.size() != 2)
    return fault(call.node, fmt::format("both inputs must be matrices, but are {} and {}", to_string(a.shape), to_string(b.shape)));
  const bool trans_a = call.node.integer("transA", 0) != 0;
  const bool trans_b = call.node.integer("transB", 0) != 0;
  const std::int64_t rows = a.shape[trans_a ? 1 : 0], inner = a.shape[trans_a ? 0 : 1];
  const std::int64_t other = b.shape[trans_b ? 1 : 0], columns = b.shape[trans_b ? 0 : 1];
  if (inner >= 0 && other >= 0 && inner != other)
    return fault(call.node,
                 fmt::format("\"{}\" ({}) and \"{}\" ({}) do not multiply", a.name, to_string(a.shape), b.name, to_string(b.shape)));
  if (const ValueInfo* c = call.input(2)) {
    const std::size_t rank = c->shape.size();
    const bool last = rank == 0 || c->shape[rank - 1] == columns || c->shape[rank - 1] == 1;
    const bool first = rank < 2 || c->shape[0] == rows || c->shape[0] == 1 || rows < 0;
    if (rank > 2 || !last || !first)
      return fault(call.node,
                   fmt::format("the bias \"{}\" ({}) does not broadcast to {}", c->name, to_string(c->shape), to_string({rows, columns})));
  }
  return std::vector<Typed>{{a.dtype, {rows, columns}}};
}

Inferred matmul(const Call& call) {
  Shape a = call.inputs[0]->shape;
  Shape b = call.inputs[1]->shape;
  if (auto error = same_dtype(call)) return *error;
  const Error misfit = fault(call.node, fmt::format("{} and {} do not multiply", to_string(a), to_string(b)));
  if (a.empty() || b.empty()) return misfit;
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  const std::int64_t inner = a.back(), other = b[b.size() - 2];
  if (inner >= 0 && other >= 0 && inner != other) return misfit;
  Shape shape;
  const std::size_t batch = std::max(a.size(), b.size()) - 2;
  for (std::size_t i = 0; i < batch; ++i) {
    const std::int64_t p = i + a.size() < batch + 2 ? 1 : a[i + a.size() - batch - 2];
    const std::int64_t q = i + b.size() < batch + 2 ? 1 : b[i + b.size() - batch - 2];
    if (p != q && p > 1 && q > 1) return misfit;
    shape.push_back(p == 1 ? q : q == 1 ? p : std::max(p, q));
  }
  if (!row) shape.push_back(a[a.size() - 2]);
  if (!column) shape.push_back(b.back());
  return std::vector<Typed>{{call.inputs[0]->dtype, shape}};
}

Inferred lp_pool(const Call& call) {
  const std::int64_t p = call.node.integer("p", 2);
  if (p < 1 || p > 1000) return fault(call.node, fmt::format("p {} makes no sense", p));
  SIGHTLINE_TRY(std::vector<Typed> outputs, pool(call));
  outputs.pop_back();
  return outputs;
}

}  // namespace shape_rules
}  // namespace sightline::graph
