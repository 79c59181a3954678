#include "net/router.h"

#include <algorithm>
#include <cassert>

#include "base/text.h"

namespace sightline::net {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "/a/b/" gives "a", "b", "".
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  path.remove_prefix(std::min<std::size_t>(path.size(), 1));
  while (true) {
    const std::size_t slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

Pattern::Pattern(const std::string& text) {
  assert(text.starts_with('/'));
  for (const std::string& part : parts_of(text)) {
    if (!part.starts_with('{')) {
      parts_.push_back({.word = part});
      continue;
    }
    const std::size_t end = part.find('}');
    assert(end != std::string::npos);
    std::string name = part.substr(1, end - 1);
    const bool rest = name.ends_with("...");
    if (rest) name.resize(name.size() - 3);
    parts_.push_back({.word = part.substr(end + 1), .name = std::move(name), .rest = rest});
  }
}

std::optional<std::map<std::string, std::string, std::less<>>> Pattern::match(const std::vector<std::string>& parts) const {
  std::map<std::string, std::string, std::less<>> parameters;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Part& wanted = parts_[i];
    if (i >= parts.size()) return std::nullopt;
    std::string part = parts[i];
    if (wanted.name.empty()) {
      if (part != wanted.word) return std::nullopt;
      continue;
    }
    if (wanted.rest) {
      for (std::size_t k = i + 1; k < parts.size(); ++k) part += "/" + parts[k];
    } else if (!wanted.word.empty()) {
      if (!part.ends_with(wanted.word)) return std::nullopt;
      part.resize(part.size() - wanted.word.size());
    }
    std::optional<std::string> value = percent_decoded(part);
    if (!value || (value->empty() && !wanted.rest)) return std::nullopt;
    parameters[wanted.name] = *std::move(value);
    if (wanted.rest) return parameters;
  }
  if (parts.size() != parts_.size()) return std::nullopt;
  return parameters;
}

std::vector<std::string> Pattern::names() const {
  std::vector<std::string> names;
  for (const Part& part : parts_) {
    if (!part.name.empty()) names.push_back(part.name);
  }
  return names;
}

std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else if (text[i] == '\0') {
      return std::nullopt;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

Result<void> read_target(std::string_view target, Request& request) {
  const auto wrong = [] { return Error{ErrorKind::invalid_data, "the request's path is not a path, or is percent-encoded wrongly"}; };
  if (!target.starts_with('/')) return wrong();
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  std::optional<std::string> path = percent_decoded(target.substr(0, question));
  if (!path) return wrong();
  request.path = *std::move(path);
  if (question == std::string_view::npos) return {};
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    std::optional<std::string> name = percent_decoded(pair.substr(0, equals), true);
    std::optional<std::string> value = percent_decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1), true);
    if (!name || !value) return wrong();
    if (!name->empty()) request.query[*std::move(name)] = *std::move(value);
  }
  return {};
}

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (const Route& route : routes_) patterns_.emplace_back(route.pattern);
}

Router::Found Router::find(Request& request, std::string_view target) const {
  Found found;
  const std::vector<std::string> parts = parts_of(target.substr(0, target.find_first_of("?#")));
  std::vector<std::string> methods;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    auto parameters = patterns_[i].match(parts);
    if (!parameters) continue;
    const Route& route = routes_[i];
    if (route.method == request.method || (request.method == "HEAD" && route.method == "GET")) {
      request.parameters = *std::move(parameters);
      found.route = &route;
      return found;
    }
    if (std::ranges::find(methods, route.method) == methods.end()) methods.push_back(route.method);
  }
  found.allowed = join(methods, ", ");
  return found;
}

}  // namespace sightline::net
