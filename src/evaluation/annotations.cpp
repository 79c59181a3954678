// Evaluation of models whose answers are annotations: the task's own meter over every picture, with intervals from resampled pictures.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <optional>

#include "base/base64.h"
#include "base/interrupt.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/good_pictures.h"
#include "dataset/masks.h"
#include "evaluation/bootstrap.h"
#include "evaluation/pass.h"
#include "evaluation/report_pictures.h"
#include "tasks/detect_suspects.h"

namespace sightline::evaluation {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBatch = 8;               // fixed, as of classifiers; inputs are larger here
constexpr std::size_t kWorst = 16, kOthers = 8;  // pictures of the report
constexpr std::int64_t kMapCells = 64;           // a side, of what the report shows of a map

// JPEG in base64.
std::string strip_text(const tasks::Task& task, const tasks::Case& one) {
  constexpr int quality = 90;
  if (task.strip == nullptr) return "";
  return base64(image::encode_jpeg(task.strip(one), quality));
}

// The worst ones, then others from all over the rest.
std::vector<ShownCase> choose_shown(const tasks::Task& task, const dataset::Manifest& manifest, const Annotated& annotated,
                                    const tasks::Meter& meter) {
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
                     annotated.cases[i].prediction, annotation::text_of_map(annotated.cases[i].prediction.score_map, kMapCells),
                     strip_text(task, annotated.cases[i])});
  return shown;
}

// The first of the ranking: a tenth of the given boxes.
std::vector<ShownSuspect> shown_suspects(const std::vector<std::string>& classes, const dataset::Manifest& manifest,
                                         const Annotated& annotated) {
  constexpr std::size_t least = 10, most = 100;
  std::size_t given = 0;
  for (const tasks::Case& one : annotated.cases) given += one.truth.objects.size();
  std::vector<ShownSuspect> shown;
  for (const tasks::SuspectBox& suspect : tasks::rank_suspect_boxes(annotated.cases)) {
    if (shown.size() == std::clamp(given / 10, least, most)) break;
    ShownSuspect& one = shown.emplace_back();
    one.path = manifest.samples[static_cast<std::size_t>(annotated.samples[static_cast<std::size_t>(suspect.place)])].path;
    one.suspicion = enum_name(suspect.suspicion);
    one.score = suspect.score;
    if (suspect.given) {
      one.given = annotation::name_of_class(classes, suspect.given->label);
      one.given_box = suspect.given->box;
    }
    if (suspect.seen) {
      one.seen = annotation::name_of_class(classes, suspect.seen->label);
      one.seen_box = suspect.seen->box;
    }
  }
  return shown;
}

// The classes of objects and, where masks hold classes, of pixels as the model numbers them.
void in_order_of_model(const std::vector<std::int32_t>& label_of, bool masks, annotation::Annotation& truth) {
  for (annotation::Object& object : truth.objects) object.label = label_of[static_cast<std::size_t>(object.label)];
  if (!masks || !truth.mask.defined()) return;
  std::array<std::uint8_t, 256> number{};
  number[annotation::unjudged_pixel] = annotation::unjudged_pixel;
  for (std::size_t k = 0; k < label_of.size() && k + 1 < annotation::unjudged_pixel; ++k)
    number[k + 1] = static_cast<std::uint8_t>(label_of[k] + 1);
  for (std::uint8_t& each : truth.mask.values<std::uint8_t>()) each = number[each];
}

// What the model is shown of a picture of the data.
Result<image::Image> shown_of(const package::Model& model, const image::Image& picture, const std::string& name,
                              annotation::Annotation& truth) {
  image::Image wanted = image::convert_channels(picture, model.preprocessing().channels);
  if (model.task_row().show == nullptr) return wanted;
  return model.task_row().show(wanted, name, {model.labels(), model.graph().metadata}, truth);
}

// Picture by picture, each in pieces.
Result<void> annotate_whole(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress,
                            Annotated& annotated) {
  const dataset::SampleReader reader(manifest.root);
  std::optional<Progress> bar;
  if (progress) bar.emplace(fmt::format("evaluating on {} images", enum_name(split)), annotated.cases.size(), "images");
  for (std::size_t i = 0; i < annotated.cases.size(); ++i) {
    SIGHTLINE_CHECK(check_interrupt());
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(annotated.samples[i])];
    tasks::Case& one = annotated.cases[i];
    SIGHTLINE_TRY(const image::Image picture, reader.read(sample.path));
    SIGHTLINE_TRY(const image::Image shown, shown_of(model, picture, sample.digest, one.truth));
    SIGHTLINE_TRY(one.prediction, model.answer(shown));
    if (model.task_row().show != nullptr) one.shown = Tensor::of<std::uint8_t>({shown.height, shown.width, shown.channels}, shown.pixels);
    if (bar) bar->advance(1);
  }
  return {};
}

}  // namespace

std::vector<std::string> classes_of(const package::Model& model, const dataset::Manifest& manifest) {
  return model.task_row().from_good || model.task_row().open_classes ? manifest.classes : model.labels();
}

