#include "graph/quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

constexpr float greatest_s8 = 127, greatest_u8 = 255;
// A bias has to fit 32 bits with room for the sum that it is added to.
constexpr double greatest_bias = 1 << 30;

// weights as rows × channels × inner.
struct Channels {
  std::size_t count = 0, inner = 1;
  Channels(const Shape& shape, std::size_t axis) : count(static_cast<std::size_t>(shape[axis])) {
    for (std::size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<std::size_t>(shape[d]);
  }
  std::size_t of(std::size_t element) const { return element / inner % count; }
};

class Writing {
 public:
  Writing(const Graph& prepared, const QuantizationPlan& plan) : graph_(prepared), plan_(plan) {
    for (const ValueInfo& input : prepared.inputs) taken_.insert(input.name);
    for (const Node& node : prepared.nodes) taken_.insert(node.outputs.begin(), node.outputs.end());
    for (const auto& [name, tensor] : prepared.initializers) taken_.insert(name);
  }

  Result<Graph> run(const std::map<std::string, float>& greatest, const std::map<std::string, std::vector<float>>& shifts) {
    SIGHTLINE_CHECK(make_scales(greatest));
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    std::map<std::size_t, const QuantizedLayer*> layers;
    for (const QuantizedLayer& layer : plan_.layers) layers[layer.node] = &layer;
    for (const ValueInfo& input : graph_.inputs) add_pair(input.name);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      Node node = std::move(nodes[i]);
      if (const auto layer = layers.find(i); layer != layers.end()) {
        const auto shift = shifts.find(layer->second->name);
        quantize(node, *layer->second, shift == shifts.end() ? nullptr : &shift->second);
      }
      for (std::string& input : node.inputs)
        if (const auto pair = stands_for_.find(input); pair != stands_for_.end()) input = pair->second;
      const std::vector<std::string> outputs = node.outputs;
      graph_.nodes.push_back(std::move(node));
      for (const std::string& output : outputs) add_pair(output);
    }
    drop_unread();
    SIGHTLINE_CHECK(check(graph_));
    return std::move(graph_);
  }

