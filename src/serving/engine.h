// Runs the graphs of all loaded models. Models on the same frozen backbone form a group: their common part is held once and evaluated once
// for the pictures of a batch, whichever of them was asked (runtime::SharedSession). Every other model is a group of its own.
//
// Threads: everything by any number of threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "package/package.h"
#include "runtime/shared_session.h"
#include "serving/batcher.h"

namespace sightline::serving {

class Engine {
 public:
  Engine(int threads, const BatchLimits& limits);
  ~Engine();

  // group: of models that share a backbone; "": none. What it gives runs the model until remove(). Errors: conflict (the name is taken), as
  // runtime::Session::create.
  Result<package::Run> add(const std::string& name, const graph::Graph& graph, runtime::Precision precision, const std::string& group);
  // Its memory is free when the last run has ended.
  void remove(const std::string& name);

  // One picture (or batch) for several models of one group at once; the outputs of each. Errors: usage (they are of several groups),
  // not_found.
  Result<std::vector<std::vector<Tensor>>> run_all(std::span<const Tensor> inputs, std::span<const std::string> names) const;
  // The models of these names by the group that they are in.
  std::vector<std::vector<std::string>> by_group(std::span<const std::string> names) const;

  std::size_t bytes() const;  // weights, intermediate values and heads of all models
  // The model's share of what its group holds: all of it where it is alone.
  std::size_t bytes_of(const std::string& name) const;
  std::size_t waiting() const;
  std::map<std::int64_t, std::uint64_t> batches(const std::string& name) const;  // of the model's group

 private:
  struct Group;
  std::shared_ptr<Group> group_of(const std::string& name) const;

  int threads_;
  BatchLimits limits_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Group>> groups_;    // by key
  std::map<std::string, std::shared_ptr<Group>> by_model_;  // by name
};

}  // namespace sightline::serving
