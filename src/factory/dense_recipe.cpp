#include "factory/dense_recipe.h"

#include <algorithm>

#include "base/text.h"
#include "factory/backbone.h"
#include "factory/shipped.h"
#include "modules/detector.h"
#include "weights/weights.h"

namespace sightline::factory {

Result<void> check_dense_pins(const demand::Demand& demand, const char* nets) {
  constexpr int stride = modules::coarsest_stride;
  if (demand.recipe.backbone && *demand.recipe.backbone != dense_net)
    return Error{ErrorKind::usage,
                 fmt::format("recipe.backbone: {} are built on {}, not on \"{}\"; leave it out", nets, dense_net, *demand.recipe.backbone)};
  if (demand.recipe.side && *demand.recipe.side % stride != 0)
    return Error{ErrorKind::usage, fmt::format("recipe.side: {} is no multiple of {}, which the maps of {} need; take {}",
                                               *demand.recipe.side, stride, nets, (*demand.recipe.side / stride + 1) * stride)};
  return {};
}

Result<std::optional<StartingWeights>> starting_weights() {
  for (const ShippedBackbone& shipped : shipped_backbones()) {
    if (shipped.name != dense_net) continue;
    SIGHTLINE_TRY(const weights::WeightFile file, weights::read_weights(shipped.file));
    StartingWeights start{.name = dense_net, .file = shipped.file, .licence = "not stated", .origin = "not stated"};
    SIGHTLINE_TRY(start.digest, sha256_of_file(shipped.file));
    for (const auto& [key, value] : {std::pair{"licence", &start.licence}, {"origin", &start.origin}})
      if (const auto found = file.metadata.find(key); found != file.metadata.end()) *value = found->second;
    return std::optional(std::move(start));
  }
  return std::optional<StartingWeights>();
}

void choose_dense_training(const demand::Demand& demand, const dataset::Manifest& manifest, modules::Augmentation augmentation,
                           ChosenRecipe& chosen) {
  constexpr double default_minutes = 10;
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = dense_net;
  recipe.channels = 3;
  recipe.epochs = demand.budget.epochs;
  recipe.minutes = demand.budget.minutes;
  if (!recipe.epochs && !recipe.minutes) {
    recipe.minutes = default_minutes;
    chosen.reasons.push_back(fmt::format("{:g} minutes of training: the demand gives no budget", default_minutes));
  }
  const auto train = std::ranges::count(manifest.samples, dataset::Split::train, &dataset::Sample::split);
  recipe.batch = train >= 1000 ? 16 : 8;
  recipe.optimizer = modules::Optimizer::adamw;
  recipe.learning_rate = 1e-3;
  recipe.weight_decay = 0.02;
  recipe.schedule = modules::Schedule::cosine;
  recipe.warmup = 0.05;
  recipe.label_smoothing = 0;
  recipe.weight_average = 0.998;
  recipe.clip = 10;
  recipe.augmentation = augmentation;
  recipe.bf16 = runtime::processor_has_bf16();
  if (recipe.bf16) chosen.reasons.emplace_back("convolutions are trained in bf16: this processor is several times faster at it");
  if (demand.recipe.augmentation) enum_from(*demand.recipe.augmentation, recipe.augmentation);
  if (demand.recipe.batch) recipe.batch = *demand.recipe.batch;
  if (demand.recipe.learning_rate) recipe.learning_rate = *demand.recipe.learning_rate;
  if (demand.recipe.weight_decay) recipe.weight_decay = *demand.recipe.weight_decay;
  if (demand.recipe.optimizer) enum_from(*demand.recipe.optimizer, recipe.optimizer);
  if (demand.recipe.schedule) enum_from(*demand.recipe.schedule, recipe.schedule);
  chosen.reasons.push_back(fmt::format("batches of {} at a peak learning rate of {:g}: {} to learn from", recipe.batch,
                                       recipe.learning_rate, plural(static_cast<std::uint64_t>(train), "image")));
}

void choose_side(const demand::RecipePins& pins, const dataset::Manifest& manifest, std::span<const int> sides, ChosenRecipe& chosen) {
  if (pins.side) {
    chosen.recipe.side = *pins.side;
    chosen.reasons.push_back(fmt::format("input side {}: the demand says so", *pins.side));
    return;
  }
  std::vector<int> longer;
  for (const dataset::Sample& sample : manifest.samples) longer.push_back(std::max(sample.width, sample.height));
  const auto middle = longer.begin() + std::ssize(longer) / 2;
  std::nth_element(longer.begin(), middle, longer.end());
  const auto enough = std::find_if(sides.begin(), sides.end(), [&](int side) { return side >= *middle; });
  chosen.recipe.side = enough == sides.end() ? sides.back() : *enough;
  chosen.reasons.push_back(fmt::format("input side {}: the longer side of the pictures is {} pixels in the median{}", chosen.recipe.side,
                                       *middle, *middle > sides.back() ? "; raise recipe.side where what matters becomes too small" : ""));
}

Result<DenseStart> read_dense_start(const std::optional<StartingWeights>& start) {
  DenseStart begun{.weights = start, .graph = {}, .mean = {127.5F, 127.5F, 127.5F}, .deviation = {64, 64, 64}};
  if (!start) return begun;
  SIGHTLINE_TRY(const BackboneImport stated, import_of_weights(start->file));
  SIGHTLINE_TRY(NetWithWeights net, read_net(stated));
  begun.graph = std::move(net.graph);
  begun.mean = std::move(net.mean);
  begun.deviation = std::move(net.deviation);
  return begun;
}

Result<ChosenRecipe> finish_dense(const demand::Demand& demand, const DenseStart& begun, int threads, const char* net,
                                  ChosenRecipe chosen) {
  if (begun.weights) {
    SIGHTLINE_TRY(const int taken, modules::adopt_backbone(chosen.graph, begun.graph));
    chosen.reasons.push_back(fmt::format("begins with what {} knows: {} of its tensors", begun.weights->name, taken));
  } else {
    chosen.reasons.emplace_back("begins with random weights: no backbone is shipped with this installation");
  }
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, chosen.graph, chosen.recipe, threads));
  if (broken.empty()) return chosen;
  return Error{ErrorKind::refused,
               fmt::format("the {} at side {} breaks a limit: {}; lower recipe.side, or raise the limit", net, chosen.recipe.side, broken)};
}

}  // namespace sightline::factory
