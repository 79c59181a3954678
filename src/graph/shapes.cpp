// Shape inference that walks a graph with the operator table. Rules: the ONNX operator specification, opsets 9 to 17 (and what
// of 18 and later is spelled the same).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

constexpr std::int64_t kCountLimit = std::int64_t{1} << 40;
constexpr std::size_t kRankLimit = 32;

struct DtypeCode {
  Dtype dtype;
  std::int64_t code;
};
constexpr std::array<DtypeCode, 9> kDtypeCodes{{{Dtype::f32, 1},
                                                {Dtype::u8, 2},
                                                {Dtype::i8, 3},
                                                {Dtype::i32, 6},
                                                {Dtype::i64, 7},
                                                {Dtype::boolean, 9},
                                                {Dtype::f16, 10},
                                                {Dtype::f64, 11},
                                                {Dtype::bf16, 16}}};

}  // namespace

std::string describe(const Node& node) {
  if (!node.name.empty()) return fmt::format("node \"{}\" ({})", node.name, node.op_type);
  return fmt::format("the node that makes \"{}\" ({})", node.outputs.empty() ? "" : node.outputs[0], node.op_type);
}

Error fault(const Node& node, std::string what) { return {ErrorKind::invalid_data, describe(node) + ": " + std::move(what)}; }

const Tensor* find_constant(const Graph& graph, const std::string& value) {
  const auto found = graph.initializers.find(value);
  return found == graph.initializers.end() ? nullptr : &found->second;
}

const Tensor* Constants::find_sizes(const std::string& value) const {
  if (const Tensor* tensor = find_constant(*graph_, value)) return tensor;
  if (values_ == nullptr) return nullptr;
  const auto found = values_->find(value);
  return found != values_->end() && found->second.value.defined() ? &found->second.value : nullptr;
}

const Tensor* Constants::find(const std::string& value) const {
  if (const Tensor* tensor = find_constant(*graph_, value)) return tensor;
  const Tensor* tensor = find_sizes(value);
  if (tensor == nullptr || tensor->dtype() != Dtype::i64) return tensor;
  return std::ranges::count(tensor->values<std::int64_t>(), kFreeSize) == 0 ? tensor : nullptr;
}

const Tensor* Call::constant(std::size_t i) const {
  return i < node.inputs.size() && !node.inputs[i].empty() ? constants.find(node.inputs[i]) : nullptr;
}

const Tensor* Call::sizes(std::size_t i) const {
  return i < node.inputs.size() && !node.inputs[i].empty() ? constants.find_sizes(node.inputs[i]) : nullptr;
}

std::optional<std::vector<std::int64_t>> integers_of(const Tensor& tensor) {
  if (tensor.dtype() == Dtype::i64) {
    const auto values = tensor.values<std::int64_t>();
    return std::vector<std::int64_t>(values.begin(), values.end());
  }
  if (tensor.dtype() == Dtype::i32) {
    const auto values = tensor.values<std::int32_t>();
    return std::vector<std::int64_t>(values.begin(), values.end());
  }
  return std::nullopt;
}

