// Chooses an embedder and how to train it.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/text.h"
#include "factory/recipe.h"
#include "factory/shipped.h"
#include "modules/detector.h"
#include "modules/embedder.h"
#include "modules/metric_losses.h"
#include "modules/modules.h"

namespace sightline::factory {
namespace {

constexpr const char* net = "sight-s";
constexpr std::array sides{32, 48, 64, 96, 112, 128};
constexpr double default_minutes = 10;

struct Identities {
  std::int64_t count = 0, pictures = 0, with_others = 0;  // with two pictures or more
};

Identities training_identities(const dataset::Manifest& manifest) {
  std::map<int, std::int64_t> pictures;
  for (const dataset::Sample& sample : manifest.samples)
    if (sample.split == dataset::Split::train) ++pictures[sample.label];
  Identities identities;
  for (const auto& [label, count] : pictures) {
    ++identities.count;
    identities.pictures += count;
    identities.with_others += count > 1 ? 1 : 0;
  }
  return identities;
}

void choose_side(const demand::RecipePins& pins, const dataset::Manifest& manifest, int least, ChosenRecipe& chosen) {
  std::vector<int> longer;
  for (const dataset::Sample& sample : manifest.samples) longer.push_back(std::max(sample.width, sample.height));
  std::ranges::nth_element(longer, longer.begin() + static_cast<std::ptrdiff_t>(longer.size() / 2));
  const int typical = longer[longer.size() / 2];
  int side = std::max(least, sides.front());
  for (const int each : sides)
    if (each >= least && each <= typical) side = each;
  chosen.recipe.side = pins.side.value_or(side);
  chosen.reasons.push_back(pins.side
                               ? fmt::format("input side {}: the demand says so", *pins.side)
                               : fmt::format("input side {}: the longer side of the pictures is {} pixels in the median", side, typical));
}

Result<void> choose_loss(const demand::RecipePins& pins, const Identities& identities, ChosenRecipe& chosen) {
  modules::Recipe& recipe = chosen.recipe;
  recipe.metric_loss = modules::MetricLoss::cosface;
  if (pins.loss) enum_from(*pins.loss, recipe.metric_loss);
  const modules::MetricLossRow& row = modules::row_of(recipe.metric_loss);
  if (row.wants_pairs && identities.with_others == 0)
    return Error{ErrorKind::usage, fmt::format("recipe.loss: {} learns from pairs of one identity, and no training identity has two "
                                               "pictures; name softmax, cosface, arcface or adaface",
                                               enum_name(recipe.metric_loss))};
  recipe.margin = row.margin;
  recipe.scale = row.scale;
  recipe.pair_weight = row.pair_weight;
  recipe.pictures_per_identity = row.pictures_per_identity;
  const std::string of_whom = fmt::format("{} identities in {}, {} with more than one", identities.count,
                                          plural(static_cast<std::uint64_t>(identities.pictures), "picture"), identities.with_others);
  chosen.reasons.push_back(pins.loss ? fmt::format("loss {}: the demand says so; {}", *pins.loss, of_whom)
                                     : fmt::format("loss {}: {}; {}", enum_name(recipe.metric_loss), row.description, of_whom));
  return {};
}

}  // namespace

Result<void> check_embedder_pins(const demand::Demand& demand) {
  if (demand.recipe.backbone) {
    SIGHTLINE_TRY(const modules::Backbone* backbone, modules::find_backbone(*demand.recipe.backbone));
    if (demand.recipe.side && *demand.recipe.side < backbone->least_side)
      return Error{ErrorKind::usage,
                   fmt::format("recipe.side: {} and recipe.backbone: {} do not go together: that net is for pictures of {} "
                               "pixels a side or more",
                               *demand.recipe.side, backbone->name, backbone->least_side)};
  }
  return {};
}

Result<ChosenRecipe> choose_embedder_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& start, int threads) {
  ChosenRecipe chosen;
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = demand.recipe.backbone.value_or(net);
  SIGHTLINE_TRY(const modules::Backbone* backbone, modules::find_backbone(recipe.backbone));
  recipe.channels = 3;
  choose_side(demand.recipe, manifest, backbone->least_side, chosen);
  const Identities identities = training_identities(manifest);
  SIGHTLINE_CHECK(choose_loss(demand.recipe, identities, chosen));
  recipe.epochs = demand.budget.epochs;
  recipe.minutes = demand.budget.minutes;
  if (!recipe.epochs && !recipe.minutes) {
    recipe.minutes = default_minutes;
    chosen.reasons.push_back(fmt::format("{:g} minutes of training: the demand gives no budget", default_minutes));
  }
  recipe.batch = 64;
  recipe.optimizer = modules::Optimizer::adamw;
  recipe.learning_rate = 1e-3;
  recipe.weight_decay = 0.05;
  recipe.schedule = modules::Schedule::cosine;
  recipe.warmup = 0.05;
  recipe.label_smoothing = 0;
  recipe.weight_average = 0.998;
  recipe.clip = 5;
  recipe.dropout = 0.2;
  recipe.augmentation = modules::Augmentation::light;
  recipe.bf16 = runtime::processor_has_bf16();
  if (recipe.bf16) chosen.reasons.emplace_back("convolutions are trained in bf16: this processor is several times faster at it");
  if (demand.recipe.augmentation) enum_from(*demand.recipe.augmentation, recipe.augmentation);
  if (demand.recipe.batch) recipe.batch = *demand.recipe.batch;
  if (demand.recipe.learning_rate) recipe.learning_rate = *demand.recipe.learning_rate;
  if (demand.recipe.weight_decay) recipe.weight_decay = *demand.recipe.weight_decay;
  if (demand.recipe.optimizer) enum_from(*demand.recipe.optimizer, recipe.optimizer);
  if (demand.recipe.schedule) enum_from(*demand.recipe.schedule, recipe.schedule);
  chosen.reasons.push_back(fmt::format("batches of {} at a peak learning rate of {:g}", recipe.batch, recipe.learning_rate));

  modules::EmbedderOptions options;
  options.backbone = recipe.backbone;
  options.side = recipe.side;
  options.channels = recipe.channels;
  options.identities = identities.count;
  options.mean.assign(3, 127.5F);
  options.deviation.assign(3, 64.0F);
  options.dropout = static_cast<float>(recipe.dropout);
  options.seed = static_cast<std::uint64_t>(demand.seed);
  NetWithWeights begun;
  const bool begins = start && start->name == recipe.backbone;
  if (begins) {
    SIGHTLINE_TRY(const BackboneImport stated, import_of_weights(start->file));
    SIGHTLINE_TRY(begun, read_net(stated));
    options.mean = begun.mean;
    options.deviation = begun.deviation;
  }
  SIGHTLINE_TRY(chosen.graph, modules::build_embedder(options));
  if (begins) {
    SIGHTLINE_TRY(const int taken, modules::adopt_backbone(chosen.graph, begun.graph));
    chosen.reasons.push_back(fmt::format("begins with what {} knows: {} of its tensors", start->name, taken));
  } else {
    chosen.reasons.push_back(fmt::format("begins with random weights: {}",
                                         start ? "none are shipped for this net" : "no backbone is shipped with this installation"));
  }
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, graph::serving_graph(chosen.graph), recipe, threads));
  if (!broken.empty())
    return Error{
        ErrorKind::refused,
        fmt::format("the embedder at side {} breaks a limit: {}; lower recipe.side, name a lighter net as recipe.backbone, or raise "
                    "the limit",
                    recipe.side, broken)};
  return chosen;
}

}  // namespace sightline::factory
