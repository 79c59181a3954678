#include <algorithm>
#include <array>
#include <set>

#include "app/cli/model_source.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/text.h"
#include "dataset/good_pictures.h"
#include "dataset/import.h"
#include "evaluation/evaluation.h"
#include "tasks/detect_suspects.h"

namespace sightline::cli {
namespace {

struct Options {
  std::string model, data, format = "auto", labels, attributes, pairs, split, task;
  bool classes = false;
  int threads = 0;
  double every_s = 1;  // from one frame of a video to the next
};

// Which samples count: a split that the data bring, or all of them. evaluate() takes one split, so "all" puts every sample into test.
Result<dataset::Split> choose_split(dataset::Manifest& manifest, const Options& options) {
  const std::string wanted = !options.split.empty() ? options.split : manifest.given_test ? "test" : "all";
  if (wanted == "all") {
    for (dataset::Sample& sample : manifest.samples) sample.split = dataset::Split::test;
    return dataset::Split::test;
  }
  dataset::Split split = dataset::Split::test;
  enum_from(wanted, split);
  const auto count =
      std::count_if(manifest.samples.begin(), manifest.samples.end(), [&](const auto& sample) { return sample.split == split; });
  if (count == 0)
    return Error{ErrorKind::not_found, fmt::format("{} holds no {} images; leave --split out to use all of them", options.data, wanted)};
  return split;
}

void print_figures(const Console& console, const evaluation::Evaluation& evaluation) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [metric, value] : evaluation::told_values(evaluation)) {
    const auto interval = evaluation.intervals.find(metric);
    rows.push_back(
        {metric, fmt::format("{:.4f}", value),
         interval == evaluation.intervals.end() ? "" : fmt::format("{:.4f} to {:.4f}", interval->second.low, interval->second.high)});
  }
  console.table({"metric", "value", "95% interval"}, rows);
  console.say("latency at batch 1: p50 {:.3f} ms, p95 {:.3f} ms, p99 {:.3f} ms on {}", evaluation.latency.p50, evaluation.latency.p95,
              evaluation.latency.p99, plural(static_cast<std::uint64_t>(evaluation.latency.threads), "thread"));
  console.say("{:.0f} images/s with decoding, size {}, peak memory {}", evaluation.images_per_second, human_bytes(evaluation.size_bytes),
              human_bytes(evaluation.peak_memory_bytes));
}

void print_classes(const Console& console, const evaluation::Evaluation& evaluation) {
  const tasks::Figures figures = evaluation::measured_of(evaluation);
  std::set<std::string> names;
  for (const tasks::ClassValues& each : figures.per_class)
    for (const auto& [name, value] : each.values) names.insert(name);
  std::vector<std::string> head{"class", "count"};
  head.insert(head.end(), names.begin(), names.end());
  std::vector<std::vector<std::string>> rows;
  for (const tasks::ClassValues& each : figures.per_class) {
    std::vector<std::string>& row = rows.emplace_back(std::vector<std::string>{each.name, std::to_string(each.count)});
    for (const std::string& name : names) {
      const auto value = each.values.find(name);
      row.push_back(value == each.values.end() ? "" : fmt::format("{:.4f}", value->second));
    }
  }
  console.say("");
  console.table(head, rows);
}

// Of a detector: the labels to look at first. All of them stand in --json.
void print_suspects(const Console& console, const std::vector<evaluation::ShownSuspect>& suspects) {
  constexpr std::size_t most = 10;
  if (suspects.empty()) return;
  std::vector<std::vector<std::string>> rows;
  for (const evaluation::ShownSuspect& each : suspects) {
    tasks::Suspicion suspicion{};
    if (rows.size() == most || !enum_from(each.suspicion, suspicion)) break;
    rows.push_back({each.path, tasks::words_for(suspicion), each.given, each.seen, fmt::format("{:.2f}", each.score)});
  }
  console.say("\nBoxes that are probably wrong, the worst {} of {}:", rows.size(), suspects.size());
  console.table({"picture", "why", "given", "seen", "score"}, rows);
}

