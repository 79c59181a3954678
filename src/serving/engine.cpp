#include "serving/engine.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <set>

namespace sightline::serving {
namespace {

// Whether rows of the inputs and outputs belong to each other.
bool has_free_rows(const graph::Graph& graph) {
  const auto free = [](const graph::ValueInfo& value) { return !value.shape.empty() && value.shape[0] == -1; };
  return std::ranges::all_of(graph.inputs, free) && std::ranges::all_of(graph.outputs, free);
}

std::string signature_of(const graph::Graph& graph) {
  std::string text;
  for (const graph::ValueInfo& input : graph.inputs) text += fmt::format(" {} {}", name_of(input.dtype), to_string(input.shape));
  return text;
}

}  // namespace

struct Engine::Group {
  std::string key;
  runtime::SharedSession session;
  std::unique_ptr<Batcher> batcher;
  std::set<std::string> models;  // under the engine's lock

  Group(std::string its_key, const runtime::Options& options, const BatchLimits& limits, bool batchable)
      : key(std::move(its_key)), session(options) {
    batcher = std::make_unique<Batcher>(limits, batchable, [this](std::span<const Tensor> inputs, std::span<const std::string> names) {
      std::vector<runtime::Wanted> wanted;
      for (const std::string& name : names) wanted.push_back({name, {}});
      return session.run(inputs, wanted);
    });
  }
};

Engine::Engine(int threads, const BatchLimits& limits) : threads_(threads), limits_(limits) {}
Engine::~Engine() = default;

Result<package::Run> Engine::add(const std::string& name, const graph::Graph& graph, runtime::Precision precision,
                                 const std::string& group) {
  std::shared_ptr<Group> home;
  {
    const std::scoped_lock lock(mutex_);
    if (by_model_.contains(name)) return Error{ErrorKind::conflict, fmt::format("\"{}\" is loaded already", name)};
    const bool batchable = has_free_rows(graph);
    const std::string key =
        group.empty() ? "model " + name
                      : fmt::format("{} {} {}{}", group, static_cast<int>(precision), batchable ? "rows" : "whole", signature_of(graph));
    std::shared_ptr<Group>& found = groups_[key];
    if (found == nullptr)
      found = std::make_shared<Group>(key, runtime::Options{.threads = threads_, .precision = precision}, limits_, batchable);
    home = found;
    home->models.insert(name);  // keeps the group while the model is planned
    by_model_[name] = home;
  }
  if (const Result<void> added = home->session.add(name, graph); !added.ok()) {
    remove(name);
    return added.error();
  }
  return package::Run([home, name](std::span<const Tensor> inputs) { return home->batcher->run(name, inputs); });
}

void Engine::remove(const std::string& name) {
  std::shared_ptr<Group> home;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = by_model_.find(name);
    if (found == by_model_.end()) return;
    home = found->second;
    by_model_.erase(found);
    home->models.erase(name);
    if (home->models.empty()) groups_.erase(home->key);
  }
  (void)home->session.remove(name);  // not there when it could not be planned
  home.reset();
  ::malloc_trim(0);  // what is free goes back to the machine: others want it
}

std::shared_ptr<Engine::Group> Engine::group_of(const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_model_.find(name);
  return found == by_model_.end() ? nullptr : found->second;
}

Result<std::vector<std::vector<Tensor>>> Engine::run_all(std::span<const Tensor> inputs, std::span<const std::string> names) const {
  std::shared_ptr<Group> home;
  std::vector<runtime::Wanted> wanted;
  for (const std::string& name : names) {
    const std::shared_ptr<Group> group = group_of(name);
    if (group == nullptr) return Error{ErrorKind::not_found, fmt::format("\"{}\" is not loaded", name)};
    if (home != nullptr && group != home) return Error{ErrorKind::usage, "models on several backbones cannot be asked in one go"};
    home = group;
    wanted.push_back({name, {}});
  }
  if (home == nullptr) return std::vector<std::vector<Tensor>>{};
  return home->session.run(inputs, wanted);
}

std::vector<std::vector<std::string>> Engine::by_group(std::span<const std::string> names) const {
  std::map<const Group*, std::vector<std::string>> groups;
  for (const std::string& name : names) {
    if (const std::shared_ptr<Group> group = group_of(name)) groups[group.get()].push_back(name);
  }
  std::vector<std::vector<std::string>> lists;
  for (auto& [group, list] : groups) lists.push_back(std::move(list));
  return lists;
}

std::size_t Engine::bytes() const {
  std::vector<std::shared_ptr<Group>> groups;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, group] : groups_) groups.push_back(group);
  }
  std::size_t bytes = 0;
  for (const auto& group : groups) {
    const runtime::SharedSession::Size size = group->session.size();
    bytes += size.memory.weights + size.memory.arena + size.heads;
  }
  return bytes;
}

std::size_t Engine::bytes_of(const std::string& name) const {
  std::shared_ptr<Group> group;
  std::size_t models = 1;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = by_model_.find(name);
    if (found == by_model_.end()) return 0;
    group = found->second;
    models = std::max<std::size_t>(1, group->models.size());
  }
  const runtime::SharedSession::Size size = group->session.size();
  return (size.memory.weights + size.memory.arena + size.heads) / models;
}

std::size_t Engine::waiting() const {
  std::vector<std::shared_ptr<Group>> groups;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, group] : groups_) groups.push_back(group);
  }
  std::size_t waiting = 0;
  for (const auto& group : groups) waiting += group->batcher->waiting();
  return waiting;
}

std::map<std::int64_t, std::uint64_t> Engine::batches(const std::string& name) const {
  const std::shared_ptr<Group> group = group_of(name);
  return group == nullptr ? std::map<std::int64_t, std::uint64_t>() : group->batcher->batches();
}

}  // namespace sightline::serving
