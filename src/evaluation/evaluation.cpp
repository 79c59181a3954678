#include "evaluation/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <system_error>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "evaluation/bootstrap.h"
#include "evaluation/cross_validation.h"

namespace sightline::evaluation {

namespace {

constexpr std::int64_t kBatch = 64;                        // fixed, so that the same package answers the same bits
constexpr std::int64_t kPreparedBytes = 64 * 1024 * 1024;  // of pictures that are decoded and wait for the network
constexpr int kWarmUp = 20;
constexpr std::size_t kLatencyPictures = 32;
constexpr std::size_t kWorst = 40;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 10); ++i) quoted.push_back("\"" + names[i] + "\"");
  return join(quoted, ", ") + (names.size() > quoted.size() ? fmt::format(" and {} more", names.size() - quoted.size()) : "");
}

// A bare .onnx file without labels in its metadata knows its classes by number only.
bool are_numbers(const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != std::to_string(i)) return false;
  }
  return true;
}

// The model's label of each class of the manifest.
Result<std::vector<std::int32_t>> match_classes(const std::vector<std::string>& labels, const std::vector<std::string>& classes) {
  std::map<std::string, std::int32_t> index;
  for (std::size_t i = 0; i < labels.size(); ++i) index.emplace(labels[i], static_cast<std::int32_t>(i));
  std::vector<std::int32_t> matched;
  std::vector<std::string> unknown;
  for (const std::string& name : classes) {
    const auto found = index.find(name);
    if (found == index.end()) unknown.push_back(name);
    matched.push_back(found == index.end() ? -1 : found->second);
  }
  if (unknown.empty()) {
    if (classes.size() < labels.size())
      log_info("the data have no images of {} of the model's {} classes", labels.size() - classes.size(), labels.size());
    return matched;
  }
  if (are_numbers(labels) && labels.size() == classes.size()) {
    log_warning("the model names no classes; its outputs are taken in the order of the data's classes");
    std::iota(matched.begin(), matched.end(), 0);
    return matched;
  }
  return Error{ErrorKind::invalid_data,
               fmt::format("the model and the data do not have the same classes: the model does not know {} of the data "
                           "(the model knows {}); rename the folders or labels of the data, or use another model",
                           listed(unknown), listed(labels))};
}

Result<void> check_answers(const Tensor& answers, std::int64_t count, std::size_t classes) {
  if (answers.dtype() != Dtype::f32 || answers.rank() != 2 || answers.dim(0) != count ||
      answers.dim(1) != static_cast<std::int64_t>(classes))
    return Error{ErrorKind::invalid_data,
                 fmt::format("the model answers {} {} where {} was expected from its {} labels", name_of(answers.dtype()),
                             to_string(answers.shape()), to_string({count, static_cast<std::int64_t>(classes)}), classes)};
  const std::span<const float> values = answers.values<float>();
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v) && v >= 0; }))
    return Error{ErrorKind::invalid_data, "the model answers with values that are not probabilities (negative, infinite or not a number)"};
  return {};
}

