// Chooses a restorer and how to train it, what its package is checked with, and how far off its package says it may be.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/files.h"
#include "base/text.h"
#include "factory/build.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "image/tiles.h"
#include "modules/restorer.h"
#include "tasks/degradation.h"

namespace sightline::factory {
namespace {

constexpr double default_minutes = 10;

tasks::Degradation stated(const demand::Demand& demand) { return demand.restore.value_or(tasks::Degradation()); }

// What of the sharp picture a crop of training covers, with what is degraded around it.
int sharp_crop(const tasks::Degradation& degradation) {
  const int scale = degradation.scale, reach = (tasks::reach_of(degradation) + scale - 1) / scale * scale;
  return modules::crop_side(scale) * scale + 2 * reach;
}

std::string told(const tasks::Degradation& degradation) {
  const auto range = [](const char* name, const std::vector<double>& values, const char* unit) {
    return values.back() <= 0                ? std::string()
           : values.front() == values.back() ? fmt::format(", {} of {:g} {}", name, values.front(), unit)
                                             : fmt::format(", {} of {:g} to {:g} {}", name, values.front(), values.back(), unit);
  };
  std::string text = degradation.scale > 1 ? fmt::format(", {} times fewer pixels each way", degradation.scale) : std::string();
  text += range("blur", degradation.blur, "pixels") + range("noise", degradation.noise, "levels");
  if (!degradation.photons.empty()) text += range("white", degradation.photons, "photons");
  if (!degradation.jpeg.empty()) text += range("JPEG", degradation.jpeg, "of quality");
  return text.substr(2);
}

// The side at which the fewest pixels are computed for a picture of the median size.
void choose_side(const demand::RecipePins& pins, const dataset::Manifest& manifest, int scale, ChosenRecipe& chosen) {
  if (pins.side) {
    chosen.recipe.side = *pins.side;
    chosen.reasons.push_back(fmt::format("pieces of {} pixels a side: the demand says so", *pins.side));
    return;
  }
  std::vector<int> widths, heights;
  for (const dataset::Sample& sample : manifest.samples) {
    widths.push_back(sample.width / scale);
    heights.push_back(sample.height / scale);
  }
  const auto median = [](std::vector<int>& values) {
    std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
    return values[values.size() / 2];
  };
  const int width = median(widths), height = median(heights);
  constexpr int least = 64, most = 192;
  std::int64_t fewest = 0;
  for (int side = least; side <= most; side += modules::restorer_step) {
    const std::int64_t pixels = image::tiling_of(width, height, side, side).count() * side * side;
    if (fewest != 0 && pixels > fewest) continue;
    fewest = pixels;
    chosen.recipe.side = side;
  }
  chosen.reasons.push_back(
      fmt::format("pieces of {} pixels a side: a picture of {}×{}, the median, takes {} of them, which is {:.2f} "
                  "times its pixels",
                  chosen.recipe.side, width, height, image::tiling_of(width, height, chosen.recipe.side, chosen.recipe.side).count(),
                  static_cast<double>(fewest) / (static_cast<double>(std::max(width, 1)) * std::max(height, 1))));
}

void choose_restorer_training(const demand::Demand& demand, ChosenRecipe& chosen) {
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = "restorer";
  recipe.epochs = demand.budget.epochs;
  recipe.minutes = demand.budget.minutes;
  if (!recipe.epochs && !recipe.minutes) {
    recipe.minutes = default_minutes;
    chosen.reasons.push_back(fmt::format("{:g} minutes of training: the demand gives no budget", default_minutes));
  }
  recipe.batch = 16;
  recipe.optimizer = modules::Optimizer::adamw;
  recipe.learning_rate = 2e-3;
  recipe.weight_decay = 1e-4;
  recipe.schedule = modules::Schedule::cosine;
  recipe.warmup = 0.05;
  recipe.label_smoothing = 0;
  recipe.weight_average = 0.995;
  recipe.clip = 1;
  recipe.augmentation = modules::Augmentation::flip;
  recipe.bf16 = runtime::processor_has_bf16();
  if (recipe.bf16) chosen.reasons.emplace_back("convolutions are trained in bf16: this processor is several times faster at it");
  if (demand.recipe.augmentation) enum_from(*demand.recipe.augmentation, recipe.augmentation);
  if (demand.recipe.batch) recipe.batch = *demand.recipe.batch;
  if (demand.recipe.learning_rate) recipe.learning_rate = *demand.recipe.learning_rate;
  if (demand.recipe.weight_decay) recipe.weight_decay = *demand.recipe.weight_decay;
  if (demand.recipe.optimizer) enum_from(*demand.recipe.optimizer, recipe.optimizer);
  if (demand.recipe.schedule) enum_from(*demand.recipe.schedule, recipe.schedule);
  chosen.reasons.push_back(
      fmt::format("batches of {} crops at a peak learning rate of {:g}, each degraded anew", recipe.batch, recipe.learning_rate));
}

}  // namespace

Result<void> check_restorer_pins(const demand::Demand& demand) {
  SIGHTLINE_CHECK(tasks::settled(stated(demand)));
  if (demand.recipe.backbone)
    return Error{ErrorKind::usage,
                 fmt::format("recipe.backbone: restorers have a net of their own, not \"{}\"; leave it out", *demand.recipe.backbone)};
  if (demand.recipe.side && *demand.recipe.side % modules::restorer_step != 0)
    return Error{ErrorKind::usage,
                 fmt::format("recipe.side: {} is no multiple of {}, which the side of a restorer's pieces is; take {}", *demand.recipe.side,
                             modules::restorer_step, (*demand.recipe.side / modules::restorer_step + 1) * modules::restorer_step)};
  return {};
}

Result<int> sharp_side(const demand::Demand& demand) {
  SIGHTLINE_TRY(const tasks::Degradation degradation, tasks::settled(stated(demand)));
  // Room for crops at other places than the middle.
  return sharp_crop(degradation) + modules::crop_side(degradation.scale) * degradation.scale;
}

Result<ChosenRecipe> choose_restorer_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& /*start*/, int threads) {
  SIGHTLINE_TRY(const tasks::Degradation degradation, tasks::settled(stated(demand)));
  ChosenRecipe chosen;
  modules::Recipe& recipe = chosen.recipe;
  recipe.channels = std::ranges::all_of(manifest.samples, [](const dataset::Sample& sample) { return sample.channels == 1; }) ? 1 : 3;
  chosen.reasons.push_back(fmt::format("{} pictures, made worse by {}", recipe.channels == 1 ? "grey" : "RGB", told(degradation)));
  choose_side(demand.recipe, manifest, degradation.scale, chosen);
  choose_restorer_training(demand, chosen);
  SIGHTLINE_TRY(chosen.graph, modules::build_restorer({.height = recipe.side,
                                                       .width = recipe.side,
                                                       .channels = recipe.channels,
                                                       .scale = degradation.scale,
                                                       .seed = static_cast<std::uint64_t>(demand.seed)}));
  chosen.graph.metadata[tasks::restoration_key] = json_text(to_json(tasks::Restoration{.degradation = degradation, .seed = demand.seed}));
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, chosen.graph, recipe, threads));
  if (!broken.empty())
    return Error{ErrorKind::refused, fmt::format("the restorer breaks a limit with one piece of {} pixels a side: {}; lower recipe.side, "
                                                 "or raise the limit",
                                                 recipe.side, broken)};
  return chosen;
}

