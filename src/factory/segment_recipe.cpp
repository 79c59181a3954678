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
  choose_side(demand.recipe, manifest, sides, chosen);
  if (demand.in_pieces())
    chosen.reasons.push_back(
        fmt::format("pictures are cut into pieces of {0}×{0} pixels at their own size: the demand says so", chosen.recipe.side));
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
  return finish_dense(demand, begun, threads, "segmenter", std::move(chosen));
}

}  // namespace sightline::factory
