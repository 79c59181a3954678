// YAML with line numbers. yaml-cpp parses; duplicate keys (which it accepts), anchors' misuse and unknown keys are errors here, each with
// "FILE:LINE: what; remedy". Structs with a field list (base/fields.h) are read from a node by read_yaml.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "base/text.h"

namespace sightline {

struct YamlNode {
  enum class Kind { null, scalar, list, map };

  // Out of line, because entries holds pairs of a type that is not complete here.
  YamlNode();
  ~YamlNode();
  YamlNode(const YamlNode&);
  YamlNode(YamlNode&&) noexcept;
  YamlNode& operator=(const YamlNode&);
  YamlNode& operator=(YamlNode&&) noexcept;

  Kind kind = Kind::null;
  std::string source;  // the file's name, for messages
  int line = 0;        // from 1
  std::string scalar;
  bool quoted = false;
  std::vector<YamlNode> items;                            // list
  std::vector<std::pair<std::string, YamlNode>> entries;  // map, in the order of the file
  std::map<std::string, int> key_lines;

  const YamlNode* find(std::string_view key) const;
  Error error(const std::string& what) const { return {ErrorKind::invalid_data, fmt::format("{}:{}: {}", source, line, what)}; }
};

// One document. Errors: invalid_data with the line; at most 64 levels deep and 1 MiB long.
Result<YamlNode> parse_yaml(const std::string& text, const std::string& source);

Result<void> read_yaml(const YamlNode& node, bool& value);
Result<void> read_yaml(const YamlNode& node, std::string& value);
Result<void> read_yaml(const YamlNode& node, double& value);
Result<void> read_yaml(const YamlNode& node, std::int64_t& value);
Result<void> read_yaml(const YamlNode& node, int& value);
template <NamedEnum T>
Result<void> read_yaml(const YamlNode& node, T& value) {
  if (node.kind == YamlNode::Kind::scalar && enum_from(node.scalar, value)) return {};
  std::vector<std::string> names(EnumNames<T>::names.begin(), EnumNames<T>::names.end());
  return node.error(fmt::format("\"{}\" is not one of {}{}", node.scalar, join(names, ", "), did_you_mean(node.scalar, names)));
}
template <HasFields T>
Result<void> read_yaml(const YamlNode& node, T& value);
template <class T>
Result<void> read_yaml(const YamlNode& node, std::optional<T>& value) {
  if (node.kind == YamlNode::Kind::null) {
    value.reset();
    return {};
  }
  return read_yaml(node, value.emplace());
}
template <class T>
Result<void> read_yaml(const YamlNode& node, std::vector<T>& values) {
  values.clear();
  if (node.kind == YamlNode::Kind::scalar) {  // one thing is a list of one
    T value{};
    SIGHTLINE_CHECK(read_yaml(node, value));
    values.push_back(std::move(value));
    return {};
  }
  if (node.kind != YamlNode::Kind::list) return node.error("a list is wanted here, like [a, b]");
  for (const YamlNode& each : node.items) {
    T value{};
    SIGHTLINE_CHECK(read_yaml(each, value));
    values.push_back(std::move(value));
  }
  return {};
}
template <HasFields T>
Result<void> read_yaml(const YamlNode& node, T& value) {
  if (node.kind != YamlNode::Kind::map) return node.error("a block of \"key: value\" lines is wanted here");
  std::vector<std::string> known;
  for_each_field<T>([&](const auto& f) { known.emplace_back(f.name); });
  for (const auto& [key, each] : node.entries) {
    bool found = false;
    std::optional<Error> error;
    for_each_field<T>([&](const auto& f) {
      if (found || key != f.name) return;
      found = true;
      if (auto status = read_yaml(each, value.*(f.member)); !status.ok()) error = status.error();
    });
    if (error) return *error;
    if (!found) {
      YamlNode at = each;
      at.line = node.key_lines.at(key);
      return at.error(fmt::format("unknown key \"{}\"{}; the keys here are {}", key, did_you_mean(key, known), join(known, ", ")));
    }
  }
  return {};
}

}  // namespace sightline
