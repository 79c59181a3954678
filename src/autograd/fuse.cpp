#include "autograd/fuse.h"

#include <set>

namespace sightline::autograd {
namespace {

constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

// Who reads each value; nowhere when there is more than one reader, or the value is wanted.
std::map<std::string, std::size_t> single_readers(const std::vector<graph::Node>& nodes, const std::vector<std::string>& wanted) {
  std::map<std::string, std::size_t> readers;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& input : nodes[i].inputs)
      if (!readers.emplace(input, i).second) readers[input] = nowhere;
  for (const std::string& name : wanted) readers[name] = nowhere;
  return readers;
}

}  // namespace

std::vector<graph::Node> fuse_norms(std::vector<graph::Node> nodes, const std::vector<std::string>& wanted,
                                    const std::map<std::string, graph::ValueInfo>& shapes) {
  const std::map<std::string, std::size_t> readers = single_readers(nodes, wanted);
  const auto reader_of = [&](const graph::Node& node) {
    const auto found = readers.find(node.outputs[0]);
    return found == readers.end() ? nowhere : found->second;
  };
  const auto same_shape = [&](const std::string& a, const std::string& b) {
    const auto first = shapes.find(a);
    const auto second = shapes.find(b);
    return first != shapes.end() && second != shapes.end() && first->second.shape == second->second.shape &&
           first->second.dtype == second->second.dtype;
  };

  std::set<std::size_t> dropped;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op_type != "BatchNormalization" || nodes[i].outputs.empty() || nodes[i].inputs.size() != 5) continue;
    std::size_t last = reader_of(nodes[i]);
    if (last == nowhere || dropped.contains(last)) continue;  // an Add with two of them belongs to the first
    std::vector<std::size_t> replaced{i};
    std::string shortcut;
    if (nodes[last].op_type == "Add") {
      const graph::Node& add = nodes[last];
      shortcut = add.inputs[add.inputs[0] == nodes[i].outputs[0] ? 1 : 0];
      if (!same_shape(shortcut, nodes[i].outputs[0])) continue;
      const std::size_t after = reader_of(add);
      if (after != nowhere && nodes[after].op_type == "Relu") {
        replaced.push_back(last);
        last = after;
      }
    } else if (nodes[last].op_type != "Relu") {
      continue;
    }
    graph::Node fused{.name = nodes[i].name,
                      .op_type = "FusedNorm",
                      .inputs = nodes[i].inputs,
                      .outputs = nodes[last].outputs,
                      .attributes = {},
                      .domain = ""};
    if (!shortcut.empty()) fused.inputs.push_back(shortcut);
    fused.attributes["epsilon"] = nodes[i].real("epsilon", 1e-5F);
    fused.attributes["rectify"] = std::int64_t{nodes[last].op_type == "Relu" ? 1 : 0};
    nodes[last] = std::move(fused);
    dropped.insert(replaced.begin(), replaced.end());
  }
  std::vector<graph::Node> kept;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (!dropped.contains(i)) kept.push_back(std::move(nodes[i]));
  return kept;
}

}  // namespace sightline::autograd
