#include "runtime/merged_graph.h"

#include <algorithm>

namespace sightline::runtime {
namespace {

using graph::Graph;
using graph::Node;
using Names = std::set<std::string>;

// Where parts are taken from: a new model, or a part that is to be cut.
struct Source {
  const Graph& graph;
  const std::map<std::string, graph::ValueInfo>& values;
  const Names& of_shapes;
};

// The nodes that make `values`, and those of shapes that they read.
Part part_of(const Source& source, const Names& values, const Names& outputs) {
  Part part;
  part.graph.opset = source.graph.opset;
  Names read = outputs;
  for (auto node = source.graph.nodes.rbegin(); node != source.graph.nodes.rend(); ++node) {
    const bool own = std::ranges::any_of(node->outputs, [&](const std::string& output) { return values.contains(output); });
    const bool of_shapes = source.of_shapes.contains(first_output(*node)) &&
                           std::ranges::any_of(node->outputs, [&](const std::string& output) { return read.contains(output); });
    if (!own && !of_shapes) continue;
    read.insert(node->inputs.begin(), node->inputs.end());
    part.graph.nodes.push_back(*node);
  }
  std::ranges::reverse(part.graph.nodes);
  Names made;
  for (const Node& node : part.graph.nodes) made.insert(node.outputs.begin(), node.outputs.end());
  Names inputs;
  for (const Node& node : part.graph.nodes) {
    for (const std::string& input : node.inputs) {
      if (input.empty() || made.contains(input)) continue;
      if (const auto constant = source.graph.initializers.find(input); constant != source.graph.initializers.end()) {
        part.graph.initializers.insert(*constant);
      } else if (inputs.insert(input).second) {
        part.graph.inputs.push_back(source.values.at(input));
      }
    }
  }
  for (const std::string& output : outputs) part.graph.outputs.push_back(source.values.at(output));
  for (graph::ValueInfo& info : part.graph.inputs) info.value = {};
  for (graph::ValueInfo& info : part.graph.outputs) info.value = {};
  part.values = values;
  return part;
}

// What the nodes that make `values` read, through values of shapes, that they do not make themselves.
Names read_by(const Source& source, const Names& values) {
  const Part part = part_of(source, values, {});
  Names names;
  for (const graph::ValueInfo& input : part.graph.inputs) names.insert(input.name);
  return names;
}

Names output_names(const Part& part) {
  Names names;
  for (const graph::ValueInfo& output : part.graph.outputs) names.insert(output.name);
  return names;
}

Names intersection(const Names& a, const Names& b) {
  Names both;
  std::ranges::set_intersection(a, b, std::inserter(both, both.end()));
  return both;
}

Names difference(const Names& a, const Names& b) {
  Names left;
  std::ranges::set_difference(a, b, std::inserter(left, left.end()));
  return left;
}

// `values` and all that they are computed from inside the part.
Names with_ancestors(const Part& part, const Names& values) {
  Names wanted = values;
  for (auto node = part.graph.nodes.rbegin(); node != part.graph.nodes.rend(); ++node)
    if (std::ranges::any_of(node->outputs, [&](const std::string& output) { return wanted.contains(output); }))
      wanted.insert(node->inputs.begin(), node->inputs.end());
  return intersection(wanted, part.values);
}

// What values of shapes there are in a part: what it computes and does not make for others.
Names of_shapes_in(const Part& part) {
  Names names;
  for (const Node& node : part.graph.nodes)
    if (!part.values.contains(first_output(node))) names.insert(first_output(node));
  return names;
}

}  // namespace

std::optional<MergedGraph::Addition> MergedGraph::known(const Canonical& model) const {
  Addition addition;
  std::set<PartId> seen;
  std::vector<PartId> open;
  const auto visit = [&](const std::string& value) {
    const PartId maker = maker_of(value);
    if (maker != 0 && seen.insert(maker).second) open.push_back(maker);
    return maker;
  };
  for (const graph::ValueInfo& output : model.graph.outputs) {
    const PartId maker = visit(output.name);
    if (maker == 0 || std::ranges::count(parts_.at(maker)->graph.outputs, output.name, &graph::ValueInfo::name) == 0) return std::nullopt;
  }
  while (!open.empty()) {
    const PartId id = open.back();
    open.pop_back();
    addition.parts.push_back(id);
    for (const graph::ValueInfo& input : parts_.at(id)->graph.inputs) visit(input.name);
  }
  return addition;
}

Result<MergedGraph::Addition> MergedGraph::plan(const Canonical& model) const {
  const Source source{model.graph, model.values, model.of_shapes};
  Names wanted, fresh;
  for (const graph::ValueInfo& output : model.graph.outputs) wanted.insert(output.name);
  std::map<PartId, Names> touched;
  for (const Node& node : model.graph.nodes) {
    const bool asked = std::ranges::any_of(node.outputs, [&](const std::string& output) { return wanted.contains(output); });
    if (model.of_shapes.contains(first_output(node)) && !asked) continue;
    const PartId maker = maker_of(first_output(node));
    Names& names = maker == 0 ? fresh : touched[maker];
    for (const std::string& output : node.outputs)
      if (!output.empty()) names.insert(output);
  }
  const Names read = read_by(source, fresh);
  Names needed = wanted;
  needed.insert(read.begin(), read.end());

  Addition addition;
  PartId id = next_;
  bool alone = false;  // a value between parts would not have the batch in front
  for (const auto& [old_id, names] : touched) {
    const Part& old = *parts_.at(old_id);
    const Names asked = intersection(needed, old.values), before = output_names(old);
    const Names shared = with_ancestors(old, names), rest = difference(old.values, shared);
    Names outputs = before;
    outputs.insert(asked.begin(), asked.end());
    for (const std::string& value : intersection(read, old.values)) alone = alone || !model.handed.contains(value);
    if (rest.empty() && outputs == before) {
      addition.parts.push_back(old_id);
      continue;
    }
    SIGHTLINE_TRY(const auto values, graph::infer_shapes(old.graph));
    const Names of_shapes = of_shapes_in(old);
    const Source cut{old.graph, values, of_shapes};
    if (rest.empty()) {
      addition.made[id] = part_of(cut, old.values, outputs);
      addition.replaced[old_id] = {id};
      addition.parts.push_back(id++);
      continue;
    }
    const Names across = intersection(read_by(cut, rest), shared);
    for (const std::string& value : across) alone = alone || (!model.handed.contains(value) && !before.contains(value));
    Names shared_outputs = intersection(outputs, shared);
    shared_outputs.insert(across.begin(), across.end());
    addition.made[id] = part_of(cut, shared, shared_outputs);
    addition.made[id + 1] = part_of(cut, rest, intersection(outputs, rest));
    addition.replaced[old_id] = {id, id + 1};
    addition.parts.push_back(id);
    id += 2;
  }
  if (!fresh.empty()) {
    addition.made[id] = part_of(source, fresh, intersection(wanted, fresh));
    addition.parts.push_back(id++);
  }
  if (!alone) return addition;

  // All of the model in one part of its own, of which others may have the outputs.
  Names all;
  for (const Node& node : model.graph.nodes)
    for (const std::string& output : node.outputs)
      if (!output.empty()) all.insert(output);
  Part part = part_of(source, all, wanted);
  part.values = wanted;
  addition = {};
  addition.parts = {next_};
  addition.made[next_] = std::move(part);
  return addition;
}

void MergedGraph::add(const std::string& name, Addition addition) {
  for (const auto& [old, by] : addition.replaced) {
    for (const PartId id : by) users_[id] = users_.at(old);
    for (auto& [model, parts] : models_) {
      const auto found = std::ranges::find(parts, old);
      if (found == parts.end()) continue;
      parts.erase(found);
      parts.insert(parts.end(), by.begin(), by.end());
    }
    parts_.erase(old);
    users_.erase(old);
  }
  for (auto& [id, part] : addition.made) {
    for (const std::string& value : part.values) makers_[value] = id;
    parts_[id] = std::make_shared<const Part>(std::move(part));
    next_ = std::max(next_, id + 1);
  }
  for (const PartId id : addition.parts) ++users_[id];
  models_[name] = std::move(addition.parts);
}

std::vector<PartId> MergedGraph::remove(const std::string& name) {
  std::vector<PartId> gone;
  for (const PartId id : models_.at(name)) {
    if (--users_.at(id) > 0) continue;
    const Names values = parts_.at(id)->values;
    parts_.erase(id);
    users_.erase(id);
    for (const std::string& value : values) {
      if (makers_.at(value) != id) continue;
      makers_.erase(value);
      // A model that could not be cut may have stood in for a part that makes the same.
      for (const auto& [other, part] : parts_)
        if (part->values.contains(value)) makers_[value] = other;
    }
    gone.push_back(id);
  }
  models_.erase(name);
  return gone;
}

PartId MergedGraph::maker_of(const std::string& value) const {
  const auto found = makers_.find(value);
  return found == makers_.end() ? 0 : found->second;
}

}  // namespace sightline::runtime
