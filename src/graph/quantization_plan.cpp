// Which layers and values of a graph become integers.
#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "graph/operators.h"
#include "graph/quantization.h"

namespace sightline::graph {
namespace {

// Functions of one tensor that a runtime computes on a layer's result before it is stored.
constexpr std::array<std::string_view, 19> kFunctions{"Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish",
                                                      "Tanh", "Elu",  "Exp",       "Sqrt",  "Pow",     "Add",         "Sub",
                                                      "Mul",  "Div",  "Softplus",  "Mish",  "Abs"};
// The same numbers, elsewhere or fewer of them, or means of them.
constexpr std::array<std::string_view, 18> kMoves{
    "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Concat",       "Split",        "Slice",  "Pad",
    "Reshape", "Flatten",     "Squeeze",           "Unsqueeze",     "Transpose",  "DepthToSpace", "SpaceToDepth", "Resize", "Gather"};
constexpr std::array<std::string_view, 9> kNeverNegative{"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Exp",
                                                         "Sqrt", "Abs",     "Softplus",    "ReduceL2"};

template <class Names>
bool is_one_of(const Names& names, const Node& node) {
  return node.domain.empty() && std::ranges::find(names, node.op_type) != names.end();
}

class Planning {
 public:
  Planning(const Graph& graph, const std::map<std::string, ValueInfo>& values, const std::set<std::string>& kept, bool pairs_before_sums)
      : graph_(graph), values_(values), kept_(kept), pairs_before_sums_(pairs_before_sums) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      for (const std::string& input : node.inputs)
        if (readers_[input].empty() || readers_[input].back() != i) readers_[input].push_back(i);
      for (const std::string& output : node.outputs)
        if (!output.empty()) maker_[output] = i;
    }
    for (const ValueInfo& output : graph.outputs) outside_.insert(output.name);
  }

