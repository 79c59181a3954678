// Evaluation of models whose answers are annotations: the task's own meter over every picture, with intervals from resampled pictures.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/machine.h"
#include "evaluation/bootstrap.h"
#include "evaluation/pass.h"

namespace sightline::evaluation {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBatch = 8;               // fixed, as of classifiers; inputs are larger here
constexpr std::size_t kWorst = 16, kOthers = 8;  // pictures of the report

// The worst ones, then others from all over the rest.
std::vector<ShownCase> choose_shown(const dataset::Manifest& manifest, const Annotated& annotated, const tasks::Meter& meter) {
  std::vector<std::size_t> order(annotated.cases.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> wrongness;
  for (std::size_t i = 0; i < order.size(); ++i) wrongness.push_back(meter.wrongness(static_cast<std::int64_t>(i)));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wrongness[a] > wrongness[b]; });
  std::vector<std::size_t> chosen(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(std::min(kWorst, order.size())));
  const std::size_t rest = order.size() - chosen.size(), others = std::min(kOthers, rest);
  for (std::size_t i = 0; i < others; ++i) chosen.push_back(order[kWorst + (2 * i + 1) * rest / (2 * others)]);
  std::vector<ShownCase> shown;
  for (const std::size_t i : chosen)
    shown.push_back({manifest.samples[static_cast<std::size_t>(annotated.samples[i])].path, wrongness[i], annotated.cases[i].truth,
                     annotated.cases[i].prediction});
  return shown;
}

}  // namespace

Result<Annotated> annotate(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads) {
  SIGHTLINE_TRY(const std::vector<std::int32_t> label_of, match_classes(model.labels(), manifest.classes));
  Annotated annotated;
  SIGHTLINE_TRY(annotated.samples, samples_of(manifest, split));
  std::vector<image::Placement> placements;
  const bool objects = dataset::holds_objects(manifest);  // a picture then has no class
  for (const std::int64_t i : annotated.samples) {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(i)];
    tasks::Case& one = annotated.cases.emplace_back();
    one.truth = sample.annotation;
    if (!objects) one.truth.label = label_of[static_cast<std::size_t>(sample.label)];
    one.width = sample.width;
    one.height = sample.height;
    for (annotation::Object& object : one.truth.objects) object.label = label_of[static_cast<std::size_t>(object.label)];
    placements.push_back(model.placement(sample.width, sample.height));
  }
  const auto begin = Clock::now();
  const auto ask = [&](std::int64_t first, const Tensor& prepared) -> Result<void> {
    const auto at = static_cast<std::size_t>(first), count = static_cast<std::size_t>(prepared.dim(0));
    SIGHTLINE_TRY(std::vector<annotation::Annotation> answers, model.annotations(prepared, std::span(placements).subspan(at, count)));
    for (std::size_t i = 0; i < count; ++i) annotated.cases[at + i].prediction = std::move(answers[i]);
    return {};
  };
  const std::string title = progress ? fmt::format("evaluating on {} images", enum_name(split)) : "";
  SIGHTLINE_CHECK(for_each_batch(model, manifest, annotated.samples, {.batch = kBatch, .threads = threads, .title = title}, ask));
  annotated.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return annotated;
}

Result<Evaluation> evaluate_annotations(package::Model& model, const dataset::Manifest& manifest, const std::string& package_folder,
                                        const Options& options) {
  Evaluation evaluation;
  evaluation.model = model.name();
  evaluation.split = enum_name(options.split);
  evaluation.task = model.task();
  evaluation.classes = model.labels();
  SIGHTLINE_TRY(const Annotated annotated, annotate(model, manifest, options.split, options.progress, options.threads));
  const std::unique_ptr<tasks::Meter> meter = model.task_row().meter(model.labels());
  for (const tasks::Case& each : annotated.cases) meter->add(each);
  std::vector<std::int64_t> all(annotated.cases.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  evaluation.measured = meter->figures(all, true);
  SIGHTLINE_TRY(evaluation.intervals, bootstrap_intervals(*meter, static_cast<std::int64_t>(all.size()), options.threads));
  evaluation.shown = choose_shown(manifest, annotated, *meter);
  evaluation.images_per_second = annotated.seconds > 0 ? static_cast<double>(all.size()) / annotated.seconds : 0;
  const auto ask = [&](const image::Image& picture) -> Result<void> {
    const image::Placement placement = model.placement(picture.width, picture.height);
    const auto answer = model.annotations(model.prepare(picture), std::span(&placement, 1));
    return answer.ok() ? Result<void>() : answer.error();
  };
  SIGHTLINE_TRY(evaluation.latency, measure_latency(manifest, annotated.samples, options, ask));
  SIGHTLINE_TRY(evaluation.size_bytes, size_of_model(package_folder));
  evaluation.peak_memory_bytes = peak_memory();
  return evaluation;
}

}  // namespace sightline::evaluation
