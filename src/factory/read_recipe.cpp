// Chooses a reader and how to train it, and how sure its package says it is.
#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "base/text.h"
#include "dataset/packed_set.h"
#include "factory/build.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "modules/reader.h"
#include "tasks/ctc.h"
#include "tasks/read.h"

namespace sightline::factory {
namespace {

constexpr int usual_height = 32;
constexpr double default_minutes = 5;
// A symbol wants room for itself and the blank behind it.
constexpr std::int64_t columns_a_symbol = 3;
constexpr std::int64_t widest = 1024;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

void choose_size(const demand::RecipePins& pins, const dataset::Manifest& manifest, ChosenRecipe& chosen) {
  modules::Recipe& recipe = chosen.recipe;
  std::vector<double> shapes, widths;
  std::int64_t longest = 1, least = 1;
  bool grey = true;
  for (const dataset::Sample& sample : manifest.samples) {
    shapes.push_back(static_cast<double>(sample.width) / sample.height);
    widths.push_back(sample.width);
    grey = grey && sample.channels == 1;
    const std::vector<std::int32_t> text = dataset::classes_within(manifest, sample);
    longest = std::max(longest, std::ssize(text));
    least = std::max(least, tasks::least_columns(text));
  }
  recipe.channels = grey ? 1 : 3;
  recipe.side = pins.side.value_or(usual_height);
  constexpr std::int64_t step = modules::pixels_per_column;
  const auto natural = static_cast<std::int64_t>(std::lround(std::min(median(shapes) * recipe.side, median(widths)) / step)) * step;
  const std::int64_t wanted = std::max(columns_a_symbol * longest, least) * step;
  recipe.width = static_cast<int>(std::clamp(std::max(natural, wanted), 16 * step, std::max(widest, least * step)));
  chosen.reasons.push_back(
      fmt::format("input {}×{}: the pictures are {:.0f} pixels wide and {:.1f} times as wide as high in the median, and "
                  "the longest text has {}",
                  recipe.width, recipe.side, median(widths), median(shapes), plural(static_cast<std::uint64_t>(longest), "symbol")));
}

// The columns of some pictures of a split, and their texts.
struct Lines {
  std::vector<Tensor> columns;  // f32 1×T×(K+1)
  std::vector<std::string> texts;
};
Result<Lines> ask(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, std::size_t most) {
  Lines lines;
  const dataset::SampleReader reader(manifest.root);
  for (const dataset::Sample& sample : manifest.samples) {
    if (sample.split != split || lines.texts.size() == most) continue;
    SIGHTLINE_TRY(const image::Image picture, reader.read(sample.path));
    const Tensor input = model.prepare(picture);
    SIGHTLINE_TRY(std::vector<Tensor> outputs, model.session().run(std::span(&input, 1)));
    lines.columns.push_back(std::move(outputs[0]));
    lines.texts.push_back(sample.annotation.text);
  }
  return lines;
}

// How improbable it was, by what the readings say of themselves, that they are as right as they are: mean negative logarithm.
double surprise(const Lines& lines, const std::vector<std::string>& symbols, const tasks::TextFormats& formats, double temperature) {
  double sum = 0;
  const auto width = symbols.size() + 1;
  for (std::size_t i = 0; i < lines.texts.size(); ++i) {
    const auto given = lines.columns[i].values<float>();
    std::vector<float> columns(given.begin(), given.end());
    for (std::size_t t = 0; t < columns.size(); t += width) {
      double total = 0;
      for (std::size_t k = t; k < t + width; ++k) {
        columns[k] = static_cast<float>(std::pow(static_cast<double>(columns[k]), 1 / temperature));
        total += static_cast<double>(columns[k]);
      }
      for (std::size_t k = t; k < t + width; ++k) columns[k] = static_cast<float>(static_cast<double>(columns[k]) / total);
    }
    const auto best = tasks::read_beam(columns, std::ssize(symbols), formats, tasks::beam_width, 1);
    std::string text;
    if (!best.empty())
      for (const std::int32_t symbol : best[0].text) text += symbols[static_cast<std::size_t>(symbol)];
    constexpr double never = 1e-6;  // nothing is impossible
    const double sure = best.empty() ? 0.5 : std::clamp(best[0].probability, never, 1 - never);
    sum -= std::log(text == lines.texts[i] ? sure : 1 - sure);
  }
  return sum / static_cast<double>(std::max<std::size_t>(lines.texts.size(), 1));
}

}  // namespace

Result<void> check_reader_pins(const demand::Demand& demand) {
  if (demand.recipe.backbone)
    return Error{ErrorKind::usage,
                 fmt::format("recipe.backbone: readers have a net of their own, not \"{}\"; leave it out", *demand.recipe.backbone)};
  if (demand.recipe.side && *demand.recipe.side % modules::reader_height_step != 0)
    return Error{ErrorKind::usage, fmt::format("recipe.side: {} is no multiple of {}, which a reader's height is; take {}",
                                               *demand.recipe.side, modules::reader_height_step,
                                               (*demand.recipe.side / modules::reader_height_step + 1) * modules::reader_height_step)};
  return {};
}

Result<ChosenRecipe> choose_reader_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                          const std::optional<StartingWeights>& /*start*/, int threads) {
  ChosenRecipe chosen;
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = "reader";
  choose_size(demand.recipe, manifest, chosen);
  recipe.epochs = demand.budget.epochs;
  recipe.minutes = demand.budget.minutes;
  if (!recipe.epochs && !recipe.minutes) {
    recipe.minutes = default_minutes;
    chosen.reasons.push_back(fmt::format("{:g} minutes of training: the demand gives no budget", default_minutes));
  }
  const auto train = std::ranges::count(manifest.samples, dataset::Split::train, &dataset::Sample::split);
  recipe.batch = train >= 10000 ? 64 : train >= 1000 ? 32 : 16;
  recipe.optimizer = modules::Optimizer::adamw;
  recipe.learning_rate = train >= 10000 ? 3e-3 : 2e-3;
  recipe.weight_decay = 0.02;
  recipe.schedule = modules::Schedule::cosine;
  recipe.warmup = 0.05;
  recipe.label_smoothing = 0;
  recipe.weight_average = 0.998;
  recipe.clip = 5;
  recipe.dropout = 0.1;
  recipe.augmentation = modules::Augmentation::text;
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
  modules::ReaderOptions options{.height = recipe.side,
                                 .width = recipe.width,
                                 .channels = recipe.channels,
                                 .symbols = std::ssize(manifest.classes),
                                 .mean = {},
                                 .deviation = {},
                                 .dropout = static_cast<float>(recipe.dropout),
                                 .seed = static_cast<std::uint64_t>(demand.seed)};
  options.mean.assign(static_cast<std::size_t>(recipe.channels), 127.5F);
  options.deviation.assign(static_cast<std::size_t>(recipe.channels), 64.0F);
  SIGHTLINE_TRY(chosen.graph, modules::build_reader(options));
  if (demand.read) {
    SIGHTLINE_CHECK(tasks::TextFormats::parse(*demand.read, manifest.classes));
    if (!demand.read->empty()) chosen.graph.metadata[tasks::text_formats_key] = json_text(to_json(*demand.read));
  }
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, chosen.graph, recipe, threads));
  if (!broken.empty())
    return Error{ErrorKind::refused, fmt::format("the reader of {}×{} pixels breaks a limit: {}; lower recipe.side, or raise the limit",
                                                 recipe.width, recipe.side, broken)};
  return chosen;
}

Result<double> write_calibrated_reader(const BuildContext& build, package::Contents& contents, const dataset::Manifest& manifest,
                                       const std::string& folder) {
  constexpr std::size_t enough = 1000, least = 20;
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  double best = 1;
  {
    SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.threads = build.threads, .check_golden = false}));
    SIGHTLINE_TRY(const Lines lines, ask(model, manifest, dataset::Split::validation, enough));
    if (lines.texts.size() < least) return best;
    SIGHTLINE_TRY(const tasks::TextFormats formats, tasks::TextFormats::of_metadata(contents.graph.metadata, contents.labels));
    double lowest = surprise(lines, contents.labels, formats, best);
    for (int i = -6; i <= 12; ++i) {  // 0.56 to 3.3
      const double temperature = std::pow(1.1, i), here = surprise(lines, contents.labels, formats, temperature);
      if (here >= lowest) continue;
      lowest = here;
      best = temperature;
    }
  }
  if (best == 1) return best;
  contents.graph.initializers["inverse_temperature"] =
      Tensor::filled(contents.graph.initializers["inverse_temperature"].shape(), static_cast<float>(1 / best));
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  return best;
}

}  // namespace sightline::factory
