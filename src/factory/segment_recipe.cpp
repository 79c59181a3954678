// Chooses a segmenter and how to train it.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "factory/dense_recipe.h"
#include "factory/recipe.h"
#include "modules/segmenter.h"

namespace sightline::factory {
namespace {

constexpr std::array sides{128, 160, 192, 224, 256, 320};

void choose_side(const demand::RecipePins& pins, const dataset::Manifest& manifest, ChosenRecipe& chosen) {
  if (pins.side) {
    chosen.recipe.side = *pins.side;
    chosen.reasons.push_back(fmt::format("input side {}: the demand says so", *pins.side));
    return;
  }
  std::vector<int> longer;
  for (const dataset::Sample& sample : manifest.samples) longer.push_back(std::max(sample.width, sample.height));
  const auto middle = longer.begin() + std::ssize(longer) / 2;
  std::nth_element(longer.begin(), middle, longer.end());
  const auto enough = std::ranges::find_if(sides, [&](int side) { return side >= *middle; });
  chosen.recipe.side = enough == sides.end() ? sides.back() : *enough;
  chosen.reasons.push_back(fmt::format("input side {}: the longer side of the pictures is {} pixels in the median{}", chosen.recipe.side,
                                       *middle, *middle > sides.back() ? "; raise recipe.side where what matters becomes too small" : ""));
}

}  // namespace

Result<void> check_segmenter_pins(const demand::Demand& demand) { return check_dense_pins(demand, "segmenters"); }

Result<ChosenRecipe> choose_segmenter_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                             const std::optional<StartingWeights>& start, int threads) {
  const bool instances = manifest.masks && manifest.masks->instances;
  if (!instances && demand.target.metric.starts_with("mask_"))
    return Error{ErrorKind::usage,
                 fmt::format("target.metric: {} counts objects, which these masks do not tell apart (16-bit PNG, a number "
                             "for each object); take mIoU, dice or boundary_f1",
                             demand.target.metric)};
  ChosenRecipe chosen;
  choose_side(demand.recipe, manifest, chosen);
  choose_dense_training(demand, manifest, modules::Augmentation::strong, chosen);
  chosen.reasons.emplace_back(instances ? "two maps more, border and depth: the masks tell objects apart"
                                        : "classes alone: the masks do not tell objects apart");
  SIGHTLINE_TRY(const DenseStart begun, read_dense_start(start));
  const modules::SegmenterOptions options{.backbone = chosen.recipe.backbone,
                                          .height = chosen.recipe.side,
                                          .width = chosen.recipe.side,
                                          .channels = chosen.recipe.channels,
                                          .classes = std::ssize(manifest.classes),
                                          .instances = instances,
                                          .mean = begun.mean,
                                          .deviation = begun.deviation,
                                          .seed = static_cast<std::uint64_t>(demand.seed)};
  SIGHTLINE_TRY(chosen.graph, modules::build_segmenter(options));
  SIGHTLINE_CHECK(adopt_dense_start(begun, chosen));
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, chosen.graph, chosen.recipe, threads));
  if (!broken.empty())
    return Error{ErrorKind::refused, fmt::format("the segmenter at side {} breaks a limit: {}; lower recipe.side, or raise the limit",
                                                 chosen.recipe.side, broken)};
  return chosen;
}

}  // namespace sightline::factory
