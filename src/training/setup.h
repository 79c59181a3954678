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
#include "training/objective.h"

namespace sightline::training {

struct Setup {
  modules::TrainingSpec spec;
  graph::Graph graph;
  std::unique_ptr<dataset::PackedSet> set;  // keeps the pixels mapped
  std::map<std::string, double> rates;      // of parameters that do not learn at the full rate
  std::set<std::string> frozen;             // parameters that stay as they are
  Samples training, validation;             // validation may be empty
  std::unique_ptr<Objective> objective;
  int threads = 1;
  // Of what the bits of the result depend on, but for the number of threads: task, recipe, seed, graph, and of the set its shape, labels,
  // splits, objects and first 4 MiB of pixels.
  Digest fingerprint;
};

// Errors: usage for a recipe that makes no sense; invalid_data when graph and set do not fit; not_found and io from the files.
Result<Setup> set_up(const modules::TrainingSpec& spec);

}  // namespace sightline::training