Result<Answers> answer_split(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads) {
  SIGHTLINE_TRY(const std::vector<std::int32_t> label_of, match_classes(model.labels(), manifest.classes));
  Answers answers;
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    const dataset::Sample& sample = manifest.samples[i];
    if (sample.split != split) continue;
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= label_of.size())
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: label {} is not one of the {} classes", sample.path, sample.label, label_of.size())};
    answers.samples.push_back(static_cast<std::int64_t>(i));
    answers.labels.push_back(label_of[static_cast<std::size_t>(sample.label)]);
  }
  if (answers.samples.empty())
    return Error{ErrorKind::invalid_data, fmt::format("the {} split of {} has no images", enum_name(split), manifest.root)};

  const auto begin = Clock::now();
  const auto count = static_cast<std::int64_t>(answers.samples.size());
  const std::size_t classes = model.labels().size();
  const package::Preprocessing& input = model.preprocessing();
  const std::int64_t image_bytes = std::max<std::int64_t>(1, std::int64_t{input.width} * input.height * input.channels);
  const std::int64_t ahead = std::clamp(kPreparedBytes / image_bytes / kBatch, std::int64_t{1}, std::int64_t{16}) * kBatch;
  const dataset::SampleReader reader(manifest.root);
  answers.probabilities = Tensor(Dtype::f32, {count, static_cast<std::int64_t>(classes)});
  std::optional<Progress> bar;
  if (progress) bar.emplace(fmt::format("evaluating on {} images", enum_name(split)), static_cast<std::uint64_t>(count), "images");

  Tensor prepared(Dtype::u8, {std::min(ahead, count), input.height, input.width, input.channels});
  for (std::int64_t from = 0; from < count; from += ahead) {
    const std::int64_t until = std::min(count, from + ahead);
    const auto prepare_one = [&](std::size_t i) -> Result<void> {
      const auto at = static_cast<std::size_t>(from) + i;
      const std::string& path = manifest.samples[static_cast<std::size_t>(answers.samples[at])].path;
      auto picture = reader.read(path);
      if (!picture.ok()) return picture.error();  // names the sample
      const Tensor one = model.prepare(*picture);
      if (one.byte_count() != static_cast<std::size_t>(image_bytes))
        return Error{ErrorKind::internal, fmt::format("{}: prepared as {}", path, to_string(one.shape()))};
      std::memcpy(prepared.data() + i * static_cast<std::size_t>(image_bytes), one.data(), one.byte_count());
      return {};
    };
    SIGHTLINE_CHECK(parallel_for(static_cast<std::size_t>(until - from), prepare_one, threads, 8));
    for (std::int64_t first = from; first < until; first += kBatch) {
      SIGHTLINE_CHECK(check_interrupt());
      const std::int64_t last = std::min(until, first + kBatch);
      SIGHTLINE_TRY(const Tensor batch, model.probabilities(prepared.rows(first - from, last - from)));
      SIGHTLINE_CHECK(check_answers(batch, last - first, classes));
      std::memcpy(answers.probabilities.rows(first, last).data(), batch.data(), batch.byte_count());
      if (bar) bar->advance(static_cast<std::uint64_t>(last - first));
    }
  }
  answers.seconds = seconds_since(begin);
  return answers;
}

// The temperature that calibration put into the graph, or 1.
double temperature_of(const graph::Graph& graph) {
  const auto inverse = graph.initializers.find("inverse_temperature");
  double temperature = 1;
  if (inverse != graph.initializers.end() && inverse->second.dtype() == Dtype::f32 && inverse->second.count() == 1) {
    temperature = 1 / static_cast<double>(inverse->second.values<float>()[0]);
  } else if (const auto written = graph.metadata.find("sightline_temperature"); written != graph.metadata.end()) {
    temperature = std::strtod(written->second.c_str(), nullptr);
  }
  return std::isfinite(temperature) && temperature > 0 ? temperature : 1;
}

// One image at a time, decoded before: what a person waits for between the picture and the answer.
Result<Latency> measure_latency(package::Model& model, const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples,
                                const Options& options) {
  const dataset::SampleReader reader(manifest.root);
  std::vector<image::Image> pictures;
  const std::size_t stride = std::max<std::size_t>(1, samples.size() / kLatencyPictures);
  for (std::size_t i = 0; i < samples.size() && pictures.size() < kLatencyPictures; i += stride) {
    SIGHTLINE_TRY(image::Image picture, reader.read(manifest.samples[static_cast<std::size_t>(samples[i])].path));
    pictures.push_back(std::move(picture));
  }
  std::vector<double> milliseconds;
  const int warm_up = std::min(kWarmUp, options.latency_runs / 4);
  for (int run = -warm_up; run < options.latency_runs; ++run) {
    SIGHTLINE_CHECK(check_interrupt());
    const image::Image& picture = pictures[static_cast<std::size_t>(run + warm_up) % pictures.size()];
    const auto begin = Clock::now();
    SIGHTLINE_TRY(const Tensor row, model.probabilities(model.prepare(picture)));
    const auto best = tasks::top_classes(row.values<float>(), model.labels(), 5);
    const double took = seconds_since(begin) * 1e3;
    if (run >= 0 && !best.empty()) milliseconds.push_back(took);
  }
  Latency latency{.count = static_cast<int>(milliseconds.size()), .threads = options.threads > 0 ? options.threads : usable_cores()};
  if (milliseconds.empty()) return latency;
  std::sort(milliseconds.begin(), milliseconds.end());
  latency.p50 = quantile(milliseconds, 0.50);
  latency.p95 = quantile(milliseconds, 0.95);
  latency.p99 = quantile(milliseconds, 0.99);
  return latency;
}

