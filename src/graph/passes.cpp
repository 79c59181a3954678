#include <algorithm>
#include <cmath>
#include <set>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

// Values that must keep their names.
std::set<std::string> named_outside(const Graph& graph) {
  std::set<std::string> names(graph.training_outputs.begin(), graph.training_outputs.end());
  for (const ValueInfo& output : graph.outputs) names.insert(output.name);
  return names;
}

std::map<std::string, int> count_readers(const Graph& graph) {
  std::map<std::string, int> readers;
  for (const Node& node : graph.nodes) {
    for (const std::string& input : node.inputs) ++readers[input];
  }
  for (const std::string& name : named_outside(graph)) ++readers[name];
  return readers;
}

// Removes the nodes that `passes_through` names, which hand input 0 to output 0. Where that would take the name from an output of the
// graph, the value before takes that name over, or (when it has a name to keep itself) an Identity stays.
template <class Predicate>
void bypass(Graph& graph, Predicate passes_through) {
  std::map<std::string, std::string> stands_for;
  const std::set<std::string> fixed = named_outside(graph);
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    for (std::string& input : node.inputs) {
      if (const auto found = stands_for.find(input); found != stands_for.end()) input = found->second;
    }
    if (passes_through(node) && !fixed.contains(node.outputs[0])) {
      stands_for[node.outputs[0]] = node.inputs[0];
      continue;
    }
    if (passes_through(node)) node = Node{node.name, "Identity", {node.inputs[0]}, {node.outputs[0]}, {}, ""};
    kept.push_back(std::move(node));
  }
  graph.nodes = std::move(kept);
  // What is left of them makes an output of the graph: the value before takes its name, unless it keeps its own.
  std::map<std::string, std::string> renamed;
  std::set<std::string> made;
  for (const Node& node : graph.nodes) made.insert(node.outputs.begin(), node.outputs.end());
  std::erase_if(graph.nodes, [&](const Node& node) {
    if (node.op_type != "Identity" || !passes_through(node)) return false;
    const std::string& source = node.inputs[0];
    return made.contains(source) && !fixed.contains(source) && renamed.try_emplace(source, node.outputs[0]).second;
  });
  const auto apply = [&](std::vector<std::string>& names) {
    for (std::string& name : names) {
      if (const auto found = renamed.find(name); found != renamed.end()) name = found->second;
    }
  };
  for (Node& node : graph.nodes) {
    apply(node.inputs);
    apply(node.outputs);
  }
}

void remove_dead(Graph& graph) {
  std::set<std::string> wanted = named_outside(graph);
  std::vector<Node> live;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool needed = std::ranges::any_of(node->outputs, [&](const std::string& name) { return !name.empty() && wanted.contains(name); });
    if (!needed) continue;
    wanted.insert(node->inputs.begin(), node->inputs.end());
    live.push_back(std::move(*node));
  }
  std::ranges::reverse(live);
  graph.nodes = std::move(live);
  std::erase_if(graph.initializers, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

const Tensor* real_vector(const Graph& graph, const std::string& name, std::int64_t length) {
  const Tensor* tensor = find_constant(graph, name);
  return tensor != nullptr && tensor->dtype() == Dtype::f32 && tensor->count() == length ? tensor : nullptr;
}

std::string unused_name(const Graph& graph, const std::set<std::string>& values, const std::string& wish) {
  std::string name = wish;
  for (int i = 1; graph.initializers.contains(name) || values.contains(name); ++i) name = wish + "_" + std::to_string(i);
  return name;
}

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias as y = factor * x + shift, per channel.
struct Affine {
  std::vector<double> factor, shift;
};

std::optional<Affine> affine_of(const Graph& graph, const Node& norm) {
  if (norm.op_type != "BatchNormalization" || !norm.domain.empty() || norm.inputs.size() != 5 || norm.integer("training_mode", 0) != 0)
    return std::nullopt;
  const Tensor* scale = find_constant(graph, norm.inputs[1]);
  if (scale == nullptr || scale->dtype() != Dtype::f32) return std::nullopt;
  const std::int64_t channels = scale->count();
  const Tensor* bias = real_vector(graph, norm.inputs[2], channels);
  const Tensor* mean = real_vector(graph, norm.inputs[3], channels);
  const Tensor* variance = real_vector(graph, norm.inputs[4], channels);
  if (bias == nullptr || mean == nullptr || variance == nullptr) return std::nullopt;
  Affine affine;
  const double epsilon = static_cast<double>(norm.real("epsilon", 1e-5F));
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    const double spread = std::sqrt(static_cast<double>(variance->values<float>()[c]) + epsilon);
    const double factor = static_cast<double>(scale->values<float>()[c]) / spread;
    affine.factor.push_back(factor);
    affine.shift.push_back(static_cast<double>(bias->values<float>()[c]) - static_cast<double>(mean->values<float>()[c]) * factor);
  }
  return affine;
}