namespace {

std::optional<double> real_at(const Tensor& tensor, std::size_t i) {
  switch (tensor.dtype()) {
    case Dtype::f32: return static_cast<double>(tensor.values<float>()[i]);
    case Dtype::f64: return tensor.values<double>()[i];
    case Dtype::i64: return static_cast<double>(tensor.values<std::int64_t>()[i]);
    case Dtype::i32: return static_cast<double>(tensor.values<std::int32_t>()[i]);
    case Dtype::u8: return static_cast<double>(tensor.values<std::uint8_t>()[i]);
    case Dtype::i8: return static_cast<double>(tensor.values<std::int8_t>()[i]);
    case Dtype::boolean: return tensor.data()[i] != std::byte{0} ? 1.0 : 0.0;
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<double> scalar_of(const Tensor& tensor) {
  if (tensor.count() < 1) return std::nullopt;
  return real_at(tensor, 0);
}

std::optional<std::vector<double>> reals_of(const Tensor& tensor) {
  std::vector<double> values;
  for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.count()); ++i) {
    const auto value = real_at(tensor, i);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

Result<std::pair<float, float>> clip_range(const Constants& constants, const Node& node) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::pair<float, float> range{node.real("min", -kInfinity), node.real("max", kInfinity)};
  const auto limit = [&](std::size_t i, float& value) -> Result<void> {
    if (node.inputs.size() <= i || node.inputs[i].empty()) return {};
    const Tensor* tensor = constants.find(node.inputs[i]);
    if (tensor == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: the limit \"{}\" is not constant", describe(node), node.inputs[i])};
    const auto number = scalar_of(*tensor);
    if (!number) return fault(node, fmt::format("the limit \"{}\" is not a number", node.inputs[i]));
    value = static_cast<float>(*number);
    return {};
  };
  SIGHTLINE_CHECK(limit(1, range.first));
  SIGHTLINE_CHECK(limit(2, range.second));
  return range;
}

std::int64_t onnx_dtype(Dtype dtype) { return std::ranges::find(kDtypeCodes, dtype, &DtypeCode::dtype)->code; }

std::optional<Dtype> dtype_from_onnx(std::int64_t code) {
  const auto found = std::ranges::find(kDtypeCodes, code, &DtypeCode::code);
  if (found == kDtypeCodes.end()) return std::nullopt;
  return found->dtype;
}

std::optional<std::int64_t> known_count(const Shape& shape) {
  if (shape.size() > kRankLimit) return std::nullopt;
  std::int64_t count = 1;
  bool empty = false;
  for (std::int64_t d : shape) {
    if (d < -1) return std::nullopt;
    if (d == 0) empty = true;
    if (d <= 0) continue;
    if (d > kCountLimit / count) return std::nullopt;
    count *= d;
  }
  return empty ? 0 : count;
}

Result<std::map<std::string, ValueInfo>> infer_shapes(const Graph& graph, std::int64_t batch) {
  std::map<std::string, ValueInfo> values;
  for (const auto& [name, tensor] : graph.initializers) {
    if (!known_count(tensor.shape())) return Error{ErrorKind::invalid_data, fmt::format("the initializer \"{}\" is too large", name)};
    values[name] = {name, tensor.dtype(), tensor.shape()};
  }
  for (const ValueInfo& input : graph.inputs) {
    ValueInfo value = input;
    if (batch > 0 && !value.shape.empty() && value.shape[0] < 0) value.shape[0] = batch;
    if (!known_count(value.shape))
      return Error{ErrorKind::invalid_data,
                   fmt::format("the input \"{}\" has the impossible shape {}", input.name, to_string(input.shape))};
    values[input.name] = std::move(value);
  }
  for (const Node& node : graph.nodes) {
    const Operator* row = find_operator(node);
    if (row == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: shape inference does not know the operator {}{}{}", describe(node), node.domain,
                                                       node.domain.empty() ? "" : ".", node.op_type)};
    Call call{graph, node, {}, Constants(graph, &values)};
    for (const std::string& name : node.inputs) {
      const auto found = name.empty() ? values.end() : values.find(name);
      if (!name.empty() && found == values.end())
        return fault(node, fmt::format("its input \"{}\" is not made by anything before it", name));
      call.inputs.push_back(name.empty() ? nullptr : &found->second);
    }
    for (int i = 0; i < row->least_inputs; ++i) {
      if (call.input(static_cast<std::size_t>(i)) == nullptr) return fault(node, fmt::format("input {} is missing", i));
    }
    SIGHTLINE_TRY(const std::vector<Typed> inferred, row->infer(call));
    if (node.outputs.size() > inferred.size()) return fault(node, fmt::format("it cannot have {} outputs", node.outputs.size()));
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (!known_count(inferred[i].shape))
        return fault(node, fmt::format("its output would be {}, which is too large", to_string(inferred[i].shape)));
      values[node.outputs[i]] = {node.outputs[i], inferred[i].dtype, inferred[i].shape};
    }
    if (node.outputs.size() == 1)
      if (auto value = folded_value(call, inferred[0])) values[node.outputs[0]].value = *std::move(value);
  }
  return values;
}

std::vector<std::string> inputs_to_bind(const Graph& graph) {
  // Backwards from the inputs that must be known; what a Shape tells of a value is known without its elements.
  std::set<std::string> wanted;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const Operator* row = find_operator(*node);
    if (row == nullptr) continue;
    const bool read = std::ranges::any_of(node->outputs, [&](const std::string& name) { return wanted.contains(name); });
    const bool only_shape = node->op_type == "Shape" || node->op_type == "Size";
    for (std::size_t i = 0; i < node->inputs.size(); ++i)
      if ((read && !only_shape) || (row->bound >> std::min<std::size_t>(i, 31) & 1U) != 0) wanted.insert(node->inputs[i]);
  }
  std::vector<std::string> names;
  for (const ValueInfo& input : graph.inputs)
    if (wanted.contains(input.name)) names.push_back(input.name);
  return names;
}

Result<Cost> cost_of(const Graph& graph) {
  SIGHTLINE_TRY(const auto values, infer_shapes(graph, 1));
  Cost cost;
  for (const auto& [name, role] : roles_of(graph)) {
    if (role != Role::constant) cost.parameters += graph.initializers.at(name).count();
  }
  double flops = 0;
  for (const Node& node : graph.nodes) {
    Call call{graph, node, {}, Constants(graph, &values)};
    for (const std::string& name : node.inputs) call.inputs.push_back(name.empty() ? nullptr : &values.at(name));
    const auto output = std::ranges::find_if(node.outputs, [](const std::string& name) { return !name.empty(); });
    if (output != node.outputs.end()) flops += find_operator(node)->flops(call, values.at(*output).shape);
  }
  cost.flops = static_cast<std::int64_t>(std::min(flops, 9e18));
  return cost;
}

}  // namespace sightline::graph
