#include "evaluation/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/machine.h"
#include "evaluation/bootstrap.h"
#include "evaluation/cross_validation.h"
#include "evaluation/pass.h"

namespace sightline::evaluation {

namespace {

constexpr std::int64_t kBatch = 64;  // fixed, so that the same package answers the same bits
constexpr std::size_t kWorst = 40;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

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
  SIGHTLINE_TRY(answers.samples, samples_of(manifest, split));
  for (const std::int64_t i : answers.samples) {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(i)];
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= label_of.size())
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: label {} is not one of the {} classes", sample.path, sample.label, label_of.size())};
    answers.labels.push_back(label_of[static_cast<std::size_t>(sample.label)]);
  }
  const auto begin = Clock::now();
  const std::size_t classes = model.labels().size();
  answers.probabilities = Tensor(Dtype::f32, {static_cast<std::int64_t>(answers.samples.size()), static_cast<std::int64_t>(classes)});
  const auto ask = [&](std::int64_t first, const Tensor& prepared) -> Result<void> {
    const std::int64_t last = first + prepared.dim(0);
    SIGHTLINE_TRY(const Tensor batch, model.probabilities(prepared));
    SIGHTLINE_CHECK(check_answers(batch, last - first, classes));
    std::memcpy(answers.probabilities.rows(first, last).data(), batch.data(), batch.byte_count());
    return {};
  };
  const std::string title = progress ? fmt::format("evaluating on {} images", enum_name(split)) : "";
  SIGHTLINE_CHECK(for_each_batch(model, manifest, answers.samples, {.batch = kBatch, .threads = threads, .title = title}, ask));
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

}  // namespace

tasks::Figures measured_of(const Evaluation& evaluation) {
  return evaluation.task == "classify" ? tasks::as_figures(evaluation.figures) : evaluation.measured;
}

std::vector<std::pair<std::string, double>> told_values(const Evaluation& evaluation) {
  std::map<std::string, double> values = measured_of(evaluation).values;
  std::vector<std::pair<std::string, double>> told;
  if (const auto task = tasks::find_task(evaluation.task); task.ok()) {
    for (const tasks::Metric& metric : (*task)->metrics)
      if (const auto value = values.extract(metric.name)) told.emplace_back(metric.name, value.mapped());
  }
  told.insert(told.end(), values.begin(), values.end());
  return told;
}

Result<double> value_of(const Evaluation& evaluation, const std::string& metric) {
  const tasks::Figures figures = measured_of(evaluation);
  const auto found = figures.values.find(metric);
  if (found != figures.values.end()) return found->second;
  SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(evaluation.task));
  const std::vector<std::string> names = tasks::names_of(task->metrics);
  if (std::ranges::find(names, metric) == names.end())
    return Error{ErrorKind::usage, fmt::format("no metric is called \"{}\"{} (of {} there are {})", metric, did_you_mean(metric, names),
                                               task->name, join(names, ", "))};
  return Error{ErrorKind::usage, fmt::format("{} could not be measured on the {} images", metric, evaluation.split)};
}

std::string interval_text(const Evaluation& evaluation, const std::string& metric) {
  const auto found = evaluation.intervals.find(metric);
  return found == evaluation.intervals.end() ? "" : fmt::format(" (95% interval {:.4f} to {:.4f})", found->second.low, found->second.high);
}

Result<Answers> answer(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads) {
  return answer_split(model, manifest, split, progress, threads);
}

Result<Evaluation> evaluate(package::Model& model, const dataset::Manifest& manifest, const std::string& package_folder,
                            const Options& options) {
  if (model.annotates()) return evaluate_annotations(model, manifest, package_folder, options);
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
  const std::vector<std::int64_t> groups = groups_of_samples(manifest, answers.samples);
  SIGHTLINE_TRY(evaluation.intervals,
                bootstrap_intervals(answers.probabilities, answers.labels, {.threads = options.threads, .groups = groups}));
  // Where no mistake was made the bootstrap's interval has no width, however few the images; this one has.
  SIGHTLINE_TRY(const CrossValidated shares, cross_validated({&answers.probabilities, 1}, answers.labels, groups));
  evaluation.intervals["balanced_accuracy"] = shares.balanced_accuracy.interval;
  evaluation.temperature = temperature_of(model.graph());
  const Tensor before = tasks::apply_temperature(answers.probabilities, 1 / evaluation.temperature);
  evaluation.calibration_error_before = tasks::measure(before, answers.labels, evaluation.classes).calibration_error;
  evaluation.reliability_before = tasks::reliability(before, answers.labels);
  evaluation.reliability_after = tasks::reliability(answers.probabilities, answers.labels);
  evaluation.worst = worst_mistakes(manifest, answers);
  SIGHTLINE_TRY(const std::optional<package::Decisions> decisions, package::read_decisions(model.graph(), evaluation.classes.size()));
  if (decisions) evaluation.decisions = measure_decisions(*decisions, answers.probabilities, answers.labels);
  const auto ask = [&](const image::Image& picture) -> Result<void> {
    SIGHTLINE_TRY(const Tensor row, model.probabilities(model.prepare(picture)));
    if (tasks::top_classes(row.values<float>(), model.labels(), 5).empty()) return Error{ErrorKind::internal, "no class"};
    return {};
  };
  SIGHTLINE_TRY(evaluation.latency, measure_latency(manifest, answers.samples, options, ask));
  SIGHTLINE_TRY(evaluation.size_bytes, size_of_model(package_folder));
  evaluation.peak_memory_bytes = peak_memory();
  return evaluation;
}

}  // namespace sightline::evaluation
