#include "factory/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "evaluation/compression.h"
#include "evaluation/cross_validation.h"
#include "factory/mirror.h"
#include "factory/pictures_through.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "features/backbone.h"
#include "heads/choose.h"
#include "heads/head.h"
#include "heads/linear.h"
#include "image/image.h"

namespace sightline::factory {
namespace {

using Clock = std::chrono::steady_clock;
using dataset::Split;

constexpr std::size_t pilot_pictures = 600;
constexpr int most_views = 3, usual_passes = 9;
constexpr std::size_t most_bytes = std::size_t{1} << 30U;  // of rows for the tail
// A pass through the tail forwards and backwards takes so many times as long as the runtime takes for the same operations (measured on
// MobileNetV2, two cores with AMX).
constexpr double training_factor = 12;
// Of the whole net: passes that are worth beginning, and the most; the share of what is left of the budget (the rest is for judging).
constexpr double whole_passes = 3, whole_share = 0.9;
constexpr int most_passes = 12;
constexpr std::size_t patch_pictures = 2000;
constexpr int patch_side = 32, patch_filters = 96, patch_folds = 4;
// Peak rates: of the tail's head, and of the tail.
constexpr double head_rate = 0.02, tail_rate = 0.01;

// Every k-th of the training pictures, spread over all of them.
std::vector<std::int64_t> some_of(const std::vector<std::int64_t>& samples, std::size_t most) {
  if (samples.size() <= most) return samples;
  std::vector<std::int64_t> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(samples[i * samples.size() / most]);
  return some;
}

heads::ChooseOptions quick(const BuildContext& build) {
  return {.kinds = {heads::Kind::ridge, heads::Kind::discriminant},
          .balanced = is_balanced(build.demand),
          .seed = static_cast<std::uint64_t>(build.demand.seed),
          .threads = build.threads};
}

}  // namespace

Result<graph::Graph> head_without_validation(const BuildContext& build, const features::FeatureSource& source,
                                             const dataset::Manifest& manifest) {
  const std::vector<std::int64_t> training = samples_of(manifest, {Split::train});
  SIGHTLINE_TRY(const Tensor features, features_of(source, manifest, training, nullptr));
  const std::vector<std::int32_t> labels = labels_of(manifest, training);
  SIGHTLINE_TRY(const heads::Choice choice, heads::choose_head(features, labels, groups_of(manifest, training),
                                                               static_cast<int>(manifest.classes.size()), quick(build)));
  SIGHTLINE_TRY(graph::Graph graph, heads::append_head(source.backbone().graph, features::value, choice.head));
  // What is tuned is calibrated afterwards, and then the temperature cannot lie within the weights.
  graph.metadata.erase("sightline_temperature");
  graph::Node softmax = graph.nodes.back();
  graph.nodes.pop_back();
  graph.initializers["inverse_temperature"] = Tensor::filled({1}, 1);
  graph.nodes.push_back({"logits.scaled", "Mul", {"logits", "inverse_temperature"}, {"logits.scaled"}, {}, ""});
  softmax.inputs = {"logits.scaled"};
  graph.nodes.push_back(std::move(softmax));
  SIGHTLINE_CHECK(graph::check(graph));
  return graph;
}

Result<Prospect> pilot_cuts(const BuildContext& build, const features::FeatureSource& source, const features::FeatureSource& wide,
                            const std::vector<std::int64_t>& widths, const dataset::Manifest& manifest, double& seconds_each) {
  const std::vector<std::int64_t> all = samples_of(manifest, {Split::train, Split::validation});
  const std::vector<std::int64_t> samples = some_of(all, pilot_pictures);
  const std::vector<std::int32_t> labels = labels_of(manifest, samples);
  const std::vector<std::int64_t> groups = groups_of(manifest, samples);
  const auto classes = static_cast<int>(manifest.classes.size());
  SIGHTLINE_TRY(const Tensor features, features_of(source, manifest, samples, nullptr));
  std::optional<Progress> progress;
  if (build.options.progress) progress.emplace("pilot", samples.size(), "images");
  features::Counts counts;
  const auto begin = Clock::now();
  SIGHTLINE_TRY(const Tensor wide_features, features_of(wide, manifest, samples, progress ? &*progress : nullptr, &counts));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  seconds_each = counts.computed > 0 ? seconds / static_cast<double>(counts.computed) : 0;
  if (progress) progress->finish();

  heads::ChooseOptions options = quick(build);
  SIGHTLINE_TRY(const heads::Choice alone, heads::choose_head(features, labels, groups, classes, options));
  options.cut_widths = widths;
  SIGHTLINE_TRY(const heads::Choice more, heads::choose_head(wide_features, labels, groups, classes, options));
  const std::string metric = is_balanced(build.demand) ? "balanced_accuracy" : "top1";
  SIGHTLINE_TRY(const evaluation::Loss loss,
                evaluation::paired_loss(heads::out_of_fold_of(alone), heads::out_of_fold_of(more), labels, metric));
  return Prospect{.rung = Rung::cuts,
                  .gain = -loss.points / 100,
                  .interval = {-loss.interval.high / 100, -loss.interval.low / 100},
                  .seconds = static_cast<double>(all.size()) * seconds_each,
                  .why = fmt::format("so much more it has right out of fold on {} of the pictures, {:.4f} instead of {:.4f}",
                                     samples.size(), loss.candidate, loss.reference)};
}

double seconds_of_tail(const demand::Demand& demand, const Parts& parts, double seconds_each, double pictures) {
  const TailPlan plan = plan_tail(demand);
  return pictures * seconds_each * (plan.views * (1 - parts.share) + plan.passes * parts.share * training_factor);
}

double seconds_of_whole(double tail_seconds, double rows, double share, double pictures) {
  if (rows <= 0 || share <= 0) return 0;
  return whole_passes * pictures * tail_seconds / rows / share;
}

double whole_tenths(double seconds) { return std::max(std::floor(seconds / 6) / 10, 0.1); }

Result<void> choose_whole(const demand::Demand& demand, const dataset::Manifest& manifest, double seconds, ChosenRecipe& chosen) {
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = "whole";
  recipe.side = static_cast<int>(chosen.graph.inputs[0].shape[1]);
  recipe.channels = static_cast<int>(chosen.graph.inputs[0].shape[3]);
  choose_careful_rates(demand, chosen);
  recipe.epochs = demand.budget.epochs.value_or(most_passes);
  if (!demand.budget.epochs) recipe.minutes = whole_tenths(whole_share * seconds);
  return choose_augmentation(demand, manifest, chosen);
}

Result<double> accuracy_without_network(const BuildContext& build, const dataset::Manifest& manifest) {
  const std::vector<std::int64_t> samples = some_of(samples_of(manifest, {Split::train, Split::validation}), patch_pictures);
  const std::vector<std::int32_t> labels = labels_of(manifest, samples);
  const bool colour = std::ranges::any_of(manifest.samples, [](const dataset::Sample& sample) { return sample.channels != 1; });
  const std::int64_t channels = colour ? 3 : 1;
  Tensor pictures(Dtype::u8, {static_cast<std::int64_t>(samples.size()), patch_side, patch_side, channels});
  const std::size_t bytes = pictures.byte_count() / std::max<std::size_t>(samples.size(), 1);
  const dataset::SampleReader reader(manifest.root);
  const auto shrink = [&](std::size_t i) -> Result<void> {
    SIGHTLINE_TRY(const image::Image picture, reader.read(manifest.samples[static_cast<std::size_t>(samples[i])].path));
    const image::Image small = image::resize(image::convert_channels(picture, static_cast<int>(channels)), patch_side, patch_side);
    std::memcpy(pictures.data() + i * bytes, small.pixels.data(), bytes);
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(samples.size(), shrink, build.threads, 16));
  const auto seed = static_cast<std::uint64_t>(build.demand.seed);
  SIGHTLINE_TRY(const Tensor features, heads::patch_features(pictures, patch_filters, seed));
  SIGHTLINE_TRY(const Tensor answers, heads::out_of_fold_probabilities(features, labels, groups_of(manifest, samples),
                                                                       static_cast<int>(manifest.classes.size()), patch_folds, seed));
  SIGHTLINE_TRY(const auto estimate, evaluation::cross_validated(std::span(&answers, 1), labels));
  return is_balanced(build.demand) ? estimate.balanced_accuracy.value : estimate.accuracy.value;
}

TailPlan plan_tail(const demand::Demand& demand) {
  TailPlan plan{.views = most_views, .passes = usual_passes};
  if (demand.recipe.augmentation && *demand.recipe.augmentation == "none") plan.views = 1;
  if (demand.budget.epochs) {
    plan.passes = std::min(plan.passes, *demand.budget.epochs);
    plan.views = std::min(plan.views, plan.passes);
  }
  return plan;
}

Result<TailData> tail_data(const BuildContext& build, const dataset::Manifest& manifest, const graph::Graph& whole) {
  SIGHTLINE_TRY(const std::optional<Parts> parts, split_network(whole));
  if (!parts) return Error{ErrorKind::unsupported, "the network has no place where its last stages begin"};
  const std::vector<std::int64_t> training = samples_of(manifest, {Split::train}), validation = samples_of(manifest, {Split::validation});
  const auto bytes = static_cast<std::size_t>(parts->shape[0] * parts->shape[1] * parts->shape[2]);
  TailData data;
  data.views = plan_tail(build.demand).views;
  data.share = parts->share;
  data.cut = parts->cut;
  while (data.views > 1 && (training.size() * static_cast<std::size_t>(data.views) + validation.size()) * bytes > most_bytes) --data.views;
  View view{.number = 0, .mirror = false, .seed = static_cast<std::uint64_t>(build.demand.seed)};
  std::string mirrored = "not mirrored: the demand says so";
  if (const auto& pinned = build.demand.recipe.augmentation) {
    view.mirror = *pinned == "flip" || *pinned == "light" || *pinned == "strong";
    if (view.mirror) mirrored = "mirrored: the demand says so";
  } else if (data.views > 1) {
    SIGHTLINE_TRY(const std::optional<std::string> harm, harm_of_mirroring(manifest, build.demand.seed));
    view.mirror = !harm;
    mirrored = harm ? "not mirrored: " + *harm : "mirrored by a coin";
  }
  data.sentence =
      fmt::format("the last {} of {} layers are tuned, {:.0f}% of the operations, on {} of each training picture as \"{}\" shows them{}",
                  parts->layers - 1, parts->all - 1, 100 * parts->share, data.views == 1 ? "one view" : fmt::format("{} views", data.views),
                  parts->cut, data.views == 1 ? "" : ", " + mirrored);

  std::vector<std::pair<View, const std::vector<std::int64_t>*>> parts_of_set;
  for (int v = 0; v < data.views; ++v) {
    view.number = v;
    parts_of_set.emplace_back(view, &training);
  }
  parts_of_set.emplace_back(View{}, &validation);
  std::size_t rows = 0;
  for (const auto& [shown, samples] : parts_of_set) {
    for (const std::int64_t sample : *samples) {
      data.labels.push_back(manifest.samples[static_cast<std::size_t>(sample)].label);
      data.splits.push_back(samples == &training ? Split::train : Split::validation);
    }
    rows += samples->size();
  }
  data.rows = Tensor(Dtype::u8, {static_cast<std::int64_t>(rows), parts->shape[1], parts->shape[2], parts->shape[0]});

  // The first pictures say which numbers there are.
  std::optional<Levels> levels;
  const std::vector<std::int64_t> first = some_of(training, 128);
  {
    Tensor maps(Dtype::f32, {static_cast<std::int64_t>(first.size()), parts->shape[0], parts->shape[1], parts->shape[2]});
    const auto keep = [&](std::size_t at, const Tensor& some, std::size_t count) -> Result<void> {
      std::memcpy(maps.values<float>().data() + at * bytes, some.values<float>().data(), count * bytes * sizeof(float));
      return {};
    };
    SIGHTLINE_CHECK(pictures_through(parts->stem, parts->cut, manifest, first, {}, build.threads, nullptr, keep));
    levels = levels_of(maps);
  }
  std::optional<Progress> progress;
  if (build.options.progress) progress.emplace("tail-data", rows, "images");
  std::size_t begin = 0;
  for (const auto& [shown, samples] : parts_of_set) {
    const auto keep = [&](std::size_t at, const Tensor& maps, std::size_t count) -> Result<void> {
      const Tensor some = to_bytes(maps, *levels);
      std::memcpy(data.rows.data() + (begin + at) * bytes, some.data(), count * bytes);
      return {};
    };
    SIGHTLINE_CHECK(
        pictures_through(parts->stem, parts->cut, manifest, *samples, shown, build.threads, progress ? &*progress : nullptr, keep));
    begin += samples->size();
  }
  if (progress) progress->finish();
  data.graph = tail_of_bytes(*parts, *levels);
  return data;
}

modules::Recipe tail_recipe(const demand::Demand& demand, int views, double seconds) {
  modules::Recipe recipe;
  recipe.backbone = "tail";
  recipe.epochs = std::max(1, plan_tail(demand).passes / views);
  if (!demand.budget.epochs) recipe.minutes = seconds / 60;
  recipe.batch = demand.recipe.batch.value_or(32);
  recipe.learning_rate = demand.recipe.learning_rate.value_or(head_rate);
  recipe.backbone_rate = tail_rate / head_rate;
  recipe.weight_decay = 1e-4;
  recipe.label_smoothing = 0.05;
  recipe.clip = 1.0;
  recipe.augmentation = modules::Augmentation::none;
  return recipe;
}

}  // namespace sightline::factory
