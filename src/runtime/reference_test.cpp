#include "runtime/reference_test.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "graph/operators.h"

namespace sightline::runtime {
namespace {

using graph::Graph;
using graph::Node;
using Indices = std::vector<std::int64_t>;

// Any dtype as doubles, with its shape.
struct Values {
  Shape shape;
  std::vector<double> data;
  Dtype dtype = Dtype::f32;

  double& at(const Indices& index) { return data[static_cast<std::size_t>(offset(index))]; }
  double at(const Indices& index) const { return data[static_cast<std::size_t>(offset(index))]; }
  std::int64_t offset(const Indices& index) const {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) offset = offset * shape[i] + index[i];
    return offset;
  }
};

Values zeros(Shape shape, Dtype dtype = Dtype::f32) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  return {std::move(shape), std::vector<double>(count, 0.0), dtype};
}

Values read(const Tensor& tensor) {
  Values values = zeros(tensor.shape(), tensor.dtype());
  for (std::size_t i = 0; i < values.data.size(); ++i) {
    switch (tensor.dtype()) {
      case Dtype::f32: values.data[i] = static_cast<double>(tensor.values<float>()[i]); break;
      case Dtype::f64: values.data[i] = tensor.values<double>()[i]; break;
      case Dtype::u8: values.data[i] = tensor.values<std::uint8_t>()[i]; break;
      case Dtype::i8: values.data[i] = tensor.values<std::int8_t>()[i]; break;
      case Dtype::i32: values.data[i] = tensor.values<std::int32_t>()[i]; break;
      case Dtype::i64: values.data[i] = static_cast<double>(tensor.values<std::int64_t>()[i]); break;
      case Dtype::boolean: values.data[i] = tensor.values<bool>()[i] ? 1 : 0; break;
      default: throw std::logic_error("dtype");
    }
  }
  return values;
}

Tensor write(const Values& values) {
  Tensor tensor(values.dtype, values.shape);
  for (std::size_t i = 0; i < values.data.size(); ++i) {
    const double v = values.data[i];
    switch (values.dtype) {
      case Dtype::f32: tensor.values<float>()[i] = static_cast<float>(v); break;
      case Dtype::f64: tensor.values<double>()[i] = v; break;
      case Dtype::u8: tensor.values<std::uint8_t>()[i] = static_cast<std::uint8_t>(v); break;
      case Dtype::i8: tensor.values<std::int8_t>()[i] = static_cast<std::int8_t>(v); break;
      case Dtype::i32: tensor.values<std::int32_t>()[i] = static_cast<std::int32_t>(v); break;
      case Dtype::i64: tensor.values<std::int64_t>()[i] = static_cast<std::int64_t>(v); break;
      case Dtype::boolean: tensor.values<bool>()[i] = v != 0; break;
      default: throw std::logic_error("dtype");
    }
  }
  return tensor;
}

