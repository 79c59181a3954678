// Several models as one graph, cut into parts: a part holds the nodes that the same models use, so that it is planned, kept and evaluated
// once for all of them. A model that comes later and shares half of a part cuts it in two; everything else stays as it is. Parts are named
// by numbers that are never used again. Copies are cheap: what an addition would lead to can be tried on one. Knows nothing of
// sessions. Not for two threads at once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/canonical.h"

namespace sightline::runtime {

using PartId = std::uint64_t;

// Inputs of its graph are inputs of models, or outputs of other parts.
struct Part {
  graph::Graph graph;
  std::set<std::string> values;  // what it makes for itself and others; it may compute more (values of shapes)
};

class MergedGraph {
 public:
  // What adding a model would do.
  struct Addition {
    std::map<PartId, Part> made;
    std::map<PartId, std::vector<PartId>> replaced;  // old parts by one new one (with more outputs) or two
    std::vector<PartId> parts;                       // of the model
  };
  // When all that the model's graph has to give is there already (another head on a known backbone), there is nothing to make.
  std::optional<Addition> known(const Canonical& model) const;
  // For a model that was folded. Errors: those of shape inference.
  Result<Addition> plan(const Canonical& model) const;
  // To be called with what plan() gave, when nothing else happened between.
  void add(const std::string& name, Addition addition);
  // The parts that nobody uses any more, which are gone.
  std::vector<PartId> remove(const std::string& name);

  // The part that makes a value; 0: none (an input of models).
  PartId maker_of(const std::string& value) const;
  const std::map<PartId, std::shared_ptr<const Part>>& parts() const { return parts_; }

 private:
  std::map<PartId, std::shared_ptr<const Part>> parts_;
  std::map<PartId, std::size_t> users_;
  std::unordered_map<std::string, PartId> makers_;
  std::map<std::string, std::vector<PartId>> models_;
  PartId next_ = 1;
};

}  // namespace sightline::runtime
