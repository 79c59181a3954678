// How models that learn from good pictures are made (task: anomaly): the net that describes places, the choice of how good ones are kept,
// the threshold. Nothing is trained; what the shipped backbone says of good pictures is kept (docs/anomaly.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "factory/build.h"
#include "factory/recipe.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::factory {

// What good places are kept as (recipe.head).
enum class GoodPlaces { gaussian_field, memory_bank, placed_bank, pooled_field };

// One way to see what is not good. Everything that a trial tries.
struct Sight {
  bool even = false;  // each picture is first brought to the same mean and contrast
  int around = 1;     // a place is described by the mean over so many places, in both directions
  GoodPlaces kept = GoodPlaces::gaussian_field;
  double share = 0;  // heads::ScoreOptions::share
  static constexpr auto fields() {
    return std::tuple{field("even", &Sight::even), field("around", &Sight::around), field("kept", &Sight::kept),
                      field("share", &Sight::share)};
  }
};

// Good pictures as they usually are, on the 0..255 scale: what evened ones are brought to.
struct Light {
  double mean = 127.5, deviation = 64;
};

// image → places of the backbone's maps at strides 8 and 16. Errors: those of reading the weights.
Result<graph::Graph> places_graph(const StartingWeights& start, int side, bool even, const Light& light, int around);

// One trial of a sight on drawn faults.
struct Trial {
  Sight sight;
  double drawn_auroc = 0;  // good pictures that were not fitted on against copies of them with a fault
  double size_mb = 0;      // of what is kept, beside the backbone
  static constexpr auto fields() {
    return std::tuple{field("sight", &Trial::sight), field("drawn_auroc", &Trial::drawn_auroc), field("size_mb", &Trial::size_mb)};
  }
};

// What the demand pins that such a model has not. Error usage.
Result<void> check_anomaly_pins(const demand::Demand& demand);
Result<void> check_anomaly_data(const dataset::Manifest& manifest);
Result<ChosenRecipe> choose_anomaly_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                           const std::optional<StartingWeights>& start, int threads);
// "fit": recipe, manifest → model, history ("trials", "choice", "alarm").
line::Step good_places_step(const BuildContext& build);

}  // namespace sightline::factory

template <>
struct sightline::EnumNames<sightline::factory::GoodPlaces> {
  static constexpr std::array<const char*, 4> names{"gaussian_field", "memory_bank", "placed_bank", "pooled_field"};
};