 private:
  std::string fresh(const std::string& wish) {
    std::string name = wish;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wish, i);
    return name;
  }
  std::string constant(const std::string& wish, Tensor tensor) {
    const std::string name = fresh(wish);
    graph_.initializers[name] = std::move(tensor);
    return name;
  }

  Result<void> make_scales(const std::map<std::string, float>& greatest) {
    std::vector<float> most(plan_.groups, 0);
    for (const QuantizedValue& value : plan_.values) {
      const auto found = greatest.find(value.name);
      if (found == greatest.end()) return Error{ErrorKind::internal, fmt::format("nobody observed how large \"{}\" becomes", value.name)};
      most[value.group] = std::max(most[value.group], found->second);
    }
    scale_names_.resize(plan_.groups);
    for (const QuantizedValue& value : plan_.values) {
      const float scale = scale_for(most[value.group], value.is_unsigned);
      std::string& name = scale_names_[value.group];
      if (name.empty()) name = constant(value.name + "_scale", Tensor::filled({}, scale));
      values_[value.name] = {&value, scale};
    }
    return {};
  }

  const std::string& zero(bool is_unsigned) {
    std::string& name = is_unsigned ? zero_u8_ : zero_s8_;
    if (name.empty()) name = constant(is_unsigned ? "zero_u8" : "zero_s8", Tensor::zeros(is_unsigned ? Dtype::u8 : Dtype::i8, {}));
    return name;
  }

  void add_pair(const std::string& value) {
    const auto found = values_.find(value);
    if (found == values_.end()) return;
    const QuantizedValue& planned = *found->second.first;
    const std::string integers = fresh(value + "_quantized"), reals = fresh(value + "_dequantized");
    const std::string &scale = scale_names_[planned.group], &offset = zero(planned.is_unsigned);
    graph_.nodes.push_back({fresh(value + "_QuantizeLinear"), "QuantizeLinear", {value, scale, offset}, {integers}, {}, ""});
    graph_.nodes.push_back({fresh(value + "_DequantizeLinear"), "DequantizeLinear", {integers, scale, offset}, {reals}, {}, ""});
    stands_for_[value] = reals;
  }

  void quantize(Node& node, const QuantizedLayer& layer, const std::vector<float>* shift) {
    const float input_scale = values_.at(layer.input).second;
    const Tensor& weights = graph_.initializers.at(node.inputs[1]);
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].empty();
    Tensor bias;
    if (has_bias || (shift != nullptr && node.op_type != "MatMul")) {
      bias = has_bias ? graph_.initializers.at(node.inputs[2]).copy() : Tensor::filled({layer.channels}, 0);
      bias = bias.reshaped({bias.count()});
      if (shift != nullptr)
        for (std::size_t c = 0; c < shift->size(); ++c) bias.values<float>()[c] -= (*shift)[c];
    }
    const QuantizedWeights quantized = quantize_weights(weights, layer.axis, bias.defined() ? &bias : nullptr, input_scale);
    node.inputs[1] = dequantized(layer.name + "_weight", quantized.values, quantized.scales, static_cast<std::int64_t>(layer.axis));
    if (!bias.defined()) return;
    Tensor integers(Dtype::i32, bias.shape()), scales(Dtype::f32, quantized.scales.shape());
    for (std::size_t c = 0; c < static_cast<std::size_t>(bias.count()); ++c) {
      const float scale = input_scale * quantized.scales.values<float>()[c];
      scales.values<float>()[c] = scale;
      integers.values<std::int32_t>()[c] =
          static_cast<std::int32_t>(std::clamp(std::nearbyint(static_cast<double>(bias.values<float>()[c]) / static_cast<double>(scale)),
                                               -2 * greatest_bias, 2 * greatest_bias - 1));
    }
    node.inputs.resize(3);
    node.inputs[2] = dequantized(layer.name + "_bias", std::move(integers), std::move(scales), 0);
  }

  std::string dequantized(const std::string& name, Tensor integers, Tensor scales, std::int64_t axis) {
    Node node{fresh(name + "_DequantizeLinear"), "DequantizeLinear", {}, {fresh(name + "_dequantized")}, {{"axis", axis}}, ""};
    const bool weights = integers.dtype() == Dtype::i8;
    const Shape channels = scales.shape();
    node.inputs = {constant(name + "_quantized", std::move(integers)), constant(name + "_scale", std::move(scales))};
    // ONNX has no zero point for i32.
    if (weights) node.inputs.push_back(zeros(channels));
    const std::string output = node.outputs[0];
    graph_.nodes.push_back(std::move(node));
    return output;
  }
  const std::string& zeros(const Shape& channels) {
    std::string& name = zeros_[channels[0]];
    if (name.empty()) name = constant(fmt::format("zeros_{}", channels[0]), Tensor::zeros(Dtype::i8, channels));
    return name;
  }

  void drop_unread() {
    std::set<std::string> read;
    for (const Node& node : graph_.nodes) read.insert(node.inputs.begin(), node.inputs.end());
    for (const ValueInfo& output : graph_.outputs) read.insert(output.name);
    std::erase_if(graph_.initializers, [&](const auto& entry) { return !read.contains(entry.first); });
  }

  Graph graph_;
  const QuantizationPlan& plan_;
  std::set<std::string> taken_;
  std::vector<std::string> scale_names_;
  std::map<std::string, std::pair<const QuantizedValue*, float>> values_;
  std::map<std::string, std::string> stands_for_;
  std::map<std::int64_t, std::string> zeros_;
  std::string zero_u8_, zero_s8_;
};

