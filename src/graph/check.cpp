#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "graph/operators.h"

namespace sightline::graph {
namespace {

// The letter of an attribute's kind, as the operator table spells it.
char kind_of(const Attribute& attribute) { return "ifstIFS"[attribute.index()]; }

const char* kind_in_words(char kind) {
  switch (kind) {
    case 'i': return "an integer";
    case 'f': return "a real number";
    case 's': return "text";
    case 't': return "a tensor";
    case 'I': return "a list of integers";
    case 'F': return "a list of real numbers";
    default: return "a list of texts";
  }
}

Result<void> check_operator(const Node& node) {
  const Operator* row = find_operator(node);
  if (row == nullptr) return {};  // another's operator: nothing is known of it
  const auto count = static_cast<int>(node.inputs.size());
  if (count < row->least_inputs || (row->most_inputs >= 0 && count > row->most_inputs))
    return fault(node, fmt::format("it has {}", plural(node.inputs.size(), "input")));
  for (int i = 0; i < row->least_inputs; ++i) {
    if (node.inputs[static_cast<std::size_t>(i)].empty()) return fault(node, fmt::format("input {} must be given", i));
  }
  if (std::ranges::all_of(node.outputs, [](const std::string& name) { return name.empty(); })) return fault(node, "it has no output");
  std::map<std::string, char> known;
  for (const std::string& entry : split(row->attributes, ' ')) {
    if (!entry.empty()) known[entry.substr(0, entry.size() - 2)] = entry.back();
  }
  for (const auto& [key, value] : node.attributes) {
    const auto found = known.find(key);
    if (found == known.end()) {
      std::vector<std::string> names;
      for (const auto& [name, kind] : known) names.push_back(name);
      return fault(node, fmt::format("it has no attribute \"{}\"{}", key, did_you_mean(key, names)));
    }
    if (found->second != kind_of(value))
      return fault(node, fmt::format("the attribute \"{}\" must be {}", key, kind_in_words(found->second)));
  }
  return {};
}

Error invalid(std::string message) { return {ErrorKind::invalid_data, std::move(message)}; }

}  // namespace

Result<void> check(const Graph& graph) {
  if (graph.opset < 1) return invalid(fmt::format("opset {} does not exist", graph.opset));
  std::set<std::string> known;
  for (const ValueInfo& input : graph.inputs) {
    if (input.name.empty()) return invalid("an input has no name");
    if (!known.insert(input.name).second) return invalid(fmt::format("there are two inputs \"{}\"", input.name));
    if (!known_count(input.shape))
      return invalid(fmt::format("the input \"{}\" has the impossible shape {}", input.name, to_string(input.shape)));
  }
  for (const auto& [name, tensor] : graph.initializers) {
    if (name.empty()) return invalid("an initializer has no name");
    if (!known.insert(name).second) return invalid(fmt::format("\"{}\" is an input and an initializer", name));
    for (std::int64_t d : tensor.shape()) {
      if (d < 0) return invalid(fmt::format("the initializer \"{}\" has the impossible shape {}", name, to_string(tensor.shape())));
    }
    if (!known_count(tensor.shape())) return invalid(fmt::format("the initializer \"{}\" is too large", name));
    if (tensor.data() == nullptr && tensor.count() > 0) return invalid(fmt::format("the initializer \"{}\" holds nothing", name));
  }
  std::set<std::string> made;
  for (const Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) {
      if (!output.empty() && (known.contains(output) || !made.insert(output).second))
        return fault(node, fmt::format("\"{}\" is made twice", output));
    }
  }
  for (const Node& node : graph.nodes) {
    SIGHTLINE_CHECK(check_operator(node));
    for (const std::string& input : node.inputs) {
      if (input.empty() || known.contains(input)) continue;
      if (made.contains(input))
        return fault(node, fmt::format("it reads \"{}\", which is made only by itself or after it (a cycle?)", input));
      return fault(node, fmt::format("it reads \"{}\", which nothing makes", input));
    }
    for (const std::string& output : node.outputs) {
      if (!output.empty()) known.insert(output);
    }
  }
  if (graph.outputs.empty()) return invalid("the graph has no output");
  std::set<std::string> wanted;
  const auto check_output = [&](const std::string& name, const char* what) -> Result<void> {
    if (!known.contains(name) || name.empty()) return invalid(fmt::format("the {} \"{}\" is made by no node", what, name));
    if (!wanted.insert(name).second) return invalid(fmt::format("the {} \"{}\" is declared twice", what, name));
    return {};
  };
  for (const ValueInfo& output : graph.outputs) {
    SIGHTLINE_CHECK(check_output(output.name, "output"));
    if (!known_count(output.shape))
      return invalid(fmt::format("the output \"{}\" has the impossible shape {}", output.name, to_string(output.shape)));
  }
  for (const std::string& name : graph.training_outputs) SIGHTLINE_CHECK(check_output(name, "training output"));
  return {};
}

}  // namespace sightline::graph