Result<int> evaluate(const Options& options, Console& console) {
  if (!(options.every_s >= 0.001)) return Error{ErrorKind::usage, "--every must be at least 0.001 (seconds)"};
  if (options.threads < 0) return Error{ErrorKind::usage, "--threads must not be negative"};
  SIGHTLINE_TRY(OpenModel opened, open_model(console, options.model, options.threads, options.task));
  demand::Data data;
  data.path = options.data;
  data.format = options.format;
  if (!options.attributes.empty()) data.attributes = split(options.attributes, ',');
  if (!options.pairs.empty() && (!opened.model.task_row().open_classes || opened.model.tiled()))
    return Error{ErrorKind::usage, fmt::format("--pairs are for models that compare pictures; {} is one for the task {}",
                                               opened.source.name, opened.model.task())};
  if (!options.pairs.empty()) data.pairs = options.pairs;
  if (!options.labels.empty())
    data.labels = path_exists(options.data + "/" + options.labels) ? options.labels : absolute_path(options.labels);
  data.frames.every_s = options.every_s;
  data.max_rejected = 1;  // they are counted below; figures of the rest are still figures
  // What the model's data called good, unless that is a name that is known as such.
  if (opened.model.task_row().from_good && !opened.model.labels().empty() && !dataset::is_called_good(opened.model.labels().front()))
    data.good = opened.model.labels().front();
  SIGHTLINE_TRY(dataset::Manifest manifest,
                dataset::import_data(data, {.group_by = demand::GroupBy::none}, nullptr, opened.model.task_row().from_good,
                                     opened.model.task_row().show != nullptr));
  SIGHTLINE_TRY(const dataset::Split chosen, choose_split(manifest, options));
  SIGHTLINE_TRY(const evaluation::Evaluation evaluation,
                evaluation::evaluate(opened.model, manifest, opened.source.path,
                                     {.split = chosen, .threads = options.threads, .progress = !console.json && !console.quiet}));
  console.say("{} on {} of {}", opened.source.name,
              plural(static_cast<std::uint64_t>(evaluation::measured_of(evaluation).pictures), "image"), options.data);
  print_figures(console, evaluation);
  if (evaluation.decisions)
    for (const std::string& sentence : evaluation.decisions->sentences) console.say("{}", sentence);
  if (options.classes) print_classes(console, evaluation);
  print_suspects(console, evaluation.suspects);
  if (!manifest.rejected.empty())
    console.warn("{} could not be read and {} not counted, for example {}: {}", plural(manifest.rejected.size(), "file"),
                 manifest.rejected.size() == 1 ? "is" : "are", manifest.rejected[0].path, manifest.rejected[0].reason);
  console.document({{"model", json_of(opened.source)},
                    {"data", options.data},
                    {"evaluation", to_json(evaluation)},
                    {"rejected", to_json(manifest.rejected)}});
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.positional("DATA", options->data,
                       "labelled images: class folders, an IDX folder, a CSV file; for detectors COCO, YOLO or VOC; of what learned from "
                       "good pictures also MVTec");
  arguments.option("--split", options->split, "SPLIT", "which images; without it: the test split if the data bring one, else all",
                   {"train", "validation", "test", "all"});
  std::vector<std::string> formats = dataset::format_names();
  formats.insert(formats.begin(), "auto");
  arguments.option("--format", options->format, "FORMAT", "how the data are stored", formats);
  arguments.option("--attributes", options->attributes, "COLUMNS", "for attributes: the CSV file's columns, with commas between");
  arguments.option("--pairs", options->pairs, "FILE", "of an embedder: which pictures are compared, and in which fold, as LFW's pairs.txt");
  arguments.option("--task", options->task, "TASK", "of a bare .onnx file that does not say it itself", task_names());
  arguments.option("--every", options->every_s, "SECONDS", "of videos: from one frame that counts to the next");
  arguments.option("--labels", options->labels, "FILE", "the table or JSON file, in DATA or elsewhere");
  arguments.flag("--classes", options->classes, "also precision, recall and f1 of every class");
  arguments.option("--threads", options->threads, "N", "cores to use; 0: all that this process may use");
  return [options](Console& console) { return evaluate(*options, console); };
}

constexpr std::array examples{
    Example{"sightline eval apparel /usr/share/datasets/fashion-mnist", "the release in force, on the test images that the data bring"},
    Example{"sightline eval apparel:2 new-photos/ --classes", "version 2 on images that were taken later, class by class"},
    Example{"sightline eval resnet50.onnx imagenet/val --json > figures.json", "somebody else's model, all figures as JSON"},
    Example{"sightline eval mobilefacenet.onnx lfw/ --task embed --pairs pairs.txt", "somebody else's embedder, by the protocol of LFW"},
};

}  // namespace

constexpr Verb eval_verb{
    .name = "eval",
    .group = Group::use,
    .summary = "measure a model on labelled images",
    .details =
        "Runs the model as it is shipped, with the runtime that serves it, and prints accuracy with 95% bootstrap intervals, "
        "calibration, latency, size and memory. Classes of the data and labels of the model are matched by name.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
