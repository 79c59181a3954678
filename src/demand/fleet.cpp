#include "demand/fleet.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include "base/files.h"

namespace sightline::demand {
namespace {

namespace fs = std::filesystem;

YamlNode scalar_like(const YamlNode& where, const std::string& text) {
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.source = where.source;
  node.line = where.line;
  node.scalar = text;
  node.quoted = true;
  return node;
}

void put(YamlNode& map, const std::string& key, YamlNode value) {
  map.kind = YamlNode::Kind::map;
  map.key_lines[key] = value.line;
  for (auto& [name, node] : map.entries) {
    if (name != key) continue;
    node = std::move(value);
    return;
  }
  map.entries.emplace_back(key, std::move(value));
}

// `over` where it says something, else `base`; blocks key by key.
YamlNode merged(const YamlNode& base, const YamlNode& over) {
  if (base.kind != YamlNode::Kind::map || over.kind != YamlNode::Kind::map) return over;
  YamlNode result = base;
  result.source = over.source;
  result.line = over.line;
  for (const auto& [key, value] : over.entries) {
    const YamlNode* before = base.find(key);
    put(result, key, before == nullptr ? value : merged(*before, value));
    result.key_lines[key] = over.key_lines.at(key);
  }
  return result;
}

// Takes the key out.
std::string take(YamlNode& map, const std::string& key) {
  std::string text;
  std::erase_if(map.entries, [&](const auto& entry) {
    if (entry.first != key) return false;
    text = entry.second.scalar;
    return true;
  });
  map.key_lines.erase(key);
  return text;
}

// Every path below folder that fits the pattern, part by part, sorted.
std::vector<std::string> matches(const std::string& folder, const std::string& pattern) {
  std::vector<fs::path> found{folder.empty() ? fs::path(".") : fs::path(folder)};
  for (const std::string& part : split(pattern, '/')) {
    if (part.empty() || part == ".") continue;
    std::vector<fs::path> next;
    for (const fs::path& place : found) {
      if (part.find_first_of("*?[") == std::string::npos) {
        if (path_exists((place / part).string())) next.push_back(place / part);
        continue;
      }
      std::error_code code;
      for (fs::directory_iterator each(place, code), end; !code && each != end; each.increment(code)) {
        if (::fnmatch(part.c_str(), each->path().filename().c_str(), FNM_PERIOD) == 0) next.push_back(each->path());
      }
    }
    found = std::move(next);
  }
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (const fs::path& each : found) paths.push_back(absolute_path(each.lexically_normal().string()));
  std::sort(paths.begin(), paths.end());
  return paths;
}

// A name that a model may have, from a file's.
std::string plain_name(const fs::path& path) {
  std::string name = is_directory(path.string()) ? path.filename().string() : path.stem().string();
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-') c = '_';
  return name.substr(0, 64);
}

class Reader {
 public:
  Reader(const YamlNode& root, std::string folder) : root_(root), folder_(std::move(folder)) {}

  Result<Fleet> read() {
    if (root_.kind != YamlNode::Kind::map)
      return root_.error("a fleet is wanted: lines of \"key: value\" with name, and demands or pattern");
    const std::vector<std::string> known{"name", "defaults", "demands", "pattern"};
    for (const auto& [key, node] : root_.entries) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        return at(root_.key_lines.at(key),
                  fmt::format("unknown key \"{}\"{}; the keys here are {}", key, did_you_mean(key, known), join(known, ", ")));
    }
    if (const YamlNode* name = root_.find("name")) SIGHTLINE_CHECK(read_yaml(*name, fleet_.name));
    if (fleet_.name.find_first_of("/\\") != std::string::npos || fleet_.name.starts_with("."))
      return root_.error(fmt::format("name is \"{}\", but names a file: no slashes, no dot in front", fleet_.name));
    if (fleet_.name.empty()) return root_.error("\"name\" is missing: it names the fleet and its summary");
    if (const YamlNode* defaults = root_.find("defaults")) defaults_ = *defaults;
    SIGHTLINE_CHECK(read_list());
    SIGHTLINE_CHECK(read_pattern());
    if (fleet_.demands.empty()) return root_.error("it has no demands; list them under \"demands\", or give a \"pattern\"");
    return std::move(fleet_);
  }

 private:
  Error at(int line, const std::string& what) const {
    YamlNode node = root_;
    node.line = line;
    return node.error(what);
  }

  Result<void> read_list() {
    const YamlNode* list = root_.find("demands");
    if (list == nullptr) return {};
    if (list->kind != YamlNode::Kind::list) return list->error("\"demands\" is a list, a demand each");
    for (const YamlNode& each : list->items) {
      if (each.kind != YamlNode::Kind::map) return each.error("a demand is wanted here: a block of \"key: value\" lines");
      YamlNode node = merged(defaults_, each);
      std::string group = take(node, "group");
      SIGHTLINE_CHECK(add(node, std::move(group)));
    }
    return {};
  }

  Result<void> read_pattern() {
    const YamlNode* node = root_.find("pattern");
    if (node == nullptr) return {};
    FleetPattern pattern;
    SIGHTLINE_CHECK(read_yaml(*node, pattern));
    const std::vector<std::string> paths = matches(folder_, pattern.match);
    if (paths.empty()) return node->error(fmt::format("pattern.match \"{}\" matches nothing below the fleet's folder", pattern.match));
    for (const std::string& path : paths) {
      YamlNode made, data;
      made.source = node->source;
      made.line = node->line;
      put(made, "name", scalar_like(*node, plain_name(path)));
      if (is_directory(path)) {
        put(data, "path", scalar_like(*node, path));
      } else {
        if (pattern.data.empty()) return node->error(fmt::format("{} is a file: pattern.data must name the folder of its pictures", path));
        put(data, "path", scalar_like(*node, pattern.data));
        put(data, "labels", scalar_like(*node, path));
        put(data, "format", scalar_like(*node, "csv"));
      }
      data.source = node->source;
      data.line = node->line;
      put(made, "data", std::move(data));
      SIGHTLINE_CHECK(add(merged(defaults_, made), fs::path(path).parent_path().filename().string()));
    }
    return {};
  }

  Result<void> add(const YamlNode& node, std::string group) {
    FleetDemand each{.demand = {}, .group = std::move(group), .problem = {}};
    SIGHTLINE_TRY(each.demand, demand_from(node));
    if (const auto [before, added] = lines_.emplace(each.demand.name, node.line); !added)
      return node.error(
          fmt::format("the name \"{}\" is taken by the demand of line {}; every model needs its own", each.demand.name, before->second));
    if (const auto settled = settle_paths(node, folder_, each.demand); !settled.ok()) each.problem = settled.error().message;
    fleet_.demands.push_back(std::move(each));
    return {};
  }

  const YamlNode& root_;
  std::string folder_;
  YamlNode defaults_;
  Fleet fleet_;
  std::map<std::string, int> lines_;  // of the names
};

}  // namespace

Result<Fleet> read_fleet(const std::string& path) {
  SIGHTLINE_TRY(const std::string text, read_file(path));
  SIGHTLINE_TRY(const YamlNode root, parse_yaml(text, path));
  return Reader(root, fs::path(path).parent_path().string()).read();
}

}  // namespace sightline::demand
