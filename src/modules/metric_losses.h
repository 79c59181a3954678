// What an embedder can be taught by: one row each, with the settings that its paper gives. Demands (recipe.loss), the recipe, the CLI and
// the docs read the rows. What they do stands in training/metric_loss.h.
#pragma once

#include <span>

#include "modules/training_spec.h"

namespace sightline::modules {

struct MetricLossRow {
  MetricLoss loss;
  const char *description, *source;
  double margin, scale;       // 0 and 1 where it has none
  double pair_weight;         // of pairs beside identities
  int pictures_per_identity;  // that a batch should hold together
  bool wants_pairs;           // learns nothing from an identity with one picture alone, but as another one
};

// In the order of the enumerators.
std::span<const MetricLossRow> metric_losses();
const MetricLossRow& row_of(MetricLoss loss);

}  // namespace sightline::modules
