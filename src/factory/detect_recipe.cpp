// Chooses a detector and how to train it.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "factory/dense_recipe.h"
#include "factory/recipe.h"
#include "modules/detector.h"

namespace sightline::factory {
namespace {

constexpr std::array sides{128, 192, 256, 320, 416, 512, 640};
constexpr int usual_side = 320;
// Smaller than so many pixels of the network's input, objects are hardly seen; when a tenth of them are, the input grows.
constexpr double small_object = 12;

double quantile_of(std::vector<double> values, double q) {
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

void choose_side(const demand::RecipePins& pins, const dataset::Manifest& manifest, ChosenRecipe& chosen) {
  std::vector<double> longer, shares;
  for (const dataset::Sample& sample : manifest.samples) {
    const double side = std::max(sample.width, sample.height);
    longer.push_back(side);
    if (sample.split != dataset::Split::train) continue;
    for (const annotation::Object& object : sample.annotation.objects)
      if (!object.ignored()) shares.push_back(std::sqrt(object.box.area()) / side);
  }
  if (pins.side) {
    chosen.recipe.side = *pins.side;
    chosen.reasons.push_back(fmt::format("input side {}: the demand says so", *pins.side));
    return;
  }
  const double typical = quantile_of(longer, 0.5);
  const double small = shares.empty() ? 1 : quantile_of(shares, 0.1);
  int side = sides.front();
  for (const int each : sides)
    if (each <= std::max(typical, static_cast<double>(sides.front())) && each <= usual_side) side = each;
  for (const int each : sides)
    if (each > side && each <= typical * 1.05 && small * side < small_object) side = each;
  chosen.recipe.side = side;
  chosen.reasons.push_back(
      fmt::format("input side {}: the longer side of the pictures is {:.0f} pixels in the median, and a tenth of the "
                  "objects is smaller than {:.0f} pixels in it",
                  side, typical, small * side));
}

}  // namespace

Result<void> check_detector_pins(const demand::Demand& demand) { return check_dense_pins(demand, "detectors"); }

Result<ChosenRecipe> choose_detector_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& start, int threads) {
  ChosenRecipe chosen;
  const modules::Recipe& recipe = chosen.recipe;
  choose_side(demand.recipe, manifest, chosen);
  choose_dense_training(demand, manifest, modules::Augmentation::mosaic, chosen);

  modules::DetectorOptions options;
  options.backbone = recipe.backbone;
  options.height = options.width = recipe.side;
  options.channels = recipe.channels;
  options.classes = static_cast<std::int64_t>(manifest.classes.size());
  SIGHTLINE_TRY(const DenseStart begun, read_dense_start(start));
  options.mean = begun.mean;
  options.deviation = begun.deviation;
  options.seed = static_cast<std::uint64_t>(demand.seed);
  SIGHTLINE_TRY(chosen.graph, modules::build_detector(options));
  return finish_dense(demand, begun, threads, "detector", std::move(chosen));
}

}  // namespace sightline::factory
