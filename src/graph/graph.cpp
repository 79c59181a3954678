#include "graph/graph.h"

namespace sightline::graph {
namespace {

template <class T>
const T* find(const Node& node, const std::string& key) {
  const auto found = node.attributes.find(key);
  return found == node.attributes.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace

std::int64_t Node::integer(const std::string& key, std::int64_t otherwise) const {
  const auto* value = find<std::int64_t>(*this, key);
  return value != nullptr ? *value : otherwise;
}

float Node::real(const std::string& key, float otherwise) const {
  const auto* value = find<float>(*this, key);
  return value != nullptr ? *value : otherwise;
}

std::string Node::text(const std::string& key, const std::string& otherwise) const {
  const auto* value = find<std::string>(*this, key);
  return value != nullptr ? *value : otherwise;
}

std::vector<std::int64_t> Node::integers(const std::string& key, const std::vector<std::int64_t>& otherwise) const {
  const auto* value = find<std::vector<std::int64_t>>(*this, key);
  return value != nullptr ? *value : otherwise;
}

}  // namespace sightline::graph
