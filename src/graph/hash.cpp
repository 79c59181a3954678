// Merkle digests of values. A digest says what is computed from what; names of values, nodes and initializers do not count, nor does
// the order of nodes. Graph inputs count by their position, dtype and shape.
#include <bit>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

// Counts into every digest: to be raised when the meaning of what is hashed changes.
constexpr std::string_view kVersion = "sightline merkle 1";

void add_number(Sha256& hash, std::int64_t value) { hash.add(std::string_view(reinterpret_cast<const char*>(&value), sizeof(value))); }
void add_real(Sha256& hash, float value) { add_number(hash, std::bit_cast<std::int32_t>(value)); }

void add_type(Sha256& hash, Dtype dtype, const Shape& shape) {
  hash.add_field(name_of(dtype));
  add_number(hash, static_cast<std::int64_t>(shape.size()));
  for (std::int64_t d : shape) add_number(hash, d);
}

Digest digest_of_tensor(const Tensor& tensor) {
  Sha256 hash;
  hash.add_field(kVersion).add_field("tensor");
  add_type(hash, tensor.dtype(), tensor.shape());
  hash.add(tensor.bytes());
  return hash.finish();
}

void add_attribute(Sha256& hash, const Attribute& attribute) {
  add_number(hash, static_cast<std::int64_t>(attribute.index()));
  if (const auto* integer = std::get_if<std::int64_t>(&attribute)) add_number(hash, *integer);
  if (const auto* real = std::get_if<float>(&attribute)) add_real(hash, *real);
  if (const auto* text = std::get_if<std::string>(&attribute)) hash.add_field(*text);
  if (const auto* tensor = std::get_if<Tensor>(&attribute)) hash.add_field(digest_of_tensor(*tensor));
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&attribute)) {
    add_number(hash, static_cast<std::int64_t>(integers->size()));
    for (std::int64_t value : *integers) add_number(hash, value);
  }
  if (const auto* reals = std::get_if<std::vector<float>>(&attribute)) {
    add_number(hash, static_cast<std::int64_t>(reals->size()));
    for (float value : *reals) add_real(hash, value);
  }
  if (const auto* texts = std::get_if<std::vector<std::string>>(&attribute)) {
    add_number(hash, static_cast<std::int64_t>(texts->size()));
    for (const std::string& value : *texts) hash.add_field(value);
  }
}

}  // namespace

std::map<std::string, Digest> merkle_hashes(const Graph& graph) {
  std::map<std::string, Digest> digests;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    Sha256 hash;
    hash.add_field(kVersion).add_field("input");
    add_number(hash, static_cast<std::int64_t>(i));
    add_type(hash, graph.inputs[i].dtype, graph.inputs[i].shape);
    digests[graph.inputs[i].name] = hash.finish();
  }
  for (const auto& [name, tensor] : graph.initializers) digests[name] = digest_of_tensor(tensor);
  for (const Node& node : graph.nodes) {
    Sha256 hash;
    // An operator's meaning depends on the opset (Softmax before 13 flattened its input).
    hash.add_field(kVersion).add_field("node").add_field(node.domain).add_field(node.op_type);
    add_number(hash, graph.opset);
    add_number(hash, static_cast<std::int64_t>(node.attributes.size()));
    for (const auto& [key, value] : node.attributes) {
      hash.add_field(key);
      add_attribute(hash, value);
    }
    add_number(hash, static_cast<std::int64_t>(node.inputs.size()));
    for (const std::string& input : node.inputs) hash.add_field(input.empty() ? std::string_view() : std::string_view(digests[input]));
    const Digest whole = hash.finish();
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      Sha256 slot;
      slot.add_field(whole);
      add_number(slot, static_cast<std::int64_t>(i));
      digests[node.outputs[i]] = slot.finish();
    }
  }
  return digests;
}

Digest digest_of(const Graph& graph) {
  const std::map<std::string, Digest> digests = merkle_hashes(graph);
  Sha256 hash;
  hash.add_field(kVersion).add_field("graph");
  const auto add = [&](const std::string& name) {
    const auto found = digests.find(name);
    hash.add_field(found == digests.end() ? std::string_view() : std::string_view(found->second));
  };
  add_number(hash, static_cast<std::int64_t>(graph.outputs.size()));
  for (const ValueInfo& output : graph.outputs) add(output.name);
  for (const std::string& name : graph.training_outputs) add(name);
  return hash.finish();
}

}  // namespace sightline::graph