Result<Annotated> annotate(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads) {
  const bool from_good = model.task_row().from_good, open = model.task_row().open_classes;
  SIGHTLINE_TRY(const std::vector<std::int32_t> label_of, match_classes(classes_of(model, manifest), manifest.classes));
  Annotated annotated;
  SIGHTLINE_TRY(annotated.samples, samples_of(manifest, split));
  std::vector<image::Placement> placements;
  const bool one_class = dataset::one_class_each(manifest);
  for (const std::int64_t i : annotated.samples) {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(i)];
    tasks::Case& one = annotated.cases.emplace_back();
    one.truth = from_good ? dataset::truth_of(manifest, sample) : sample.annotation;
    if (open) one.group = sample.group;
    if (one_class) one.truth.label = label_of[static_cast<std::size_t>(sample.label)];
    if (!one.truth.attributes.empty()) {
      one.truth.attributes.assign(model.labels().size(), {});
      for (std::size_t k = 0; k < label_of.size(); ++k)
        one.truth.attributes[static_cast<std::size_t>(label_of[k])] = sample.annotation.attributes[k];
    }
    one.width = sample.width;
    one.height = sample.height;
    if (!model.tiled()) placements.push_back(model.placement(sample.width, sample.height));
  }
  SIGHTLINE_CHECK(parallel_for(
      annotated.cases.size(),
      [&](std::size_t i) -> Result<void> {
        annotation::Annotation& truth = annotated.cases[i].truth;
        auto status = dataset::read_mask(manifest, manifest.samples[static_cast<std::size_t>(annotated.samples[i])], truth);
        in_order_of_model(label_of, manifest.masks.has_value(), truth);
        return status;
      },
      threads, 8));
  const auto begin = Clock::now();
  if (model.tiled()) {
    SIGHTLINE_CHECK(annotate_whole(model, manifest, split, progress, annotated));
    annotated.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return annotated;
  }
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

std::unique_ptr<tasks::Meter> meter_of(const package::Model& model, const Annotated& annotated, const dataset::Manifest& manifest,
                                       dataset::Split split) {
  std::unique_ptr<tasks::Meter> meter = model.task_row().meter(classes_of(model, manifest));
  for (const tasks::Case& each : annotated.cases) meter->add(each);
  if (split != dataset::Split::test || manifest.pairs.empty()) return meter;
  std::vector<std::int64_t> place(manifest.samples.size(), -1);
  for (std::size_t i = 0; i < annotated.samples.size(); ++i)
    place[static_cast<std::size_t>(annotated.samples[i])] = static_cast<std::int64_t>(i);
  std::vector<annotation::Pair> pairs;
  for (annotation::Pair pair : manifest.pairs) {
    pair.first = place[static_cast<std::size_t>(pair.first)];
    pair.second = place[static_cast<std::size_t>(pair.second)];
    if (pair.first >= 0 && pair.second >= 0) pairs.push_back(pair);
  }
  meter->compare(pairs);
  return meter;
}

Result<Evaluation> evaluate_annotations(package::Model& model, const dataset::Manifest& manifest, const std::string& package_folder,
                                        const Options& options) {
  Evaluation evaluation;
  evaluation.model = model.name();
  evaluation.split = enum_name(options.split);
  evaluation.task = model.task();
  evaluation.classes = classes_of(model, manifest);
  SIGHTLINE_TRY(const Annotated annotated, annotate(model, manifest, options.split, options.progress, options.threads));
  const std::unique_ptr<tasks::Meter> meter = meter_of(model, annotated, manifest, options.split);
  std::vector<std::int64_t> all(static_cast<std::size_t>(meter->units(std::ssize(annotated.cases))));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  evaluation.measured = meter->figures(all, true);
  // Units that are no pictures (identities) are what errs together already.
  std::vector<std::int64_t> groups;
  if (all.size() == annotated.cases.size()) groups = groups_of_samples(manifest, annotated.samples);
  SIGHTLINE_TRY(evaluation.intervals, bootstrap_intervals(*meter, static_cast<std::int64_t>(all.size()), options.threads, groups));
  if (model.task_row().draw != nullptr || model.task_row().strip != nullptr)
    evaluation.shown = choose_shown(model.task_row(), manifest, annotated, *meter);
  if (evaluation.task == "detect") evaluation.suspects = shown_suspects(evaluation.classes, manifest, annotated);
  const auto path_of = [&](std::int64_t place) {
    return manifest.samples[static_cast<std::size_t>(annotated.samples[static_cast<std::size_t>(place)])].path;
  };
  for (const tasks::JudgedPair& pair : meter->worst_pairs(kWorst))
    evaluation.pairs.push_back({path_of(pair.first), path_of(pair.second), pair.same, pair.score});
  evaluation.images_per_second = annotated.seconds > 0 ? static_cast<double>(annotated.cases.size()) / annotated.seconds : 0;
  const auto ask = [&](const image::Image& picture) -> Result<void> {
    const auto answer = model.answer(picture);
    return answer.ok() ? Result<void>() : answer.error();
  };
  const auto show = [&](const image::Image& picture) -> Result<image::Image> {
    annotation::Annotation truth;
    return shown_of(model, picture, "latency", truth);
  };
  SIGHTLINE_TRY(evaluation.latency, measure_latency(manifest, annotated.samples, options, ask, show));
  SIGHTLINE_TRY(evaluation.size_bytes, size_of_model(package_folder));
  evaluation.peak_memory_bytes = peak_memory();
  return evaluation;
}

}  // namespace sightline::evaluation