  QuantizationPlan run() {
    QuantizationPlan plan;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      auto layer = layer_of(i);
      if (!layer || kept_.contains(layer->name)) continue;
      layers_.insert(i);
      plan.layers.push_back(*std::move(layer));
    }
    find_chains();
    for (const QuantizedLayer& layer : plan.layers) want(layer.input);
    want_operands();
    group(plan);
    return plan;
  }

 private:
  bool computed(const std::string& value) const { return !value.empty() && !graph_.initializers.contains(value); }
  bool is_real(const std::string& value) const { return computed(value) && values_.at(value).dtype == Dtype::f32; }
  const Tensor* real_constant(const Node& node, std::size_t slot) const {
    const Tensor* tensor = slot < node.inputs.size() ? find_constant(graph_, node.inputs[slot]) : nullptr;
    return tensor != nullptr && tensor->dtype() == Dtype::f32 && tensor->count() > 0 ? tensor : nullptr;
  }

  std::optional<QuantizedLayer> layer_of(std::size_t i) const {
    const Node& node = graph_.nodes[i];
    if (!node.domain.empty() || node.inputs.size() < 2 || !is_real(node.inputs[0])) return std::nullopt;
    const std::string& op = node.op_type;
    const Tensor* weights = real_constant(node, 1);
    if (weights == nullptr || weights->rank() < 2) return std::nullopt;
    const bool gemm = op == "Gemm", matmul = op == "MatMul", transposed = op == "ConvTranspose";
    if (op != "Conv" && !transposed && !gemm && !matmul) return std::nullopt;
    if (gemm &&
        (node.integer("transB", 0) == 0 || node.integer("transA", 0) != 0 || node.real("alpha", 1) != 1 || node.real("beta", 1) != 1))
      return std::nullopt;
    if (matmul && (weights->rank() != 2 || values_.at(node.inputs[0]).shape.size() < 2)) return std::nullopt;
    QuantizedLayer layer{.node = i, .name = node.outputs[0], .input = node.inputs[0], .axis = transposed || matmul ? 1U : 0U};
    layer.channels = weights->dim(layer.axis);
    if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
      const std::int64_t outputs = transposed ? layer.channels * node.integer("group", 1) : layer.channels;
      const Tensor* bias = real_constant(node, 2);
      if (bias == nullptr || bias->count() != outputs) return std::nullopt;
      // The bias' scales follow the channels of the result, those of the weights repeat for every group.
      if (transposed && node.integer("group", 1) != 1) return std::nullopt;
    }
    return layer;
  }

  // A function of one tensor: every other input is constant.
  bool is_function(const Node& node, const std::string& of) const {
    if (!is_one_of(kFunctions, node) || node.outputs.size() != 1) return false;
    return std::ranges::all_of(node.inputs, [&](const std::string& input) { return input == of || !computed(input); });
  }
  bool is_binary(const Node& node) const {
    return node.domain.empty() && (node.op_type == "Add" || node.op_type == "Mul") && computed(node.inputs[0]) &&
           computed(node.inputs[1]) && node.inputs[0] != node.inputs[1];
  }

  // Values inside a chain, which are never stored, and what each chain begins with.
  void find_chains() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.outputs.empty() || node.outputs[0].empty()) continue;
      const std::string& value = node.outputs[0];
      const bool follows = std::ranges::any_of(node.inputs, [&](const std::string& input) { return inside_.contains(input); });
      if (!follows) head_[value] = i;
      for (const std::string& input : node.inputs)
        if (inside_.contains(input)) head_[value] = head_.at(input);
      const bool head = layers_.contains(i) || is_binary(node) || is_one_of(kFunctions, node) || node.op_type == "Conv" ||
                        node.op_type == "ConvTranspose" || node.op_type == "Gemm" || node.op_type == "MatMul";
      if (node.outputs.size() != 1 || !head || outside_.contains(value) || !is_real(value)) continue;
      const auto found = readers_.find(value);
      if (found == readers_.end()) continue;
      const std::vector<std::size_t>& next = found->second;
      if (next.size() == 1 && is_function(graph_.nodes[next[0]], value)) inside_.insert(value);
      if (next.size() == 2) enter_gate(value, graph_.nodes[next[0]], graph_.nodes[next[1]]);
      // The first layer whose result is summed takes the sum into its chain.
      if (!pairs_before_sums_ && next.size() == 1 && is_binary(graph_.nodes[next[0]]) && !claimed_.contains(next[0]) &&
          layers_.contains(head_.at(value)) && values_.at(value).shape == values_.at(graph_.nodes[next[0]].outputs[0]).shape) {
        inside_.insert(value);
        claimed_.insert(next[0]);
      }
    }
  }

  // x · gate(x), as exporters write Swish and Hard-Swish: both x and the gate are inside.
  void enter_gate(const std::string& x, const Node& gate, const Node& product) {
    if (product.op_type != "Mul" || !product.domain.empty() || !is_function(gate, x) || product.inputs.size() != 2) return;
    const std::string& opened = gate.outputs[0];
    const bool both = (product.inputs[0] == x && product.inputs[1] == opened) || (product.inputs[1] == x && product.inputs[0] == opened);
    if (!both || readers_.at(opened).size() != 1 || outside_.contains(opened)) return;
    inside_.insert(x);
    inside_.insert(opened);
  }

  // The value that the chain of this one ends with.
  const std::string& end_of(const std::string& value) const {
    const std::string* at = &value;
    while (inside_.contains(*at)) at = &graph_.nodes[readers_.at(*at).back()].outputs[0];
    return *at;
  }

  void want(const std::string& value) {
    if (inside_.contains(value) || !is_real(value) || !wanted_.insert(value).second) return;
    const auto maker = maker_.find(value);
    if (maker == maker_.end()) return;
    const Node& node = graph_.nodes[maker->second];
    if (!is_move(node)) return;
    for (const std::string& input : moved_inputs(node)) want(input);
  }
  bool is_move(const Node& node) const {
    if (!is_one_of(kMoves, node)) return false;
    // A free value that is filled in would have to be a multiple of the scale; zero always is.
    if (node.op_type == "Pad" && node.inputs.size() > 2 && !node.inputs[2].empty()) {
      const Tensor* filled = find_constant(graph_, node.inputs[2]);
      if (filled == nullptr || scalar_of(*filled) != 0.0) return false;
    }
    // Cubic interpolation overshoots.
    return node.op_type != "Resize" || node.text("mode", "nearest") != "cubic";
  }
  std::vector<std::string> moved_inputs(const Node& node) const {
    if (node.op_type == "Concat") return node.inputs;
    return {node.inputs[0]};
  }

  // Operands of sums and products that have a layer's result in their chain, or whose result is wanted.
  void want_operands() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
        const Node& node = graph_.nodes[i];
        if (!is_binary(node) || (!claimed_.contains(i) && !wanted_.contains(end_of(node.outputs[0])))) continue;
        if (!std::ranges::all_of(node.inputs, [&](const std::string& input) { return may_be_operand(input); })) continue;
        for (const std::string& input : node.inputs) {
          if (inside_.contains(input) || wanted_.contains(input)) continue;
          want(input);
          changed = changed || wanted_.contains(input);
        }
      }
    }
  }
  // What layers, sums and moves of such leave behind; not what f32 operators do.
  bool may_be_operand(const std::string& value) const {
    if (wanted_.contains(value) || inside_.contains(value)) return true;
    const auto head = head_.find(value);
    if (head == head_.end() || !is_real(value)) return false;
    const Node& node = graph_.nodes[head->second];
    if (layers_.contains(head->second)) return true;
    if (is_move(node)) return std::ranges::all_of(moved_inputs(node), [&](const std::string& input) { return may_be_operand(input); });
    return is_binary(node) && std::ranges::all_of(node.inputs, [&](const std::string& input) { return may_be_operand(input); });
  }

  bool never_negative(const std::string& value) {
    const auto known = signs_.find(value);
    if (known != signs_.end()) return known->second;
    signs_[value] = false;  // no cycles in a graph, but a bound for what follows
    return signs_[value] = work_out_sign(value);
  }
  bool work_out_sign(const std::string& value) {
    if (const Tensor* constant = find_constant(graph_, value); constant != nullptr) {
      const auto numbers = reals_of(*constant);
      return numbers && std::ranges::all_of(*numbers, [](double v) { return v >= 0; });
    }
    const auto maker = maker_.find(value);
    if (maker == maker_.end()) return false;
    const Node& node = graph_.nodes[maker->second];
    if (!node.domain.empty()) return false;
    if (is_one_of(kNeverNegative, node)) return true;
    if (node.op_type == "Clip") {
      const auto range = clip_range(Constants(graph_, &values_), node);
      return range.ok() && range->first >= 0;
    }
    if (node.op_type == "Cast") return values_.at(node.inputs[0]).dtype == Dtype::u8;
    if (node.op_type == "Add" || node.op_type == "Mul" || node.op_type == "Div" || is_move(node)) {
      const bool two = !is_move(node);
      return std::ranges::all_of(two ? node.inputs : moved_inputs(node), [&](const std::string& input) { return never_negative(input); });
    }
    if (node.op_type == "HardSwish" || node.op_type == "LeakyRelu" || node.op_type == "PRelu") return never_negative(node.inputs[0]);
    return false;
  }

  void group(QuantizationPlan& plan) {
    std::map<std::string, std::string> parent;
    for (const std::string& value : wanted_) parent[value] = value;
    const auto root = [&](std::string value) {
      while (parent.at(value) != value) value = parent.at(value);
      return value;
    };
    for (const Node& node : graph_.nodes) {
      if (!is_move(node)) continue;
      std::vector<std::string> together = moved_inputs(node);
      together.insert(together.end(), node.outputs.begin(), node.outputs.end());
      std::erase_if(together, [&](const std::string& value) { return !wanted_.contains(value); });
      for (std::size_t i = 1; i < together.size(); ++i) parent[root(together[i])] = root(together[0]);
    }
    std::map<std::string, std::size_t> number;
    std::vector<bool> is_unsigned;
    const auto add = [&](const std::string& value) {
      if (!wanted_.contains(value)) return;
      const auto [place, fresh] = number.try_emplace(root(value), number.size());
      if (fresh) is_unsigned.push_back(true);
      is_unsigned[place->second] = is_unsigned[place->second] && never_negative(value);
      plan.values.push_back({value, place->second});
    };
    for (const ValueInfo& input : graph_.inputs) add(input.name);
    for (const Node& node : graph_.nodes)
      for (const std::string& output : node.outputs) add(output);
    for (QuantizedValue& value : plan.values) value.is_unsigned = is_unsigned[value.group];
    plan.groups = number.size();
  }

  const Graph& graph_;
  const std::map<std::string, ValueInfo>& values_;
  const std::set<std::string>& kept_;
  const bool pairs_before_sums_;
  std::map<std::string, std::vector<std::size_t>> readers_;
  std::map<std::string, std::size_t> maker_, head_;
  std::set<std::string> outside_, inside_, wanted_;
  std::set<std::size_t> layers_, claimed_;
  std::map<std::string, bool> signs_;
};

}  // namespace

Result<QuantizationPlan> plan_quantization(const Graph& prepared, const std::set<std::string>& kept, bool pairs_before_sums) {
  SIGHTLINE_TRY(const auto values, infer_shapes(prepared));
  return Planning(prepared, values, kept, pairs_before_sums).run();
}

}  // namespace sightline::graph
