#include "modules/feature_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <vector>

#include "base/text.h"

namespace sightline::modules {
namespace {

using graph::Graph;
using graph::Node;
using graph::ValueInfo;
using Values = std::map<std::string, ValueInfo>;

constexpr std::size_t most_candidates = 12;

// Operators between a classifier and the graph's output that choose nothing.
constexpr std::array passing{"Softmax", "LogSoftmax", "Sigmoid",   "Identity", "Dropout",  "Flatten",
                             "Reshape", "Squeeze",    "Unsqueeze", "Cast",     "Transpose"};
constexpr std::array pools{"GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "AveragePool", "MaxPool"};

template <class List>
bool among(const List& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// One vector of several numbers per picture: f32 N×D, N×D×1×1, N×1×D and the like.
bool is_vector(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end() || found->second.dtype != Dtype::f32 || found->second.shape.size() < 2 || found->second.shape.size() > 4)
    return false;
  const Shape& shape = found->second.shape;
  return std::count_if(shape.begin() + 1, shape.end(), [](std::int64_t size) { return size > 1; }) == 1 &&
         std::none_of(shape.begin() + 1, shape.end(), [](std::int64_t size) { return size < 1; });
}

bool is_map(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  return found != values.end() && found->second.dtype == Dtype::f32 && found->second.shape.size() >= 3 && found->second.shape.size() <= 4;
}

struct Walker {
  const Graph& graph;
  const Values& values;
  std::map<std::string, const Node*> maker;

  Walker(const Graph& source, const Values& known) : graph(source), values(known) {
    for (const Node& node : graph.nodes)
      for (const std::string& output : node.outputs) maker[output] = &node;
  }
  const Node* maker_of(const std::string& value) const {
    const auto found = maker.find(value);
    return found == maker.end() ? nullptr : found->second;
  }
  bool constant(const std::string& value) const { return graph.initializers.contains(value); }
  // The data input of a linear layer with constant weights; "" when the node is none.
  std::string data_of(const Node& node) const {
    if (node.op_type == "Gemm" && node.inputs.size() >= 2 && constant(node.inputs[1])) return node.inputs[0];
    if (node.op_type == "MatMul" && node.inputs.size() == 2 && constant(node.inputs[1])) return node.inputs[0];
    if (node.op_type == "Conv" && node.inputs.size() >= 2 && constant(node.inputs[1]) && node.integer("group", 1) == 1) {
      const Shape& weight = graph.initializers.at(node.inputs[1]).shape();
      const bool pointwise = std::all_of(weight.begin() + 2, weight.end(), [](std::int64_t size) { return size == 1; });
      if (pointwise) return node.inputs[0];
    }
    return "";
  }
};

// The classifier behind one output, or nothing.
std::optional<FeatureLayer> behind(const Walker& walker, const std::string& output) {
  bool softmax = false;
  std::string value = output;
  std::string last_vector;
  while (const Node* node = walker.maker_of(value)) {
    if (is_vector(walker.values, value) && !softmax) last_vector = value;
    if (among(passing, node->op_type)) {
      softmax = softmax || node->op_type == "Softmax" || node->op_type == "LogSoftmax" || node->op_type == "Sigmoid";
      value = node->inputs[0];
      continue;
    }
    if ((node->op_type == "Add" || node->op_type == "Mul" || node->op_type == "Div") && node->inputs.size() == 2 &&
        (walker.constant(node->inputs[0]) != walker.constant(node->inputs[1]))) {
      value = node->inputs[walker.constant(node->inputs[0]) ? 1 : 0];  // a bias, or a temperature
      continue;
    }
    const std::string data = walker.data_of(*node);
    if (!data.empty() && is_vector(walker.values, data))
      return FeatureLayer{data, fmt::format("the input of the last {} (\"{}\")", node->op_type, data)};
    if (among(pools, node->op_type) && is_vector(walker.values, value)) {
      // Scores of places that are averaged (SqueezeNet and its kin): the classifier stands in front of the pool. Without a Softmax behind
      // it nobody can tell it from a layer of features.
      const Node* before = walker.maker_of(node->inputs[0]);
      while (softmax && before != nullptr && (before->op_type == "Relu" || before->op_type == "Clip" || among(passing, before->op_type)))
        before = walker.maker_of(before->inputs[0]);
      const std::string map = softmax && before != nullptr ? walker.data_of(*before) : "";
      if (!map.empty() && is_map(walker.values, map))
        return FeatureLayer{map, fmt::format("the input of the {} whose scores are averaged (\"{}\")", before->op_type, map)};
    }
    break;
  }
  if (!last_vector.empty() && !softmax)
    return FeatureLayer{last_vector, fmt::format("the graph ends in a vector per picture (\"{}\")", last_vector)};
  return std::nullopt;
}

std::string candidates_of(const Walker& walker) {
  std::vector<std::string> names;
  for (auto node = walker.graph.nodes.rbegin(); node != walker.graph.nodes.rend() && names.size() < most_candidates; ++node) {
    const std::string data = walker.data_of(*node);
    const std::string pooled = among(pools, node->op_type) ? node->outputs[0] : "";
    for (const std::string& name : {data, pooled})
      if (!name.empty() && is_vector(walker.values, name) && !among(names, name)) names.push_back(name);
  }
  if (names.empty())
    for (auto node = walker.graph.nodes.rbegin(); node != walker.graph.nodes.rend() && names.size() < 4; ++node)
      if (is_map(walker.values, node->outputs[0])) names.push_back(node->outputs[0]);
  for (std::string& name : names) name = fmt::format("{} ({})", name, to_string(walker.values.at(name).shape));
  return names.empty() ? "none" : join(names, ", ");
}

}  // namespace

Result<FeatureLayer> find_feature_layer(const Graph& graph, const Values& values, const std::string& file) {
  const Walker walker(graph, values);
  std::vector<FeatureLayer> found;
  for (const ValueInfo& output : graph.outputs) {
    const auto layer = behind(walker, output.name);
    if (layer && std::none_of(found.begin(), found.end(), [&](const FeatureLayer& each) { return each.value == layer->value; }))
      found.push_back(*layer);
  }
  if (found.size() == 1) return found[0];
  return Error{ErrorKind::usage,
               fmt::format("{}: {}; name the value to cut at (backbone: {{cut: NAME}}); candidates: {}", file,
                           found.empty() ? "no classifier was found behind its outputs"
                                         : fmt::format("its outputs have {} classifiers on different features", found.size()),
                           candidates_of(walker))};
}

Result<FeatureLayer> named_feature_layer(const Graph& graph, const Values& values, const std::string& file, const std::string& name) {
  const Walker walker(graph, values);
  if (walker.maker_of(name) == nullptr) {
    std::vector<std::string> names;
    for (const auto& [value, node] : walker.maker) names.push_back(value);
    return Error{ErrorKind::not_found, fmt::format("{}: no node makes a value \"{}\"{}; candidates to cut at: {}", file, name,
                                                   did_you_mean(name, names), candidates_of(walker))};
  }
  if (!is_vector(values, name) && !is_map(values, name)) {
    const ValueInfo& info = values.at(name);
    return Error{ErrorKind::unsupported,
                 fmt::format("{}: \"{}\" is {} {}, but a head reads a vector, a feature map or tokens of f32; candidates: {}", file, name,
                             name_of(info.dtype), to_string(info.shape), candidates_of(walker))};
  }
  return FeatureLayer{name, fmt::format("cut at \"{}\": the demand says so", name)};
}

}  // namespace sightline::modules
