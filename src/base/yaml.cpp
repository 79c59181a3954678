#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <memory>
#include <sstream>

namespace sightline {
namespace {

constexpr int deepest = 64;
constexpr std::size_t longest = 1U << 20U;

struct Refused {
  Error error;
};

// Builds the tree from the parser's events, which is where duplicate keys can still be seen.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string source) : source_(std::move(source)) {}
  YamlNode root;

  void OnDocumentStart(const YAML::Mark& mark) override { root = make(mark, YamlNode::Kind::null); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { value(make(mark, YamlNode::Kind::null)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "aliases (*name) are not supported; write the value out"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
    Frame* top = stack_.empty() ? nullptr : stack_.back().get();
    if (top != nullptr && top->node.kind == YamlNode::Kind::map && !top->has_key) {
      if (!top->node.key_lines.emplace(text, mark.line + 1).second) {
        refuse(mark, fmt::format("the key \"{}\" stands twice (first in line {}); delete one", text, top->node.key_lines[text]));
      }
      top->key = text;
      top->has_key = true;
      return;
    }
    YamlNode node = make(mark, YamlNode::Kind::scalar);
    node.scalar = text;
    node.quoted = tag == "!";
    if (!node.quoted && (text == "~" || text == "null")) node.kind = YamlNode::Kind::null;
    value(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    push(mark, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { pop(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    push(mark, YamlNode::Kind::map);
  }
  void OnMapEnd() override { pop(); }

 private:
  struct Frame {
    YamlNode node;
    std::string key;
    bool has_key = false;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& what) const {
    throw Refused{{ErrorKind::invalid_data, fmt::format("{}:{}: {}", source_, mark.line + 1, what)}};
  }
  YamlNode make(const YAML::Mark& mark, YamlNode::Kind kind) const {
    YamlNode node;
    node.kind = kind;
    node.source = source_;
    node.line = mark.line + 1;
    return node;
  }
  void push(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (!stack_.empty() && stack_.back()->node.kind == YamlNode::Kind::map && !stack_.back()->has_key)
      refuse(mark, "a key must be plain text");
    if (stack_.size() >= deepest) refuse(mark, fmt::format("nested deeper than {} levels", deepest));
    stack_.push_back(std::make_unique<Frame>());
    stack_.back()->node = make(mark, kind);
  }
  void pop() {
    YamlNode node = std::move(stack_.back()->node);
    stack_.pop_back();
    value(std::move(node));
  }
  void value(YamlNode node) {
    if (stack_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& top = *stack_.back();
    if (top.node.kind == YamlNode::Kind::list) {
      top.node.items.push_back(std::move(node));
    } else if (!top.has_key) {
      throw Refused{node.error("a key must be plain text")};
    } else {
      top.node.entries.emplace_back(std::move(top.key), std::move(node));
      top.has_key = false;
    }
  }

  std::string source_;
  std::vector<std::unique_ptr<Frame>> stack_;
};

Result<void> wants_scalar(const YamlNode& node, const char* what) {
  if (node.kind == YamlNode::Kind::scalar) return {};
  return node.error(fmt::format("{} is wanted here", what));
}

}  // namespace

YamlNode::YamlNode() = default;
YamlNode::~YamlNode() = default;
YamlNode::YamlNode(const YamlNode&) = default;
YamlNode::YamlNode(YamlNode&&) noexcept = default;
YamlNode& YamlNode::operator=(const YamlNode&) = default;
YamlNode& YamlNode::operator=(YamlNode&&) noexcept = default;

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const auto& [name, node] : entries) {
    if (name == key) return &node;
  }
  return nullptr;
}

Result<YamlNode> parse_yaml(const std::string& text, const std::string& source) {
  if (text.size() > longest) return Error{ErrorKind::invalid_data, fmt::format("{}: longer than {} bytes", source, longest)};
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder(source);
    if (!parser.HandleNextDocument(builder)) {
      YamlNode empty;
      empty.source = source;
      empty.line = 1;
      return empty;
    }
    TreeBuilder second(source);
    if (parser.HandleNextDocument(second)) return second.root.error("a second document (---) begins here; a file holds one");
    return std::move(builder.root);
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const YAML::Exception& e) {
    return Error{ErrorKind::invalid_data, fmt::format("{}:{}: not valid YAML: {}", source, e.mark.line + 1, e.msg)};
  }
}

Result<void> read_yaml(const YamlNode& node, bool& value) {
  SIGHTLINE_CHECK(wants_scalar(node, "true or false"));
  if (node.scalar == "true" || node.scalar == "yes" || node.scalar == "on") {
    value = true;
  } else if (node.scalar == "false" || node.scalar == "no" || node.scalar == "off") {
    value = false;
  } else {
    return node.error(fmt::format("\"{}\" is not true or false", node.scalar));
  }
  return {};
}

Result<void> read_yaml(const YamlNode& node, std::string& value) {
  SIGHTLINE_CHECK(wants_scalar(node, "text"));
  value = node.scalar;
  return {};
}

Result<void> read_yaml(const YamlNode& node, double& value) {
  SIGHTLINE_CHECK(wants_scalar(node, "a number"));
  const char* end = node.scalar.data() + node.scalar.size();
  const auto [at, code] = std::from_chars(node.scalar.data(), end, value);
  if (code != std::errc() || at != end || !std::isfinite(value)) return node.error(fmt::format("\"{}\" is not a number", node.scalar));
  return {};
}

Result<void> read_yaml(const YamlNode& node, std::int64_t& value) {
  SIGHTLINE_CHECK(wants_scalar(node, "an integer"));
  const char* end = node.scalar.data() + node.scalar.size();
  const auto [at, code] = std::from_chars(node.scalar.data(), end, value);
  if (code != std::errc() || at != end) return node.error(fmt::format("\"{}\" is not an integer", node.scalar));
  return {};
}

Result<void> read_yaml(const YamlNode& node, int& value) {
  std::int64_t wide = 0;
  SIGHTLINE_CHECK(read_yaml(node, wide));
  if (wide < INT32_MIN || wide > INT32_MAX) return node.error(fmt::format("{} is out of range", wide));
  value = static_cast<int>(wide);
  return {};
}

}  // namespace sightline