std::vector<Mistake> worst_mistakes(const dataset::Manifest& manifest, const Answers& answers) {
  const auto classes = static_cast<std::size_t>(answers.probabilities.dim(1));
  std::vector<Mistake> mistakes;
  for (std::size_t i = 0; i < answers.labels.size(); ++i) {
    const std::span<const float> row = answers.probabilities.values<float>().subspan(i * classes, classes);
    const auto predicted = static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin());
    const int given = answers.labels[i];
    if (predicted == given) continue;
    mistakes.push_back({manifest.samples[static_cast<std::size_t>(answers.samples[i])].path, given, predicted,
                        row[static_cast<std::size_t>(predicted)], row[static_cast<std::size_t>(given)]});
  }
  std::stable_sort(mistakes.begin(), mistakes.end(), [](const Mistake& a, const Mistake& b) { return a.probability > b.probability; });
  if (mistakes.size() > kWorst) mistakes.resize(kWorst);
  return mistakes;
}

Result<std::uint64_t> size_of_model(const std::string& path) {
  if (path.empty()) return std::uint64_t{0};
  if (is_directory(path)) return package::shipped_size(path);
  std::error_code problem;  // a bare .onnx file
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem) return Error{ErrorKind::io, fmt::format("{}: {}", path, problem.message())};
  return static_cast<std::uint64_t>(size);
}

}  // namespace

Result<Answers> answer(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads) {
  return answer_split(model, manifest, split, progress, threads);
}

Result<Evaluation> evaluate(package::Model& model, const dataset::Manifest& manifest, const std::string& package_folder,
                            const Options& options) {
  Evaluation evaluation;
  evaluation.model = model.name();
  evaluation.split = enum_name(options.split);
  evaluation.classes = model.labels();
  Answers answers;
  if (options.answers != nullptr) {
    answers = *options.answers;
    if (answers.samples.empty()) return Error{ErrorKind::invalid_data, fmt::format("there are no {} images", evaluation.split)};
    SIGHTLINE_CHECK(check_answers(answers.probabilities, static_cast<std::int64_t>(answers.labels.size()),
                                  static_cast<std::int64_t>(evaluation.classes.size())));
  } else {
    SIGHTLINE_TRY(answers, answer_split(model, manifest, options.split, options.progress, options.threads));
  }
  evaluation.images_per_second = answers.seconds > 0 ? static_cast<double>(answers.labels.size()) / answers.seconds : 0;
  evaluation.figures = tasks::measure(answers.probabilities, answers.labels, evaluation.classes);
  SIGHTLINE_TRY(evaluation.intervals, bootstrap_intervals(answers.probabilities, answers.labels, {.threads = options.threads}));
  // Where no mistake was made the bootstrap's interval has no width, however few the images; this one has.
  SIGHTLINE_TRY(const CrossValidated shares, cross_validated({&answers.probabilities, 1}, answers.labels));
  evaluation.intervals["balanced_accuracy"] = shares.balanced_accuracy.interval;
  evaluation.temperature = temperature_of(model.graph());
  const Tensor before = tasks::apply_temperature(answers.probabilities, 1 / evaluation.temperature);
  evaluation.calibration_error_before = tasks::measure(before, answers.labels, evaluation.classes).calibration_error;
  evaluation.reliability_before = tasks::reliability(before, answers.labels);
  evaluation.reliability_after = tasks::reliability(answers.probabilities, answers.labels);
  evaluation.worst = worst_mistakes(manifest, answers);
  SIGHTLINE_TRY(const std::optional<Decisions> decisions, read_decisions(model.graph(), evaluation.classes.size()));
  if (decisions) evaluation.decisions = measure_decisions(*decisions, answers.probabilities, answers.labels);
  SIGHTLINE_TRY(evaluation.latency, measure_latency(model, manifest, answers.samples, options));
  SIGHTLINE_TRY(evaluation.size_bytes, size_of_model(package_folder));
  evaluation.peak_memory_bytes = peak_memory();
  return evaluation;
}

}  // namespace sightline::evaluation
