// Chooses the net and how to train it from what the data are and what the demand allows. Every choice leaves a reason.
#pragma once

#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "demand/demand.h"
#include "graph/graph.h"
#include "modules/training_spec.h"

namespace sightline::factory {

struct ChosenRecipe {
  modules::Recipe recipe;
  graph::Graph graph;                // initial weights
  std::vector<std::string> reasons;  // one sentence per choice
};

// The largest backbone that the budget suits and that keeps the limits on size (by its weights) and latency (measured with the runtime on
// this machine before anything is trained). Errors: refused when no backbone keeps the limits; not_found for an unknown pinned backbone.
Result<ChosenRecipe> choose_recipe(const demand::Demand& demand, const dataset::Manifest& manifest, int threads);

}  // namespace sightline::factory
