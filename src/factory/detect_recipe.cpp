// Chooses a detector and how to train it.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "factory/recipe.h"
#include "factory/shipped.h"
#include "modules/detector.h"
#include "weights/weights.h"

namespace sightline::factory {
namespace {

constexpr const char* net = "sight-s";
constexpr int stride = modules::coarsest_stride;
constexpr std::array sides{128, 192, 256, 320, 416, 512, 640};
constexpr int usual_side = 320;
// Smaller than so many pixels of the network's input, objects are hardly seen; when a tenth of them are, the input grows.
constexpr double small_object = 12;
constexpr double default_minutes = 10;

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

Result<void> check_detector_pins(const demand::Demand& demand) {
  if (demand.recipe.backbone && *demand.recipe.backbone != net)
    return Error{ErrorKind::usage,
                 fmt::format("recipe.backbone: detectors are built on {}, not on \"{}\"; leave it out", net, *demand.recipe.backbone)};
  if (demand.recipe.side && *demand.recipe.side % stride != 0)
    return Error{ErrorKind::usage, fmt::format("recipe.side: {} is no multiple of {}, which a detector's maps need; take {}",
                                               *demand.recipe.side, stride, (*demand.recipe.side / stride + 1) * stride)};
  return {};
}

Result<std::optional<StartingWeights>> starting_weights() {
  for (const ShippedBackbone& shipped : shipped_backbones()) {
    if (shipped.name != net) continue;
    SIGHTLINE_TRY(const weights::WeightFile file, weights::read_weights(shipped.file));
    StartingWeights start{.name = net, .file = shipped.file, .licence = "not stated", .origin = "not stated"};
    SIGHTLINE_TRY(start.digest, sha256_of_file(shipped.file));
    for (const auto& [key, value] : {std::pair{"licence", &start.licence}, {"origin", &start.origin}})
      if (const auto found = file.metadata.find(key); found != file.metadata.end()) *value = found->second;
    return std::optional(std::move(start));
  }
  return std::optional<StartingWeights>();
}

Result<ChosenRecipe> choose_detector_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& start, int threads) {
  ChosenRecipe chosen;
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = net;
  recipe.channels = 3;
  choose_side(demand.recipe, manifest, chosen);
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
  recipe.augmentation = modules::Augmentation::mosaic;
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

  modules::DetectorOptions options;
  options.backbone = net;
  options.height = options.width = recipe.side;
  options.channels = recipe.channels;
  options.classes = static_cast<std::int64_t>(manifest.classes.size());
  options.mean.assign(3, 127.5F);
  options.deviation.assign(3, 64.0F);
  NetWithWeights begun;
  if (start) {
    SIGHTLINE_TRY(const BackboneImport stated, import_of_weights(start->file));
    SIGHTLINE_TRY(begun, read_net(stated));
    options.mean = begun.mean;
    options.deviation = begun.deviation;
  }
  options.seed = static_cast<std::uint64_t>(demand.seed);
  SIGHTLINE_TRY(chosen.graph, modules::build_detector(options));
  if (start) {
    SIGHTLINE_TRY(const int taken, modules::adopt_backbone(chosen.graph, begun.graph));
    chosen.reasons.push_back(fmt::format("begins with what {} knows: {} of its tensors", start->name, taken));
  } else {
    chosen.reasons.emplace_back("begins with random weights: no backbone is shipped with this installation");
  }
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, chosen.graph, recipe, threads));
  if (!broken.empty())
    return Error{ErrorKind::refused,
                 fmt::format("the detector at side {} breaks a limit: {}; lower recipe.side, or raise the limit", recipe.side, broken)};
  return chosen;
}

}  // namespace sightline::factory
