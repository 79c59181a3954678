// Chooses a landmarker and how to train it.
#include <algorithm>
#include <array>

#include "annotation/landmarks.h"
#include "base/text.h"
#include "factory/dense_recipe.h"
#include "factory/recipe.h"
#include "modules/landmarker.h"

namespace sightline::factory {
namespace {

constexpr std::array sides{96, 128, 160, 192, 224, 256};

// A mirrored picture shows another one's points unless the names say which is which.
modules::Augmentation augmentation_for(const std::vector<std::string>& points, ChosenRecipe& chosen) {
  const std::vector<std::size_t> mirrored = annotation::mirrored_landmarks(points);
  for (std::size_t k = 0; k < points.size(); ++k) {
    if (mirrored[k] == k) continue;
    chosen.reasons.push_back(fmt::format("pictures are mirrored too: {} and {} then change places", points[k], points[mirrored[k]]));
    return modules::Augmentation::strong;
  }
  chosen.reasons.emplace_back("pictures are not mirrored: no two names differ by left and right");
  return modules::Augmentation::strong_unflipped;
}

}  // namespace

Result<void> check_landmarker_pins(const demand::Demand& demand) { return check_dense_pins(demand, "landmarkers"); }

Result<ChosenRecipe> choose_landmarker_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                              const std::optional<StartingWeights>& start, int threads) {
  ChosenRecipe chosen;
  choose_side(demand.recipe, manifest, sides, chosen);
  choose_dense_training(demand, manifest, augmentation_for(manifest.classes, chosen), chosen);
  SIGHTLINE_TRY(const DenseStart begun, read_dense_start(start));
  const modules::LandmarkerOptions options{.backbone = chosen.recipe.backbone,
                                           .height = chosen.recipe.side,
                                           .width = chosen.recipe.side,
                                           .channels = chosen.recipe.channels,
                                           .landmarks = std::ssize(manifest.classes),
                                           .mean = begun.mean,
                                           .deviation = begun.deviation,
                                           .seed = static_cast<std::uint64_t>(demand.seed)};
  SIGHTLINE_TRY(chosen.graph, modules::build_landmarker(options));
  return finish_dense(demand, begun, threads, "landmarker", std::move(chosen));
}

}  // namespace sightline::factory
