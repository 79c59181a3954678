// The weights of a trained net for the detector that begins with it.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "modules/detector.h"

namespace sightline::modules {
namespace {

// A convolution and the normalisation behind it, by their places among the nodes.
struct Layer {
  std::size_t conv = 0;
  std::optional<std::size_t> norm;
};

std::vector<Layer> layers_of(const graph::Graph& graph) {
  std::vector<Layer> layers;
  std::map<std::string, std::size_t> layer_that_makes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    if (node.op_type == "Conv" && graph.initializers.contains(node.inputs[1])) {
      layer_that_makes[node.outputs[0]] = layers.size();
      layers.push_back({i, {}});
    } else if (node.op_type == "BatchNormalization" && layer_that_makes.contains(node.inputs[0])) {
      layers[layer_that_makes.at(node.inputs[0])].norm = i;
    }
  }
  return layers;
}

std::size_t backbone_layers(const graph::Graph& graph) {
  const auto found = graph.metadata.find(backbone_layers_key);
  std::size_t count = 0;
  if (found != graph.metadata.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), count);
  return count;
}

}  // namespace

void mark_backbone(graph::Graph& graph, const std::string& last_map) {
  std::int64_t layers = 0;
  for (const graph::Node& node : graph.nodes) {
    if (node.op_type == "Conv") ++layers;
    if (node.outputs[0] == last_map) break;
  }
  graph.metadata[backbone_layers_key] = std::to_string(layers);
}

Result<int> adopt_backbone(graph::Graph& detector, const graph::Graph& backbone) {
  const std::vector<Layer> ours = layers_of(detector), theirs = layers_of(backbone);
  const std::size_t count = backbone_layers(detector);
  if (count < 1 || count > ours.size())
    return Error{ErrorKind::unsupported,
                 fmt::format("the graph does not say which of its layers are its backbone's ({})", backbone_layers_key)};
  graph::Graph result = detector;
  std::vector<bool> gone(result.nodes.size(), false);
  int taken = 0;
  for (std::size_t i = 0; i < count; ++i) {
    graph::Node& conv = result.nodes[ours[i].conv];
    const Shape wanted = result.initializers.at(conv.inputs[1]).shape();
    const auto differs = [&](const std::string& what) {
      return Error{ErrorKind::invalid_data,
                   fmt::format("this is not the detector's backbone: layer {} is {} there and {} here", i + 1, what, to_string(wanted))};
    };
    if (i >= theirs.size()) return differs("missing");
    const graph::Node& source = backbone.nodes[theirs[i].conv];
    const auto tensor = [&](const graph::Node& node, std::size_t slot) -> const Tensor* {
      const auto found = node.inputs.size() > slot ? backbone.initializers.find(node.inputs[slot]) : backbone.initializers.end();
      return found == backbone.initializers.end() || found->second.dtype() != Dtype::f32 ? nullptr : &found->second;
    };
    const Tensor *weight = tensor(source, 1), *bias = tensor(source, 2);
    if (weight == nullptr || weight->shape() != wanted || !ours[i].norm)
      return differs(weight == nullptr ? "no f32 convolution" : to_string(weight->shape()));
    result.initializers[conv.inputs[1]] = weight->copy();
    ++taken;
    const graph::Node norm = result.nodes[*ours[i].norm];
    if (!theirs[i].norm) {
      const std::string name = conv.outputs[0] + ".bias";
      result.initializers[name] = bias != nullptr ? bias->copy() : Tensor::filled({wanted[0]}, 0);
      conv.inputs.resize(2);
      conv.inputs.push_back(name);
      conv.outputs[0] = norm.outputs[0];
      gone[*ours[i].norm] = true;
      for (std::size_t slot = 1; slot <= 4; ++slot) result.initializers.erase(norm.inputs[slot]);
      taken += bias != nullptr ? 1 : 0;
      continue;
    }
    const graph::Node& their_norm = backbone.nodes[*theirs[i].norm];
    for (std::size_t slot = 1; slot <= 4; ++slot) {
      const Tensor* statistic = tensor(their_norm, slot);
      if (statistic == nullptr || statistic->shape() != Shape{wanted[0]}) return differs("without a normalisation of its channels");
      result.initializers[norm.inputs[slot]] = statistic->copy();
      ++taken;
    }
    if (bias != nullptr) {  // a normalisation takes off what the convolution adds
      const auto mean = result.initializers.at(norm.inputs[3]).values<float>();
      for (std::size_t c = 0; c < mean.size(); ++c) mean[c] -= bias->values<float>()[c];
    }
  }
  std::size_t place = 0;
  std::erase_if(result.nodes, [&](const graph::Node&) { return gone[place++]; });
  SIGHTLINE_CHECK(graph::check(result));
  detector = std::move(result);
  return taken;
}

}  // namespace sightline::modules