// Calls body with every index of a shape, in row-major order.
void each(const Shape& shape, const std::function<void(const Indices&)>& body) {
  Indices index(shape.size(), 0);
  const std::int64_t count = element_count(shape);
  for (std::int64_t i = 0; i < count; ++i) {
    body(index);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

double broadcast_at(const Values& values, const Indices& index) {
  Indices own(values.shape.size());
  for (std::size_t i = 0; i < own.size(); ++i) own[i] = values.shape[i] == 1 ? 0 : index[i + index.size() - own.size()];
  return values.at(own);
}

class Reference {
 public:
  explicit Reference(const Graph& graph) : graph_(graph), shapes_(*graph::infer_shapes(graph)) {}

  std::vector<Tensor> run(std::span<const Tensor> inputs) {
    for (const auto& [name, tensor] : graph_.initializers) values_[name] = read(tensor);
    for (std::size_t i = 0; i < inputs.size(); ++i) values_[graph_.inputs[i].name] = read(inputs[i]);
    batch_ = inputs.empty() ? 1 : inputs[0].dim(0);
    shapes_ = *graph::infer_shapes(graph_, batch_);
    for (const Node& node : graph_.nodes) {
      if (node.op_type == "Split") {
        split(node);
        continue;
      }
      Values result = apply(node);
      if (result.dtype == Dtype::f32)
        for (double& v : result.data) v = static_cast<double>(static_cast<float>(v));
      values_[node.outputs[0]] = std::move(result);
    }
    std::vector<Tensor> outputs;
    for (const auto& output : graph_.outputs) outputs.push_back(write(values_.at(output.name)));
    return outputs;
  }

 private:
  const Values& in(const Node& node, std::size_t i) const { return values_.at(node.inputs[i]); }
  static bool has(const Node& node, std::size_t i) { return i < node.inputs.size() && !node.inputs[i].empty(); }
  Values result_of(const Node& node) const {
    const auto& info = shapes_.at(node.outputs[0]);
    return zeros(info.shape, info.dtype);
  }

  Values map(const Node& node, const std::function<double(double)>& function) const {
    Values y = in(node, 0);
    for (double& v : y.data) v = function(v);
    return y;
  }
  Values combine(const Node& node, const std::function<double(double, double)>& function) const {
    Values y = result_of(node);
    each(y.shape, [&](const Indices& i) { y.at(i) = function(broadcast_at(in(node, 0), i), broadcast_at(in(node, 1), i)); });
    return y;
  }

  // Spatial sizes as depth, height and width.
  static Indices widened(const Indices& sizes, std::int64_t filler) {
    Indices wide(3 - sizes.size(), filler);
    wide.insert(wide.end(), sizes.begin(), sizes.end());
    return wide;
  }

  // Whole rows of the result at a time: whole nets are compared with this.
  Values conv(const Node& node) const {
    const Values &x = in(node, 0), &w = in(node, 1);
    const Indices spatial(w.shape.begin() + 2, w.shape.end());
    const auto window = *graph::window_of(node, x.shape, spatial);
    const std::int64_t out_each = w.shape[0] / node.integer("group", 1);
    Values y = result_of(node);
    const Indices from = widened({x.shape.begin() + 2, x.shape.end()}, 1), to = widened({y.shape.begin() + 2, y.shape.end()}, 1);
    const Indices kernel = widened(spatial, 1), strides = widened(window.strides, 1), pads = widened(window.pads_begin, 0);
    const Indices dilations = widened(window.dilations, 1);
    double* result = y.data.data();
    for (std::int64_t image = 0; image < y.shape[0]; ++image)
      for (std::int64_t channel = 0; channel < y.shape[1]; ++channel) {
        std::fill_n(result, to[0] * to[1] * to[2], has(node, 2) ? in(node, 2).data[static_cast<std::size_t>(channel)] : 0.0);
        const double* tap = w.data.data() + channel * w.shape[1] * kernel[0] * kernel[1] * kernel[2];
        for (std::int64_t i = 0; i < w.shape[1]; ++i) {
          const double* plane = x.data.data() + (image * x.shape[1] + channel / out_each * w.shape[1] + i) * from[0] * from[1] * from[2];
          each(kernel, [&](const Indices& k) {
            const double weight = *tap++;
            for (std::int64_t z = 0; z < to[0]; ++z)
              for (std::int64_t v = 0; v < to[1]; ++v) {
                const std::int64_t depth = z * strides[0] - pads[0] + k[0] * dilations[0];
                const std::int64_t row = v * strides[1] - pads[1] + k[1] * dilations[1];
                if (depth < 0 || depth >= from[0] || row < 0 || row >= from[1]) continue;
                double* line = result + (z * to[1] + v) * to[2];
                const double* source = plane + (depth * from[1] + row) * from[2];
                for (std::int64_t u = 0; u < to[2]; ++u) {
                  const std::int64_t column = u * strides[2] - pads[2] + k[2] * dilations[2];
                  if (column >= 0 && column < from[2]) line[u] += weight * source[column];
                }
              }
          });
        }
        result += to[0] * to[1] * to[2];
      }
    return y;
  }

  Values conv_transpose(const Node& node) const {
    const Values &x = in(node, 0), &w = in(node, 1);
    const auto window = *graph::transposed_window_of(node, x.shape, Shape(w.shape.begin() + 2, w.shape.end()));
    const std::int64_t groups = node.integer("group", 1), in_each = x.shape[1] / groups;
    Values y = result_of(node);
    each(y.shape, [&](const Indices& at) { y.at(at) = has(node, 2) ? in(node, 2).data[static_cast<std::size_t>(at[1])] : 0; });
    each(x.shape, [&](const Indices& from) {
      each(Shape(w.shape.begin() + 1, w.shape.end()), [&](const Indices& k) {
        Indices to{from[0], from[1] / in_each * w.shape[1] + k[0]}, tap{from[1], k[0]};
        for (std::size_t i = 0; i + 2 < x.shape.size(); ++i) {
          const std::int64_t p = from[i + 2] * window.strides[i] - window.pads_begin[i] + k[i + 1] * window.dilations[i];
          if (p < 0 || p >= y.shape[i + 2]) return;
          to.push_back(p);
          tap.push_back(k[i + 1]);
        }
        y.at(to) += x.at(from) * w.at(tap);
      });
    });
    return y;
  }

  Values pool(const Node& node, bool average, bool counted, const graph::Window& window) const {
    const Values& x = in(node, 0);
    Values y = result_of(node);
    each(y.shape, [&](const Indices& at) {
      double sum = 0, best = -std::numeric_limits<double>::infinity();
      std::int64_t count = 0;
      each(window.kernel, [&](const Indices& k) {
        Indices from{at[0], at[1]};
        bool inside = true, padded = true;
        for (std::size_t i = 0; i < k.size(); ++i) {
          const std::int64_t p = at[i + 2] * window.strides[i] - window.pads_begin[i] + k[i] * window.dilations[i];
          inside = inside && p >= 0 && p < x.shape[i + 2];
          padded = padded && p < x.shape[i + 2] + window.pads_end[i];
          from.push_back(p);
        }
        if (inside || (counted && padded)) ++count;
        if (!inside) return;
        sum += x.at(from);
        best = std::max(best, x.at(from));
      });
      y.at(at) = average ? sum / static_cast<double>(count) : best;
    });
    return y;
  }

  Values gemm(const Node& node) const {
    const Values &a = in(node, 0), &b = in(node, 1);
    const bool ta = node.integer("transA", 0) != 0, tb = node.integer("transB", 0) != 0;
    Values y = result_of(node);
    each(y.shape, [&](const Indices& at) {
      double sum = 0;
      for (std::int64_t k = 0; k < a.shape[ta ? 0 : 1]; ++k)
        sum += (ta ? a.at({k, at[0]}) : a.at({at[0], k})) * (tb ? b.at({at[1], k}) : b.at({k, at[1]}));
      sum *= static_cast<double>(node.real("alpha", 1));
      if (has(node, 2)) sum += static_cast<double>(node.real("beta", 1)) * broadcast_at(in(node, 2), at);
      y.at(at) = sum;
    });
    return y;
  }

  Values matmul(const Node& node) const {
    Values a = in(node, 0), b = in(node, 1), y = result_of(node);
    const Shape wanted = y.shape;
    const bool row = a.shape.size() == 1, column = b.shape.size() == 1;
    if (row) a.shape.insert(a.shape.begin(), 1);
    if (column) b.shape.push_back(1);
    if (column) y.shape.push_back(1);
    if (row) y.shape.insert(y.shape.end() - 1, 1);
    each(y.shape, [&](const Indices& at) {
      for (std::int64_t k = 0; k < a.shape.back(); ++k) {
        Indices left = at, right = at;
        left[at.size() - 1] = k;
        right[at.size() - 2] = k;
        y.at(at) += broadcast_at(a, left) * broadcast_at(b, right);
      }
    });
    y.shape = wanted;
    return y;
  }

  Values softmax(const Node& node) const {
    Values y = in(node, 0);
    const auto rank = static_cast<std::int64_t>(y.shape.size());
    std::int64_t axis = node.integer("axis", graph_.opset < 13 ? 1 : -1);
    if (axis < 0) axis += rank;
    std::int64_t run = 1, stride = 1;  // elements of one softmax, and how far apart
    for (std::int64_t i = axis; i < rank; ++i) {
      if (graph_.opset < 13 || i == axis) run *= y.shape[static_cast<std::size_t>(i)];
      if (graph_.opset >= 13 && i > axis) stride *= y.shape[static_cast<std::size_t>(i)];
    }
    const std::int64_t count = element_count(y.shape);
    for (std::int64_t begin = 0; begin < count; ++begin) {
      if (begin / stride % run != 0) continue;
      const auto element = [&](std::int64_t i) -> double& { return y.data[static_cast<std::size_t>(begin + i * stride)]; };
      double sum = 0;
      for (std::int64_t i = 0; i < run; ++i) sum += std::exp(element(i));
      for (std::int64_t i = 0; i < run; ++i) {
        element(i) = node.op_type == "Softmax" ? std::exp(element(i)) / sum : element(i) - std::log(sum);
      }
    }
    return y;
  }

  Values reduce_mean(const Node& node) const {
    const Values& x = in(node, 0);
    const auto given = *graph::axes_of(graph_, node, x.shape.size());
    Indices axes(x.shape.size());
    std::iota(axes.begin(), axes.end(), 0);
    if (given && !given->empty()) axes = *given;
    Shape kept = x.shape;
    for (std::int64_t axis : axes) kept[static_cast<std::size_t>(axis)] = 1;
    Values y = zeros(kept);
    const double count = static_cast<double>(x.data.size()) / static_cast<double>(y.data.size());
    each(x.shape, [&](const Indices& at) {
      Indices to = at;
      for (std::int64_t axis : axes) to[static_cast<std::size_t>(axis)] = 0;
      y.at(to) += x.at(at) / count;
    });
    y.shape = shapes_.at(node.outputs[0]).shape;
    return y;
  }

  // The number of a per-tensor or per-axis parameter that belongs to an element.
  static double along(const Values& parameter, const Indices& at, std::size_t axis) {
    return parameter.data[parameter.data.size() == 1 ? 0 : static_cast<std::size_t>(at[axis])];
  }
  std::size_t quantized_axis(const Node& node) const {
    const std::int64_t axis = node.integer("axis", 1);
    return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(in(node, 0).shape.size()) : axis);
  }
  Values quantize(const Node& node) const {
    const Values& x = in(node, 0);
    Values y = result_of(node);
    const std::size_t axis = quantized_axis(node);
    const auto [low, high] = y.dtype == Dtype::u8 ? std::pair(0.0, 255.0) : std::pair(-128.0, 127.0);
    each(y.shape, [&](const Indices& at) {
      // f32 / f32 in f32, halves to the even neighbour.
      const auto real = static_cast<float>(x.at(at)) / static_cast<float>(along(in(node, 1), at, axis));
      y.at(at) = std::clamp(static_cast<double>(std::nearbyint(real)) + (has(node, 2) ? along(in(node, 2), at, axis) : 0), low, high);
    });
    return y;
  }
  Values dequantize(const Node& node) const {
    const Values& x = in(node, 0);
    Values y = result_of(node);
    const std::size_t axis = quantized_axis(node);
    each(y.shape, [&](const Indices& at) {
      y.at(at) = (x.at(at) - (has(node, 2) ? along(in(node, 2), at, axis) : 0)) * along(in(node, 1), at, axis);
    });
    return y;
  }

  void split(const Node& node) {
    const Values& x = in(node, 0);
    std::int64_t axis = node.integer("axis", 0), begin = 0;
    if (axis < 0) axis += static_cast<std::int64_t>(x.shape.size());
    for (const std::string& output : node.outputs) {
      Values y = zeros(shapes_.at(output).shape, x.dtype);
      each(y.shape, [&](const Indices& at) {
        Indices from = at;
        from[static_cast<std::size_t>(axis)] += begin;
        y.at(at) = x.at(from);
      });
      begin += y.shape[static_cast<std::size_t>(axis)];
      values_[output] = std::move(y);
    }
  }

  Values concat(const Node& node) const {
    Values y = result_of(node);
    std::int64_t axis = node.integer("axis", 0);
    if (axis < 0) axis += static_cast<std::int64_t>(y.shape.size());
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const Values& x = in(node, i);
      each(x.shape, [&](const Indices& at) {
        Indices to = at;
        to[static_cast<std::size_t>(axis)] += begin;
        y.at(to) = x.at(at);
      });
      begin += x.shape[static_cast<std::size_t>(axis)];
    }
    return y;
  }

  Values pad(const Node& node) const {
    const Values& x = in(node, 0);
    const auto pads = *graph::pads_of(graph_, node, x.shape.size());
    Values y = result_of(node);
    std::ranges::fill(y.data, has(node, 2) ? in(node, 2).data[0] : static_cast<double>(node.real("value", 0)));
    each(x.shape, [&](const Indices& at) {
      Indices to = at;
      for (std::size_t i = 0; i < to.size(); ++i) {
        to[i] += pads[i];
        if (to[i] < 0 || to[i] >= y.shape[i]) return;
      }
      y.at(to) = x.at(at);
    });
    return y;
  }

  Values gather(const Node& node) const {
    const Values &x = in(node, 0), &indices = in(node, 1);
    std::int64_t axis = node.integer("axis", 0);
    if (axis < 0) axis += static_cast<std::int64_t>(x.shape.size());
    Values y = result_of(node);
    each(y.shape, [&](const Indices& at) {
      const auto first = at.begin() + axis, last = first + static_cast<std::ptrdiff_t>(indices.shape.size());
      Indices from(at.begin(), first);
      auto index = static_cast<std::int64_t>(indices.at(Indices(first, last)));
      from.push_back(index < 0 ? index + x.shape[static_cast<std::size_t>(axis)] : index);
      from.insert(from.end(), last, at.end());
      y.at(at) = x.at(from);
    });
    return y;
  }

  Values transpose(const Node& node) const {
    const Values& x = in(node, 0);
    Indices order(x.shape.size());
    std::iota(order.rbegin(), order.rend(), 0);
    order = node.integers("perm", order);
    Values y = result_of(node);
    each(y.shape, [&](const Indices& at) {
      Indices from(at.size());
      for (std::size_t i = 0; i < at.size(); ++i) from[static_cast<std::size_t>(order[i])] = at[i];
      y.at(at) = x.at(from);
    });
    return y;
  }

  // Only what the tests use: linear and nearest with half_pixel or asymmetric coordinates.
  Values resize(const Node& node) const {
    const Values& x = in(node, 0);
    Values y = result_of(node);
    const bool linear = node.text("mode", "nearest") == "linear";
    const bool half = node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel";
    const bool floor = node.text("nearest_mode", "round_prefer_floor") == "floor";
    each(y.shape, [&](const Indices& at) {
      Indices low = at;
      std::vector<double> share(at.size(), 0.0);
      for (std::size_t i = 0; i < at.size(); ++i) {
        const double scale = static_cast<double>(y.shape[i]) / static_cast<double>(x.shape[i]);
        const auto k = static_cast<double>(at[i]);
        double p = half ? (k + 0.5) / scale - 0.5 : k / scale;
        p = std::clamp(p, 0.0, static_cast<double>(x.shape[i] - 1));
        if (!linear) p = floor ? std::floor(p) : std::ceil(p - 0.5);
        low[i] = static_cast<std::int64_t>(p);
        share[i] = p - std::floor(p);
      }
      for (unsigned corner = 0; corner < 1U << at.size(); ++corner) {
        Indices from = low;
        double weight = 1;
        for (std::size_t i = 0; i < at.size(); ++i) {
          const bool upper = (corner >> i & 1U) != 0;
          weight *= upper ? share[i] : 1 - share[i];
          if (upper) from[i] = std::min(from[i] + 1, x.shape[i] - 1);
        }
        y.at(at) += weight == 0 ? 0 : weight * x.at(from);
      }
    });
    return y;
  }

  Values batch_normalization(const Node& node) const {
    Values y = in(node, 0);
    const auto epsilon = static_cast<double>(node.real("epsilon", 1e-5F));
    each(y.shape, [&](const Indices& at) {
      const auto c = static_cast<std::size_t>(at[1]);
      y.at(at) = (y.at(at) - in(node, 3).data[c]) / std::sqrt(in(node, 4).data[c] + epsilon) * in(node, 1).data[c] + in(node, 2).data[c];
    });
    return y;
  }

  Values apply(const Node& node) const {
    const std::string& op = node.op_type;
    const auto alpha = [&](float otherwise) { return static_cast<double>(node.real("alpha", otherwise)); };
    if (op == "Conv") return conv(node);
    if (op == "ConvTranspose") return conv_transpose(node);
    if (op == "BatchNormalization") return batch_normalization(node);
    if (op == "Relu") return map(node, [](double v) { return std::max(v, 0.0); });
    if (op == "LeakyRelu") return map(node, [&](double v) { return v < 0 ? alpha(0.01F) * v : v; });
    if (op == "PRelu") return combine(node, [](double v, double slope) { return v < 0 ? slope * v : v; });
    if (op == "Sigmoid") return map(node, [](double v) { return 1 / (1 + std::exp(-v)); });
    if (op == "HardSigmoid")
      return map(node, [&](double v) { return std::clamp(alpha(0.2F) * v + static_cast<double>(node.real("beta", 0.5F)), 0.0, 1.0); });
    if (op == "HardSwish") return map(node, [](double v) { return v * std::clamp(v / 6 + 0.5, 0.0, 1.0); });
    if (op == "Tanh") return map(node, [](double v) { return std::tanh(v); });
    if (op == "Sqrt") return map(node, [](double v) { return std::sqrt(v); });
    if (op == "Exp") return map(node, [](double v) { return std::exp(v); });
    if (op == "Clip") {
      const auto range = *graph::clip_range(graph_, node);
      return map(node,
                 [&](double v) { return std::min(std::max(v, static_cast<double>(range.first)), static_cast<double>(range.second)); });
    }
    if (op == "Add") return combine(node, [](double a, double b) { return a + b; });
    if (op == "Sub") return combine(node, [](double a, double b) { return a - b; });
    if (op == "Mul") return combine(node, [](double a, double b) { return a * b; });
    if (op == "Div" && in(node, 0).dtype != Dtype::f32) return combine(node, [](double a, double b) { return std::trunc(a / b); });
    if (op == "Div") return combine(node, [](double a, double b) { return a / b; });
    if (op == "Pow") return combine(node, [](double a, double b) { return std::pow(a, b); });
    if (op == "MaxPool" || op == "AveragePool")
      return pool(node, op == "AveragePool", node.integer("count_include_pad", 0) != 0,
                  *graph::window_of(node, in(node, 0).shape, node.integers("kernel_shape")));
    if (op == "GlobalAveragePool" || op == "GlobalMaxPool") {
      const Shape& shape = in(node, 0).shape;
      graph::Window window;
      window.kernel.assign(shape.begin() + 2, shape.end());
      window.strides = window.dilations = Indices(window.kernel.size(), 1);
      window.pads_begin = window.pads_end = Indices(window.kernel.size(), 0);
      return pool(node, op == "GlobalAveragePool", false, window);
    }
    if (op == "Gemm") return gemm(node);
    if (op == "MatMul") return matmul(node);
    if (op == "Softmax" || op == "LogSoftmax") return softmax(node);
    if (op == "ReduceMean") return reduce_mean(node);
    if (op == "QuantizeLinear") return quantize(node);
    if (op == "DequantizeLinear") return dequantize(node);
    if (op == "Concat") return concat(node);
    if (op == "Pad") return pad(node);
    if (op == "Gather") return gather(node);
    if (op == "Transpose") return transpose(node);
    if (op == "Resize") return resize(node);
    if (op == "Flatten" || op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Identity" || op == "Dropout") {
      Values y = in(node, 0);
      y.shape = shapes_.at(node.outputs[0]).shape;
      return y;
    }
    if (op == "Cast") {
      Values y = in(node, 0);
      y.dtype = shapes_.at(node.outputs[0]).dtype;
      if (y.dtype == Dtype::boolean) {
        for (double& v : y.data) v = v != 0 ? 1 : 0;
      } else if (y.dtype != Dtype::f32 && y.dtype != Dtype::f64) {
        for (double& v : y.data) v = std::trunc(v);
      }
      return y;
    }
    throw std::logic_error("the reference has no " + op);
  }

  const Graph& graph_;
  std::map<std::string, graph::ValueInfo> shapes_;
  std::map<std::string, Values> values_;
  std::int64_t batch_ = 1;
};

}  // namespace

std::vector<Tensor> reference_run(const Graph& graph, std::span<const Tensor> inputs) { return Reference(graph).run(inputs); }

double relative_difference(const Tensor& got, const Tensor& wanted) {
  if (got.dtype() != wanted.dtype() || got.shape() != wanted.shape()) return std::numeric_limits<double>::infinity();
  const Values a = read(got), b = read(wanted);
  double scale = 1e-3, difference = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    if (!(std::abs(a.data[i] - b.data[i]) <= std::numeric_limits<double>::max())) return std::numeric_limits<double>::infinity();
    scale = std::max(scale, std::abs(b.data[i]));
    difference = std::max(difference, std::abs(a.data[i] - b.data[i]));
  }
  return difference / scale;
}

}  // namespace sightline::runtime