struct Folded {
  Tensor weight, bias;
};

// The weight and bias of `node` (Conv or Gemm) with the affine map behind it, or nothing when its parameters are of another form.
std::optional<Folded> fold(const Graph& graph, const Node& node, const Affine& affine) {
  const auto channels = static_cast<std::int64_t>(affine.factor.size());
  const bool conv = node.op_type == "Conv";
  if (!node.domain.empty() || !(conv || node.op_type == "Gemm") || node.inputs.size() < 2) return std::nullopt;
  const Tensor* weight = find_constant(graph, node.inputs[1]);
  if (weight == nullptr || weight->dtype() != Dtype::f32 || weight->rank() < 2) return std::nullopt;
  const bool rows = conv || node.integer("transB", 0) != 0;  // the output channel is the weight's first axis
  if (weight->dim(rows ? 0 : 1) != channels || channels == 0 || weight->count() == 0) return std::nullopt;
  const Tensor* bias = nullptr;
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    bias = find_constant(graph, node.inputs[2]);
    // One number for all, or one for each channel; a matrix of biases stays as it is.
    if (bias == nullptr || bias->dtype() != Dtype::f32 || !(bias->count() == 1 || bias->count() == channels)) return std::nullopt;
    if (bias->count() == channels && bias->shape().back() != channels) return std::nullopt;
  }
  Folded folded{weight->copy(), Tensor(Dtype::f32, {channels})};
  const auto values = folded.weight.values<float>();
  const std::size_t per_channel = values.size() / static_cast<std::size_t>(channels);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = rows ? i / per_channel : i % static_cast<std::size_t>(channels);
    values[i] = static_cast<float>(static_cast<double>(values[i]) * affine.factor[c]);
  }
  const double beta = conv ? 1.0 : static_cast<double>(node.real("beta", 1.0F));
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    const double before = bias == nullptr ? 0.0 : static_cast<double>(bias->values<float>()[bias->count() == 1 ? 0 : c]) * beta;
    folded.bias.values<float>()[c] = static_cast<float>(before * affine.factor[c] + affine.shift[c]);
  }
  return folded;
}

}  // namespace

Graph serving_graph(const Graph& graph) {
  Graph serving = graph;
  serving.training_outputs.clear();
  remove_dead(serving);
  const auto readers = count_readers(serving);
  bypass(serving, [&](const Node& node) {
    const bool mask_read = node.outputs.size() > 1 && readers.contains(node.outputs[1]);
    return node.domain.empty() && (node.op_type == "Dropout" || node.op_type == "Identity") && !mask_read;
  });
  remove_dead(serving);
  return serving;
}

Graph remove_identities(const Graph& graph) {
  Graph result = graph;
  bypass(result, [](const Node& node) { return node.domain.empty() && node.op_type == "Identity"; });
  return result;
}

