// What the nets that answer for the places of a picture share (detect, segment, landmarks): the backbone that they are built on, and how
// they are trained. Internal to this folder.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "factory/recipe.h"

namespace sightline::factory {

inline constexpr const char* dense_net = "sight-s";

// What the demand pins that such nets have not; nets: "detectors". Error usage.
Result<void> check_dense_pins(const demand::Demand& demand, const char* nets);

// The demand's side, or the smallest of these that the longer side of half of the pictures fits into, else the last one.
void choose_side(const demand::RecipePins& pins, const dataset::Manifest& manifest, std::span<const int> sides, ChosenRecipe& chosen);

// Everything of the recipe but the side: AdamW along a cosine with averaged weights, in bf16 where the processor has it, for 10 minutes
// where the demand gives no budget; what it pins is laid over.
void choose_dense_training(const demand::Demand& demand, const dataset::Manifest& manifest, modules::Augmentation augmentation,
                           ChosenRecipe& chosen);

// The weights to begin with, and the normalisation that they want; without them the usual one.
struct DenseStart {
  std::optional<StartingWeights> weights;
  graph::Graph graph;  // of those weights
  std::vector<float> mean, deviation;
};
Result<DenseStart> read_dense_start(const std::optional<StartingWeights>& start);
// The recipe whose graph is built: gives that what they know, says so, and holds it against the demand's limits. net: "segmenter". Error
// refused: one is broken.
Result<ChosenRecipe> finish_dense(const demand::Demand& demand, const DenseStart& begun, int threads, const char* net, ChosenRecipe chosen);

}  // namespace sightline::factory