// Gemm with its factors in its constants and the output channels first, where the constants permit it.
void respell_gemm(Graph& graph, Node& node, const std::set<std::string>& taken) {
  if (node.op_type != "Gemm" || !node.domain.empty() || node.integer("transA", 0) != 0) return;
  const bool transposed = node.integer("transB", 0) != 0;
  const float alpha = node.real("alpha", 1), beta = node.real("beta", 1);
  const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].empty();
  const auto is_real = [&](const Tensor* tensor) { return tensor != nullptr && tensor->dtype() == Dtype::f32 && tensor->count() > 0; };
  const Tensor* weights = find_constant(graph, node.inputs[1]);
  if (!is_real(weights) || weights->rank() != 2) return;
  const std::int64_t outputs = weights->dim(transposed ? 0 : 1), inputs = weights->dim(transposed ? 1 : 0);
  const Tensor* bias = has_bias ? find_constant(graph, node.inputs[2]) : nullptr;
  if (has_bias &&
      (!is_real(bias) || (bias->count() != 1 && bias->count() != outputs) || (bias->rank() > 0 && bias->shape().back() != bias->count())))
    return;
  const auto name = [&](const char* suffix) {
    std::string fresh = node.outputs[0] + suffix;
    while (taken.contains(fresh) || graph.initializers.contains(fresh)) fresh += "_";
    return fresh;
  };
  if (!transposed || alpha != 1) {
    Tensor turned(Dtype::f32, {outputs, inputs});
    for (std::int64_t o = 0; o < outputs; ++o)
      for (std::int64_t i = 0; i < inputs; ++i)
        turned.values<float>()[static_cast<std::size_t>(o * inputs + i)] =
            alpha * weights->values<float>()[static_cast<std::size_t>(transposed ? o * inputs + i : i * outputs + o)];
    const std::string given = name(".weight");
    graph.initializers[given] = std::move(turned);
    node.inputs[1] = given;
  }
  if (has_bias && (beta != 1 || bias->count() != outputs || bias->rank() != 1)) {
    Tensor spread(Dtype::f32, {outputs});
    for (std::size_t o = 0; o < static_cast<std::size_t>(outputs); ++o)
      spread.values<float>()[o] = beta * bias->values<float>()[bias->count() == 1 ? 0 : o];
    const std::string given = name(".bias");
    graph.initializers[given] = std::move(spread);
    node.inputs[2] = given;
  }
  node.attributes.erase("alpha");
  node.attributes.erase("beta");
  node.attributes["transB"] = std::int64_t{1};
}

}  // namespace

Result<Graph> prepare_for_quantization(const Graph& graph) {
  SIGHTLINE_CHECK(check(graph));
  SIGHTLINE_TRY(Graph prepared, raise_opset(remove_identities(fold_batch_norm(serving_graph(graph))), 13));
  std::set<std::string> taken;
  for (const ValueInfo& input : prepared.inputs) taken.insert(input.name);
  for (const Node& node : prepared.nodes) taken.insert(node.outputs.begin(), node.outputs.end());
  for (Node& node : prepared.nodes) respell_gemm(prepared, node, taken);
  return serving_graph(prepared);  // weights that nobody reads any more go
}

QuantizedWeights quantize_weights(const Tensor& weights, std::size_t axis, const Tensor* bias, float input_scale) {
  const Channels channels(weights.shape(), axis);
  const auto values = weights.values<float>();
  std::vector<float> greatest(channels.count, 0);
  for (std::size_t i = 0; i < values.size(); ++i) greatest[channels.of(i)] = std::max(greatest[channels.of(i)], std::abs(values[i]));
  QuantizedWeights quantized{Tensor(Dtype::i8, weights.shape()), Tensor(Dtype::f32, {static_cast<std::int64_t>(channels.count)})};
  const auto scales = quantized.scales.values<float>();
  for (std::size_t c = 0; c < channels.count; ++c) {
    scales[c] = greatest[c] / greatest_s8;
    if (bias != nullptr && c < static_cast<std::size_t>(bias->count())) {
      const double least = std::abs(static_cast<double>(bias->values<float>()[c])) / (greatest_bias * static_cast<double>(input_scale));
      scales[c] = std::max(scales[c], static_cast<float>(least));
    }
    // A channel of zeros, or of numbers that are none any more when divided.
    if (!(scales[c] > 1e-30F)) scales[c] = 1;
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    quantized.values.values<std::int8_t>()[i] =
        static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] / scales[channels.of(i)]), -greatest_s8, greatest_s8));
  return quantized;
}

Tensor dequantize(const Tensor& values, const Tensor& scales, std::size_t axis) {
  const Channels channels(values.shape(), axis);
  Tensor reals(Dtype::f32, values.shape());
  for (std::size_t i = 0; i < static_cast<std::size_t>(values.count()); ++i)
    reals.values<float>()[i] = static_cast<float>(values.values<std::int8_t>()[i]) * scales.values<float>()[channels.of(i)];
  return reals;
}

float scale_for(float greatest, bool is_unsigned) {
  const float scale = greatest / (is_unsigned ? greatest_u8 : greatest_s8);
  return scale > 1e-30F ? scale : 1;
}

Result<Graph> write_qdq(const Graph& prepared, const QuantizationPlan& plan, const std::map<std::string, float>& greatest,
                        const std::map<std::string, std::vector<float>>& shifts) {
  return Writing(prepared, plan).run(greatest, shifts);
}

}  // namespace sightline::graph
