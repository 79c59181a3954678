// What a specification stands for, read and checked before the first step.
#pragma once

#include <torch/torch.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "dataset/packed_set.h"
#include "graph/graph.h"
#include "modules/training_spec.h"
#include "training/batches.h"

namespace sightline::training {

struct Setup {
  modules::TrainingSpec spec;
  graph::Graph graph;
  std::string logits;  // the training output that the loss reads: f32 N×K
  std::int64_t classes = 0;
  std::int64_t target_width = 0;  // of the set's target vectors; 0: it has labels only
  bool distils() const { return target_width > 0; }
  std::unique_ptr<dataset::PackedSet> set;  // keeps the pixels mapped
  std::map<std::string, double> rates;      // of parameters that do not learn at the full rate
  std::set<std::string> frozen;             // parameters that stay as they are
  Samples training, validation;             // validation may be empty
  int threads = 1;
  // Of what the bits of the result depend on, but for the number of threads: recipe, seed, graph, and of the set its shape, labels, splits
  // and first 4 MiB of pixels.
  Digest fingerprint;
};

// Errors: usage for a recipe that makes no sense; invalid_data when graph and set do not fit; not_found and io from the files.
Result<Setup> set_up(const modules::TrainingSpec& spec);

}  // namespace sightline::training
