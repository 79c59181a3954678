// Runs a package, with the runtime that will serve it, over untouched data, and says what it measured.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "dataset/manifest.h"
#include "demand/demand.h"
#include "evaluation/decisions.h"
#include "package/package.h"
#include "tasks/classify.h"

namespace sightline::evaluation {

struct Interval {
  double low = 0, high = 0;
  static constexpr auto fields() { return std::tuple{field("low", &Interval::low), field("high", &Interval::high)}; }
};

struct Latency {  // milliseconds per image at batch 1, after decoding: resize, network, decoding of outputs
  double p50 = 0, p95 = 0, p99 = 0;
  int count = 0, threads = 0;
  static constexpr auto fields() {
    return std::tuple{field("p50", &Latency::p50), field("p95", &Latency::p95), field("p99", &Latency::p99),
                      field("count", &Latency::count), field("threads", &Latency::threads)};
  }
};

struct Mistake {
  std::string path;
  int given = 0, predicted = 0;
  double probability = 0;        // of the predicted class
  double given_probability = 0;  // of the given class
  static constexpr auto fields() {
    return std::tuple{field("path", &Mistake::path), field("given", &Mistake::given), field("predicted", &Mistake::predicted),
                      field("probability", &Mistake::probability), field("given_probability", &Mistake::given_probability)};
  }
};

// A picture of the report: what is in it, and what the model says.
struct ShownCase {
  std::string path;
  double wrongness = 0;  // 0 to 1
  annotation::Annotation truth, answer;
  std::string map;    // of the answer, as annotation::text_of_map; "" where the task has none
  std::string strip;  // of tasks whose answers are pictures: what was shown, what came out and what is true (Task::strip), JPEG in base64
  static constexpr auto fields() {
    return std::tuple{field("path", &ShownCase::path),   field("wrongness", &ShownCase::wrongness),
                      field("truth", &ShownCase::truth), field("answer", &ShownCase::answer),
                      field("map", &ShownCase::map),     field("strip", &ShownCase::strip)};
  }
};

// Two pictures that a model for comparing takes for more, or less, alike than they are.
struct ShownPair {
  std::string first, second;  // paths
  bool same = false;          // whether they show one identity
  double score = 0;
  static constexpr auto fields() {
    return std::tuple{field("first", &ShownPair::first), field("second", &ShownPair::second), field("same", &ShownPair::same),
                      field("score", &ShownPair::score)};
  }
};

// A box of people that the model contradicts (tasks/detect_suspects.h).
struct ShownSuspect {
  std::string path;
  std::string suspicion;    // missed, unseen, other or displaced
  std::string given, seen;  // classes; "" for none
  annotation::Box given_box, seen_box;
  double score = 0;
  static constexpr auto fields() {
    return std::tuple{field("path", &ShownSuspect::path),           field("suspicion", &ShownSuspect::suspicion),
                      field("given", &ShownSuspect::given),         field("seen", &ShownSuspect::seen),
                      field("given_box", &ShownSuspect::given_box), field("seen_box", &ShownSuspect::seen_box),
                      field("score", &ShownSuspect::score)};
  }
};

struct Evaluation {
  std::string model, split;
  std::string task = "classify";
  std::vector<std::string> classes;
  tasks::ClassifyFigures figures;      // of classify
  tasks::Figures measured;             // of every other task
  std::vector<ShownCase> shown;        // likewise: the worst first, then some of the others
  std::vector<ShownPair> pairs;        // of tasks that compare pictures: the worst of either kind
  std::vector<ShownSuspect> suspects;  // of detect: boxes that are probably wrong, most suspect first, at most a tenth of all and 100
  // 95%: of tasks other than classify by bootstrap over pictures (of embed: identities; percentile, 300 draws, seeded), by metric. Of
  // classify by bootstrap over samples (percentile, 1000 draws, seeded) top1, top5, macro_f1, log_loss; by Clopper and Pearson, for the
  // number of samples that it is worth, balanced_accuracy (cross_validation.h).
  std::map<std::string, Interval> intervals;
  double temperature = 1;
  double calibration_error_before = 0;  // with the temperature undone
  std::vector<tasks::ReliabilityBin> reliability_before, reliability_after;
  std::vector<Mistake> worst;                // most confident mistakes first, at most 40
  std::optional<DecisionFigures> decisions;  // of a model that decides by thresholds or gives sets
  Latency latency;
  std::uint64_t size_bytes = 0;         // shipped size
  std::uint64_t peak_memory_bytes = 0;  // of the process that evaluated
  double images_per_second = 0;         // whole set, decoding included
  static constexpr auto fields() {
    return std::tuple{field("model", &Evaluation::model),
                      field("split", &Evaluation::split),
                      field("task", &Evaluation::task),
                      field("classes", &Evaluation::classes),
                      field("figures", &Evaluation::figures),
                      field("measured", &Evaluation::measured),
                      field("shown", &Evaluation::shown),
                      field("pairs", &Evaluation::pairs),
                      field("suspects", &Evaluation::suspects),
                      field("intervals", &Evaluation::intervals),
                      field("temperature", &Evaluation::temperature),
                      field("calibration_error_before", &Evaluation::calibration_error_before),
                      field("reliability_before", &Evaluation::reliability_before),
                      field("reliability_after", &Evaluation::reliability_after),
                      field("worst", &Evaluation::worst),
                      field("decisions", &Evaluation::decisions),
                      field("latency", &Evaluation::latency),
                      field("size_bytes", &Evaluation::size_bytes),
                      field("peak_memory_bytes", &Evaluation::peak_memory_bytes),
                      field("images_per_second", &Evaluation::images_per_second)};
  }
};

// What was measured, whatever the task.
tasks::Figures measured_of(const Evaluation& evaluation);
// Its values for people: the task's metrics first, then the others by name.
std::vector<std::pair<std::string, double>> told_values(const Evaluation& evaluation);
// Value of a metric. Error usage: it was not measured.
Result<double> value_of(const Evaluation& evaluation, const std::string& metric);
// 95%, where there is one: " (95% interval 0.8848 to 0.9351)".
std::string interval_text(const Evaluation& evaluation, const std::string& metric);

struct Answers;
struct Options {
  dataset::Split split = dataset::Split::test;
  int threads = 0;
  int latency_runs = 200;
  bool progress = true;
  // What the model answers to the split, where that is known already (from cached features of the same runtime plan); rows in the order of
  // the manifest, columns in that of the model.
  const Answers* answers = nullptr;
};

// Classes are matched by name: every class of the manifest must be one of the model's (invalid_data lists those that are not); figures are
// in the model's order. A model that names no classes (labels "0", "1", …) is taken in the manifest's order. package_folder: what is
// weighed, a package folder or a bare .onnx file; "" leaves size_bytes 0. Errors: invalid_data (no images in the split, an image that no
// longer decodes, answers that are not probabilities), interrupted.
Result<Evaluation> evaluate(package::Model& model, const dataset::Manifest& manifest, const std::string& package_folder,
                            const Options& options);
// f32 N×K of the samples of one split through the whole package, and their labels: calibration uses it on validation data.
struct Answers {
  Tensor probabilities;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> samples;  // indices into the manifest
  double seconds = 0;
};
// threads 0: usable_cores(), for decoding; the network has those that the model was opened with.
Result<Answers> answer(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads = 0);

// The same of a model that annotates; the truth of each is in the model's classes.
struct Annotated {
  std::vector<tasks::Case> cases;
  std::vector<std::int64_t> samples;  // indices into the manifest
  double seconds = 0;
};
// What the task's meter makes of them; knows which pairs the manifest wants compared where `split` is test.
std::unique_ptr<tasks::Meter> meter_of(const package::Model& model, const Annotated& annotated, const dataset::Manifest& manifest,
                                       dataset::Split split);
Result<Annotated> annotate(package::Model& model, const dataset::Manifest& manifest, dataset::Split split, bool progress, int threads = 0);

struct GateLine {
  std::string what;  // "top1", "latency", "size", "release in force"
  bool passed = false;
  std::string sentence;  // with the figures
  static constexpr auto fields() {
    return std::tuple{field("what", &GateLine::what), field("passed", &GateLine::passed), field("sentence", &GateLine::sentence)};
  }
};
struct Verdict {
  bool release = false;
  std::string sentence;
  std::vector<GateLine> lines;
  static constexpr auto fields() {
    return std::tuple{field("release", &Verdict::release), field("sentence", &Verdict::sentence), field("lines", &Verdict::lines)};
  }
};
// Compares with the demand's target (the point value) and limits, and with the release in force: refused when the target metric is worse
// by more than 1.96 standard errors of the difference (docs/evaluation.md).
Verdict gate(const demand::Demand& demand, const Evaluation& evaluation, const std::optional<Evaluation>& in_force);

}  // namespace sightline::evaluation
