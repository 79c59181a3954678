#include "factory/recipe.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "base/text.h"
#include "dataset/packed_set.h"
#include "factory/mirror.h"
#include "image/image.h"
#include "modules/modules.h"
#include "runtime/session.h"
#include "weights/mapping.h"

namespace sightline::factory {
namespace {

// Input sides that backbones divide well. Pictures that are all small and alike keep their own side.
constexpr std::array sides{16, 24, 28, 32, 40, 48, 64, 80, 96};
// Above this many minutes (or epochs) the larger default net has time to pay off.
constexpr double long_budget_minutes = 10;
constexpr int long_budget_epochs = 30;
// AdamW's steps have the size of the learning rate whatever the gradient is: what SGD takes would be far too much for it.
constexpr double adamw_share = 0.02;

int median(std::vector<int> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void choose_input(const dataset::Manifest& manifest, const demand::RecipePins& pins, ChosenRecipe& chosen) {
  std::vector<int> shorter;
  bool grey = true;
  for (const dataset::Sample& sample : manifest.samples) {
    shorter.push_back(std::min(sample.width, sample.height));
    grey = grey && sample.channels == 1;
  }
  chosen.recipe.channels = grey ? 1 : 3;
  chosen.reasons.emplace_back(grey ? "one channel: every picture is grey" : "three channels: there are colour pictures");
  const int typical = median(shorter);
  if (pins.side) {
    chosen.recipe.side = *pins.side;
    chosen.reasons.push_back(fmt::format("input side {}: the demand says so", *pins.side));
    return;
  }
  chosen.recipe.side = sides.front();
  for (int side : sides) {
    if (side <= typical) chosen.recipe.side = side;
  }
  chosen.reasons.push_back(
      fmt::format("input side {}: the shorter side of the pictures is {} pixels in the median", chosen.recipe.side, typical));
}

// Channel means and deviations of the training pictures would tie the graph to the data's decoding; grey levels' statistics are known from
// the import.
void normalisation(const dataset::Manifest& manifest, int channels, std::vector<float>& mean, std::vector<float>& deviation) {
  double sum = 0;
  double squares = 0;
  std::int64_t count = 0;
  for (const dataset::Sample& sample : manifest.samples) {
    if (sample.split != dataset::Split::train) continue;
    sum += sample.mean;
    squares += sample.deviation * sample.deviation + sample.mean * sample.mean;
    ++count;
  }
  const double average = sum / static_cast<double>(std::max<std::int64_t>(count, 1));
  const double spread = std::sqrt(std::max(1.0, squares / static_cast<double>(std::max<std::int64_t>(count, 1)) - average * average));
  mean.assign(static_cast<std::size_t>(channels), static_cast<float>(average));
  deviation.assign(static_cast<std::size_t>(channels), static_cast<float>(spread));
}

Result<graph::Graph> initial_graph(const demand::Demand& demand, const dataset::Manifest& manifest, const modules::Recipe& recipe,
                                   const std::string& backbone) {
  modules::ClassifierOptions options;
  options.backbone = backbone;
  options.height = options.width = recipe.side;
  options.channels = recipe.channels;
  options.classes = static_cast<std::int64_t>(manifest.classes.size());
  options.dropout = static_cast<float>(recipe.dropout);
  options.neck = neck_of(demand);
  options.seed = static_cast<std::uint64_t>(demand.seed);
  normalisation(manifest, recipe.channels, options.mean, options.deviation);
  return modules::build_classifier(options);
}

// Lays the demand's weights onto the net, and says what fitted.
Result<void> load_weights(const demand::Demand& demand, ChosenRecipe& chosen) {
  if (!demand.backbone || !demand.backbone->weights) return {};
  const std::string& path = *demand.backbone->weights;
  SIGHTLINE_TRY(const weights::WeightFile file, weights::read_weights(path));
  SIGHTLINE_TRY(const weights::Mapping mapping, weights::map_weights(file, path, chosen.graph));
  chosen.reasons.push_back(fmt::format("weights of {}: {}", path.substr(path.rfind('/') + 1), mapping.sentence()));
  chosen.weights = mapping.lines();
  return {};
}

// p95 of the untrained net at batch 1, milliseconds: weights' values do not change the time.
Result<double> measure_latency(const graph::Graph& graph, const modules::Recipe& recipe, int threads, runtime::Precision precision) {
  SIGHTLINE_TRY(runtime::Session session,
                runtime::Session::create(graph::serving_graph(graph), {.threads = threads, .precision = precision}));
  const Tensor input = Tensor::zeros(Dtype::u8, {1, recipe.side, recipe.input_width(), recipe.channels});
  std::vector<double> times;
  for (int i = 0; i < 60; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    SIGHTLINE_CHECK(session.run(std::span(&input, 1)));
    if (i >= 10) times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() * 95 / 100];
}

}  // namespace

void choose_budget(const demand::Demand& demand, ChosenRecipe& chosen) {
  chosen.recipe.epochs = demand.budget.epochs;
  chosen.recipe.minutes = demand.budget.minutes;
  if (!demand.budget.epochs && !demand.budget.minutes) {
    chosen.recipe.minutes = 3;
    chosen.reasons.emplace_back("3 minutes of training: the demand gives no budget");
  }
}

void choose_training(const demand::Demand& demand, const dataset::Manifest& manifest, ChosenRecipe& chosen) {
  modules::Recipe& recipe = chosen.recipe;
  std::int64_t train = 0;
  std::vector<std::int64_t> per_class(manifest.classes.size());
  for (const dataset::Sample& sample : manifest.samples) {
    if (sample.split != dataset::Split::train) continue;
    ++train;
    ++per_class[static_cast<std::size_t>(sample.label)];
  }
  recipe.batch = train >= 10000 ? 128 : train >= 2000 ? 64 : train >= 400 ? 32 : 16;
  recipe.learning_rate = 0.2 * recipe.batch / 128;
  chosen.reasons.push_back(fmt::format("batches of {} at a peak learning rate of {:g}: {} to learn from", recipe.batch,
                                       recipe.learning_rate, plural(static_cast<std::uint64_t>(train), "image")));
  const auto [least, most] = std::minmax_element(per_class.begin(), per_class.end());
  if (demand.target.metric == "macro_f1" && *least * 3 < *most) {
    recipe.loss = modules::Loss::balanced_cross_entropy;
    chosen.reasons.push_back(fmt::format("classes are weighted: macro_f1 is wanted, and the classes hold {} to {} images", *least, *most));
  }
  pin_training(demand.recipe, recipe);
}

void pin_training(const demand::RecipePins& pins, modules::Recipe& recipe) {
  if (pins.batch) recipe.batch = *pins.batch;
  if (pins.optimizer && enum_from(*pins.optimizer, recipe.optimizer) && recipe.optimizer == modules::Optimizer::adamw)
    recipe.learning_rate *= adamw_share;
  if (pins.learning_rate) recipe.learning_rate = *pins.learning_rate;
  if (pins.loss) enum_from(*pins.loss, recipe.loss);
  if (pins.smoothing) recipe.label_smoothing = *pins.smoothing;
  if (pins.schedule) enum_from(*pins.schedule, recipe.schedule);
  if (pins.weight_decay) recipe.weight_decay = *pins.weight_decay;
}

Result<void> choose_augmentation(const demand::Demand& demand, const dataset::Manifest& manifest, ChosenRecipe& chosen) {
  modules::Augmentation& augmentation = chosen.recipe.augmentation;
  if (demand.recipe.augmentation) {
    enum_from(*demand.recipe.augmentation, augmentation);
    return {};
  }
  const auto train = std::ranges::count(manifest.samples, dataset::Split::train, &dataset::Sample::split);
  const bool few = train < 5000;
  SIGHTLINE_TRY(const std::optional<std::string> harm, harm_of_mirroring(manifest, demand.seed));
  if (harm) {
    augmentation = few ? modules::Augmentation::light_unflipped : modules::Augmentation::none;
    chosen.reasons.push_back("pictures are not mirrored: " + *harm);
  } else {
    augmentation = few ? modules::Augmentation::light : modules::Augmentation::flip;
  }
  if (few) chosen.reasons.emplace_back("light augmentation (small shifts and scales): there are few images");
  return {};
}

Result<std::string> broken_limit(const demand::Demand& demand, const graph::Graph& graph, const modules::Recipe& recipe, int threads,
                                 runtime::Precision precision) {
  std::size_t bytes = 0;
  for (const auto& [name, weight] : graph.initializers) bytes += weight.byte_count();
  const double size_mb = static_cast<double>(bytes) / 1e6;
  if (demand.limits.size_mb && size_mb > *demand.limits.size_mb)
    return fmt::format("its weights alone take {:.2f} MB of {:g}", size_mb, *demand.limits.size_mb);
  if (demand.limits.latency_ms) {
    SIGHTLINE_TRY(const double milliseconds, measure_latency(graph, recipe, threads, precision));
    if (milliseconds > *demand.limits.latency_ms)
      return fmt::format("it takes {:.2f} ms of {:g} here", milliseconds, *demand.limits.latency_ms);
  }
  return std::string();
}

Result<ChosenRecipe> choose_recipe(const demand::Demand& demand, const dataset::Manifest& manifest, int threads) {
  ChosenRecipe chosen;
  choose_input(manifest, demand.recipe, chosen);
  choose_budget(demand, chosen);
  choose_training(demand, manifest, chosen);
  SIGHTLINE_CHECK(choose_augmentation(demand, manifest, chosen));

  std::vector<std::string> candidates;  // in the order of preference
  if (demand.recipe.backbone) {
    candidates = {*demand.recipe.backbone};
  } else {
    const bool long_budget =
        chosen.recipe.minutes.value_or(0) >= long_budget_minutes || chosen.recipe.epochs.value_or(0) >= long_budget_epochs;
    candidates = {"resnet-s", "resnet-xs"};
    if (long_budget) candidates.insert(candidates.begin(), "resnet-m");
  }
  std::string refusals;
  for (const std::string& name : candidates) {
    SIGHTLINE_TRY(graph::Graph graph, initial_graph(demand, manifest, chosen.recipe, name));
    SIGHTLINE_TRY(const std::string broken, broken_limit(demand, graph, chosen.recipe, threads));
    if (!broken.empty()) {
      chosen.reasons.push_back(fmt::format("not {}: {}", name, broken));
      refusals += fmt::format("; {}: {}", name, broken);
      continue;
    }
    chosen.recipe.backbone = name;
    chosen.graph = std::move(graph);
    SIGHTLINE_CHECK(load_weights(demand, chosen));
    chosen.reasons.push_back(fmt::format(
        "backbone {}: {}", name, demand.recipe.backbone ? "the demand says so" : "the default for this budget that keeps the limits"));
    return chosen;
  }
  return Error{ErrorKind::refused,
               "no backbone keeps the limits" + refusals + "; raise limits.size_mb or limits.latency_ms, or lower recipe.side"};
}

}  // namespace sightline::factory