Result<void> show_golden(const tasks::Task& task, const package::Contents& contents, std::vector<package::GoldenSample>& golden) {
  const int scale =
      contents.graph.metadata.contains(tasks::restoration_key) ? tasks::restoration_of(contents.graph.metadata)->degradation.scale : 1;
  // More than one piece and not many, each way.
  const int most = (2 * contents.preprocessing.width - image::tile_overlap) * scale;
  for (package::GoldenSample& sample : golden) {
    const image::Image picture = image::convert_channels(sample.picture, contents.preprocessing.channels);
    const image::Image middle = middle_of(picture, most);
    annotation::Annotation truth;
    SIGHTLINE_TRY(sample.picture, task.show(middle, sample.name, {contents.labels, contents.graph.metadata}, truth));
  }
  return {};
}

Result<double> write_calibrated_restorer(const BuildContext& build, package::Contents& contents, const dataset::Manifest& manifest,
                                         const std::string& folder) {
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  double factor = 1;
  {
    SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.threads = build.threads, .check_golden = false}));
    if (std::ranges::none_of(manifest.samples, [](const dataset::Sample& each) { return each.split == dataset::Split::validation; }))
      return factor;
    SIGHTLINE_TRY(const evaluation::Annotated annotated,
                  evaluation::annotate(model, manifest, dataset::Split::validation, false, build.threads));
    const auto meter = evaluation::meter_of(model, annotated, manifest, dataset::Split::validation);
    std::vector<std::int64_t> all(annotated.cases.size());
    std::iota(all.begin(), all.end(), std::int64_t{0});
    const tasks::Figures figures = meter->figures(all, false);
    const double expected = figures.values.at("deviation"), is = figures.values.at("error");
    if (!(expected > 0 && is > 0)) return factor;
    factor = is / expected;
  }
  Tensor& constant = contents.graph.initializers[modules::deviation_factor];
  constant = Tensor::filled(constant.shape(), static_cast<float>(factor));
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  return factor;
}

}  // namespace sightline::factory