Graph fold_batch_norm(const Graph& graph) {
  Graph result = graph;
  const auto readers = count_readers(result);
  std::map<std::string, std::size_t> maker;
  std::set<std::string> values;
  for (std::size_t i = 0; i < result.nodes.size(); ++i) {
    for (const std::string& output : result.nodes[i].outputs) {
      maker[output] = i;
      values.insert(output);
    }
  }
  for (const ValueInfo& input : result.inputs) values.insert(input.name);
  std::vector<bool> gone(result.nodes.size(), false);
  for (std::size_t i = 0; i < result.nodes.size(); ++i) {
    const Node& norm = result.nodes[i];
    const auto affine = affine_of(result, norm);
    if (!affine) continue;
    // Outputs beyond the first are statistics of training; whoever reads them keeps the node.
    if (std::any_of(norm.outputs.begin() + 1, norm.outputs.end(), [&](const std::string& name) { return readers.contains(name); }))
      continue;
    const auto before = maker.find(norm.inputs[0]);
    if (before == maker.end() || readers.at(norm.inputs[0]) != 1) continue;
    Node& linear = result.nodes[before->second];
    auto folded = fold(result, linear, *affine);
    if (!folded) continue;
    const auto put = [&](std::size_t slot, const std::string& suffix, Tensor tensor) {
      std::string name = linear.inputs.size() > slot ? linear.inputs[slot] : "";
      // A name that has no reader yet was made by an earlier fold.
      const auto shared = readers.find(name);
      if (name.empty() || (shared != readers.end() && shared->second > 1)) name = unused_name(result, values, linear.outputs[0] + suffix);
      result.initializers[name] = std::move(tensor);
      if (linear.inputs.size() <= slot) linear.inputs.resize(slot + 1);
      linear.inputs[slot] = name;
    };
    put(1, ".weight", std::move(folded->weight));
    put(2, ".bias", std::move(folded->bias));
    linear.attributes.erase("beta");
    linear.outputs[0] = norm.outputs[0];
    maker[norm.outputs[0]] = before->second;
    gone[i] = true;
  }
  std::vector<Node> kept;
  for (std::size_t i = 0; i < result.nodes.size(); ++i) {
    if (!gone[i]) kept.push_back(std::move(result.nodes[i]));
  }
  result.nodes = std::move(kept);
  remove_dead(result);
  return result;
}

std::map<std::string, Role> roles_of(const Graph& graph) {
  std::map<std::string, Role> roles;
  for (const auto& [name, tensor] : graph.initializers) roles[name] = Role::constant;
  std::map<std::string, const Node*> maker;
  const auto assign = [&](const Node& node, std::size_t slot, Role role) {
    if (slot >= node.inputs.size()) return;
    const auto found = roles.find(node.inputs[slot]);
    // Integers are not learned, and the first role that is found stays.
    if (found == roles.end() || found->second != Role::constant) return;
    const Dtype dtype = graph.initializers.at(found->first).dtype();
    if (dtype != Dtype::f32 && dtype != Dtype::f64) return;
    found->second = role;
  };
  for (const Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) maker[output] = &node;
    if (!node.domain.empty()) continue;
    const std::string& op = node.op_type;
    if (op == "Conv" || op == "ConvTranspose" || op == "Gemm") {
      assign(node, 1, Role::weight);
      assign(node, 2, Role::bias);
    } else if (op == "MatMul") {
      assign(node, 0, Role::weight);
      assign(node, 1, Role::weight);
    } else if (op == "PRelu") {
      assign(node, 1, Role::weight);
    } else if (op == "BatchNormalization") {
      assign(node, 1, Role::scale);
      assign(node, 2, Role::bias);
      assign(node, 3, Role::running_mean);
      assign(node, 4, Role::running_variance);
    } else if (op == "LayerNormalization" || op == "InstanceNormalization") {
      assign(node, 1, Role::scale);
      assign(node, 2, Role::bias);
    } else if (op == "LSTM" || op == "GRU" || op == "RNN") {
      assign(node, 1, Role::weight);
      assign(node, 2, Role::weight);
      assign(node, 3, Role::bias);
    } else if (op == "Add" && node.inputs.size() == 2) {
      // Exporters write a linear layer on more than two axes as MatMul and Add.
      for (std::size_t i = 0; i < 2; ++i) {
        const auto before = maker.find(node.inputs[1 - i]);
        if (before != maker.end() && before->second->op_type == "MatMul") assign(node, i, Role::bias);
      }
    }
  }
  return roles;
}

}  // namespace sightline::graph
