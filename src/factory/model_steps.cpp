// recipe, train, package, evaluate: from samples to a measured package.
#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/progress_events.h"
#include "base/text.h"
#include "base/version.h"
#include "dataset/packed_set.h"
#include "evaluation/evaluation.h"
#include "factory/build.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "graph/graph.h"
#include "image/tiles.h"
#include "line/worker.h"
#include "modules/imported.h"
#include "modules/modules.h"
#include "package/package.h"
#include "runtime/precision.h"

namespace sightline::factory {
namespace {

constexpr std::size_t golden_count = 8;

// What the samples are, whatever folder they lie in: labels, pixels and splits, in order.
Digest samples_digest(const dataset::Manifest& manifest) {
  Sha256 hash;
  for (const std::string& name : manifest.classes) hash.add_field(name);
  const bool one_class = dataset::one_class_each(manifest);
  for (const dataset::Sample& sample : manifest.samples) {
    hash.add_field(sample.digest).add_field(fmt::format("{} {}", sample.label, enum_name(sample.split)));
    if (!one_class) hash.add_field(json_text(to_json(sample.annotation)));
    if (!sample.mask.path.empty()) hash.add_field(sample.mask.digest);
  }
  return hash.finish();
}

Result<Json> lineage_of(const BuildContext& build, const dataset::Manifest& manifest, const modules::Recipe& recipe, const Json& history) {
  Json lineage = data_lineage(manifest);
  lineage["weights"] = {{"origin", "initialised at random, trained here"}, {"licence", "as the data allow"}};
  if (build.start)
    lineage["weights"] = {{"origin", build.task->fit_step != nullptr
                                         ? fmt::format("{} as it is ({})", build.start->name, build.start->origin)
                                         : fmt::format("begun from {} ({}), trained here", build.start->name, build.start->origin)},
                          {"licence", build.start->licence}};
  for (const char* said : {"choice", "alarm"})
    if (!build.demand.backbone && history.contains(said)) lineage[said] = history[said];
  if (build.demand.backbone) {
    SIGHTLINE_TRY(lineage["weights"], backbone_lineage(build.demand));
    if (history.contains("choice")) lineage["weights"]["choice"] = history["choice"];
  }
  lineage["recipe"] = to_json(recipe);
  lineage["schedule"] = history.contains("schedule") ? history["schedule"] : Json(nullptr);
  lineage["seed"] = build.demand.seed;
  lineage["sightline"] = version;
  return lineage;
}

}  // namespace

std::string progress_note(const Json& event, const std::string& last_epoch) {
  const double speed = event.value("images_per_second", 0.0);
  return fmt::format("epoch {}{}{}", event.value("epoch", 0), last_epoch,
                     speed > 0 ? fmt::format("  {} images/s", human_count(static_cast<std::uint64_t>(speed))) : "");
}

Result<std::vector<package::GoldenSample>> choose_golden(const dataset::Manifest& manifest, std::size_t count) {
  std::vector<std::size_t> chosen;
  std::vector<bool> taken(manifest.samples.size());
  for (std::size_t round = 0; chosen.size() < count && round < count; ++round) {
    const std::size_t before = chosen.size();
    for (std::size_t label = 0; label < manifest.classes.size() && chosen.size() < count; ++label) {
      for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
        const dataset::Sample& sample = manifest.samples[i];
        if (taken[i] || sample.split != dataset::Split::train || static_cast<std::size_t>(sample.label) != label) continue;
        taken[i] = true;
        chosen.push_back(i);
        break;
      }
    }
    if (chosen.size() == before) break;
  }
  const dataset::SampleReader reader(manifest.root);
  std::vector<package::GoldenSample> golden;
  for (std::size_t i : chosen) {
    SIGHTLINE_TRY(image::Image picture, reader.read(manifest.samples[i].path));
    golden.push_back({fmt::format("{:02}", golden.size()), std::move(picture)});
  }
  return golden;
}

Json data_lineage(const dataset::Manifest& manifest) {
  std::array<std::int64_t, 3> counts{};
  for (const dataset::Sample& sample : manifest.samples) ++counts[static_cast<std::size_t>(sample.split)];
  return {{"data",
           {{"digest", samples_digest(manifest)},
            {"origin", manifest.origin},
            {"licence", manifest.licence},
            {"format", manifest.format},
            {"train", counts[0]},
            {"validation", counts[1]},
            {"test", counts[2]},
            {"rejected", manifest.rejected.size()}}}};
}

Result<void> put_evaluation(line::StepContext& context, const evaluation::Evaluation& evaluation) {
  SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(evaluation.task));
  const tasks::Figures figures = evaluation::measured_of(evaluation);
  for (const tasks::Metric& metric : task->metrics)
    if (const auto value = figures.values.find(metric.name); value != figures.values.end()) context.figure(metric.name, value->second);
  context.figure("p95_ms", evaluation.latency.p95);
  context.figure("size_bytes", evaluation.size_bytes);
  return context.put("evaluation", json_text(to_json(evaluation)));
}

Json recipe_parameters(const demand::Demand& demand) {
  Json parameters = {{"pins", to_json(demand.recipe)}, {"budget", to_json(demand.budget)}, {"limits", to_json(demand.limits)},
                     {"metric", demand.target.metric}, {"read", to_json(demand.read)},     {"seed", demand.seed}};
  if (demand.restore) parameters["restore"] = to_json(*demand.restore);
  if (demand.in_pieces()) parameters["pieces"] = true;
  return parameters;
}

void add_decisions(const demand::Demand& demand, Json& parameters) {
  if (demand.decide) parameters["decide"] = to_json(*demand.decide);
  if (demand.prediction_sets) parameters["prediction_sets"] = to_json(*demand.prediction_sets);
}

Result<void> put_decisions(package::Contents& contents) {
  SIGHTLINE_TRY(const std::optional<package::Decisions> decisions, package::read_decisions(contents.graph, contents.labels.size()));
  if (decisions) contents.lineage["decisions"] = to_json(*decisions);
  return {};
}

Json machine_environment(int threads) { return {{"simd", simd_level()}, {"kernels", runtime::instruction_set()}, {"threads", threads}}; }

line::Step recipe_step(const BuildContext& build) {
  line::Step step{.name = "recipe", .version = 2, .says = "choose the net and how to train it"};
  step.parameters = recipe_parameters(build.demand);
  step.environment = {{"modules", modules::version}};
  if (build.task->versions.is_object()) step.environment.update(build.task->versions);
  if (build.demand.backbone) {
    const demand::Backbone& backbone = *build.demand.backbone;
    step.parameters["backbone"] = {{"cut", demand::cuts_of(build.demand)},
                                   {"freeze", to_json(backbone.freeze)},
                                   {"mean", to_json(backbone.mean)},
                                   {"scale", to_json(backbone.scale)}};
    step.environment["import"] = modules::import_version;
  }
  step.inputs = {{.name = "manifest", .step = "split", .output = "manifest"}};
  if (build.demand.backbone) step.inputs.push_back({.name = "backbone", .digest = build.backbone});
  if (build.start) step.inputs.push_back({.name = "starting weights", .digest = build.start->digest});
  step.outputs = {"recipe", "graph"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const ChosenRecipe chosen, build.task->choose(build.demand, manifest, build.start, build.threads));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(chosen.graph));
    context.figure("backbone", chosen.recipe.backbone);
    context.figure("side", chosen.recipe.side);
    context.figure("parameters", cost.parameters);
    context.figure("mflops", std::round(static_cast<double>(cost.flops) / 1e4) / 100);
    context.figure("reasons", to_json(chosen.reasons));
    if (!chosen.weights.empty()) context.figure("weights", to_json(chosen.weights));
    SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(chosen.graph));
    SIGHTLINE_CHECK(context.put("graph", onnx));
    return context.put("recipe", json_text(to_json(chosen.recipe), 2));
  };
  return step;
}

Result<void> train_with_worker(line::StepContext& context, const std::string& worker, modules::TrainingSpec& spec,
                               const std::string& says) {
  spec.output = context.work_folder() + "/output";
  spec.checkpoint = context.work_folder() + "/checkpoint";
  Progress progress(says, 0);
  std::string last_epoch;
  std::int64_t steps = 0;
  const auto on_event = [&](const Json& event) {
    const std::string kind = event.value("event", "");
    if (kind == "epoch") tell_progress("epoch", event);
    if (kind == "schedule") steps = event.value("steps", std::int64_t{0});
    for (const auto& [key, words] : {std::pair{"validation_top1", "top1"}, {"validation_loss", "loss"}}) {
      // What a task has no figure of is null; the first that there is counts.
      if (kind != "epoch" || !event.contains(key) || !event.at(key).is_number()) continue;
      last_epoch = fmt::format("  validation {} {:.4f}", words, event.at(key).get<double>());
      context.figure(key, event.at(key));
      break;
    }
    if (kind == "progress") {
      progress.set_total(static_cast<std::uint64_t>(event.value("steps", steps)));
      progress.set(static_cast<std::uint64_t>(event.value("step", std::int64_t{0})), progress_note(event, last_epoch));
    }
    if (kind == "done") {
      context.figure("training_seconds", event.value("seconds", 0.0));
      context.figure("steps", event.value("steps", std::int64_t{0}));
    }
  };
  SIGHTLINE_CHECK(line::run_worker(worker, to_json(spec), context.work_folder() + "/spec.json", on_event));
  progress.finish(trim(last_epoch));
  return {};
}

line::Step train_step(const BuildContext& build, const std::string& worker, const std::string& worker_version) {
  line::Step step{.name = "train", .version = 1, .says = "learn the weights"};
  step.parameters = {{"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.environment["worker"] = worker_version;
  step.inputs = {{.name = "recipe", .step = "recipe", .output = "recipe"},
                 {.name = "graph", .step = build.initial_step(), .output = build.imports() ? "model" : "graph"},
                 {.name = "images", .step = "pack", .output = "images"}};
  step.outputs = {"model", "history"};
  step.body = [build, worker](line::StepContext& context) -> Result<void> {
    modules::TrainingSpec spec;
    SIGHTLINE_TRY(spec.recipe, read_recipe(context));
    spec.graph = context.input_path("graph");
    spec.data = context.input_path("images");
    spec.task = build.demand.task;
    spec.seed = build.demand.seed;
    spec.threads = build.threads;
    if (auto status = train_with_worker(context, worker, spec, "train"); !status.ok()) {
      Error error = status.error();
      if (error.kind == ErrorKind::unsupported && build.imports())
        error.message += "; use its features as they are (backbone: {freeze: backbone})";
      return error;
    }
    SIGHTLINE_CHECK(context.put_file("model", spec.output + "/model.onnx"));
    return context.put_file("history", spec.output + "/history.json");
  };
  return step;
}

Result<double> write_calibrated(const BuildContext& build, package::Contents& contents, const dataset::Manifest& manifest,
                                const std::string& folder) {
  // Calibration needs answers of the package itself, so it is written twice: once to be asked, once with the temperature.
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  double temperature = 1;
  {
    SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.threads = build.threads, .check_golden = false}));
    SIGHTLINE_TRY(const evaluation::Answers answers, evaluation::answer(model, manifest, dataset::Split::validation, false));
    if (answers.labels.size() >= 10) temperature = tasks::fit_temperature(answers.probabilities, answers.labels);
    contents.graph.initializers["inverse_temperature"] =
        Tensor::filled(contents.graph.initializers["inverse_temperature"].shape(), static_cast<float>(1 / temperature));
    SIGHTLINE_TRY(const std::optional<package::Decisions> decisions,
                  evaluation::fit_decisions(build.demand, tasks::apply_temperature(answers.probabilities, temperature), answers.labels,
                                            "validation"));
    if (decisions) package::write_decisions(*decisions, contents.graph);
  }
  SIGHTLINE_CHECK(put_decisions(contents));
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  return temperature;
}

image::Image middle_of(const image::Image& picture, int most) {
  const int width = std::min(picture.width, most), height = std::min(picture.height, most);
  image::Image middle{.width = width, .height = height, .channels = picture.channels, .pixels = {}};
  for (int y = 0; y < height; ++y) {
    const auto from = picture.pixels.begin() +
                      (static_cast<std::ptrdiff_t>((picture.height - height) / 2 + y) * picture.width + (picture.width - width) / 2) *
                          static_cast<std::ptrdiff_t>(picture.channels);
    middle.pixels.insert(middle.pixels.end(), from, from + static_cast<std::ptrdiff_t>(middle.row_bytes()));
  }
  return middle;
}

line::Step package_step(const BuildContext& build) {
  line::Step step{.name = "package", .version = 1, .says = "calibrate, write, reopen and verify the package"};
  if (build.task->calibrate == nullptr) step.says = "write, reopen and verify the package";
  step.parameters = {{"name", build.demand.name}, {"licence", build.demand.data.licence}, {"origin", build.demand.data.origin}};
  add_decisions(build.demand, step.parameters);
  step.environment = machine_environment(build.threads);
  if (build.demand.backbone)
    step.parameters["backbone"] = {{"licence", to_json(build.demand.backbone->licence)},
                                   {"origin", to_json(build.demand.backbone->origin)}};
  step.inputs = {{.name = "model", .step = build.trained_step(), .output = "model"},
                 {.name = "history", .step = build.trained_step(), .output = "history"},
                 {.name = "recipe", .step = "recipe", .output = "recipe"},
                 {.name = "manifest", .step = "split", .output = "manifest"}};
  step.outputs = {"package"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const modules::Recipe recipe, read_recipe(context));
    SIGHTLINE_TRY(const std::string history_text, context.read_input("history"));
    SIGHTLINE_TRY(const Json history, parse_json(history_text, "history.json"));
    SIGHTLINE_TRY(const graph::Graph trained, graph::read_onnx(context.input_path("model")));
    package::Contents contents;
    contents.name = build.demand.name;
    contents.task = build.demand.task;
    contents.graph = graph::serving_graph(trained);
    contents.labels = manifest.classes;
    SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(build.demand.task));
    // Who was trained on is not told; a picture that is restored is of no class.
    if (task->open_classes) contents.labels = {task->show != nullptr ? "picture" : "identity"};
    contents.preprocessing = {.width = recipe.input_width(), .height = recipe.side, .channels = recipe.channels, .fit = build.task->fit};
    SIGHTLINE_TRY(contents.lineage, lineage_of(build, manifest, recipe, history));
    SIGHTLINE_TRY(contents.golden, choose_golden(manifest, golden_count));
    if (task->show != nullptr) SIGHTLINE_CHECK(show_golden(*task, contents, contents.golden));
    if (build.demand.in_pieces()) {
      contents.graph.metadata[package::pieces_key] = "true";
      for (package::GoldenSample& sample : contents.golden)
        sample.picture = middle_of(sample.picture, 2 * contents.preprocessing.width - image::tile_overlap);
    }

    const std::string folder = context.work_folder() + "/" + build.demand.name;
    if (build.task->calibrate != nullptr) {
      SIGHTLINE_TRY(const double temperature, build.task->calibrate(build, contents, manifest, folder));
      context.figure("temperature", temperature);
    } else {
      SIGHTLINE_CHECK(remove_all(folder));
      SIGHTLINE_CHECK(package::write_package(contents, folder));
    }
    SIGHTLINE_TRY(const std::uint64_t size, package::shipped_size(folder));
    context.figure("size_bytes", size);
    return context.put_folder("package", folder);
  };
  return step;
}

line::Step evaluate_step(const BuildContext& build) {
  line::Step step{.name = "evaluate", .version = 1, .says = "measure the package on the untouched test split"};
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "package", .step = "compress", .output = "package"}, {.name = "manifest", .step = "split", .output = "manifest"}};
  step.outputs = {"evaluation"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    const std::string folder = context.work_folder() + "/" + build.demand.name;
    SIGHTLINE_CHECK(remove_all(folder));
    SIGHTLINE_CHECK(context.workspace().blobs().materialize(context.input("package"), folder));
    SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.threads = build.threads}));
    SIGHTLINE_TRY(const evaluation::Evaluation evaluation,
                  evaluation::evaluate(model, manifest, folder,
                                       {.split = dataset::Split::test, .threads = build.threads, .progress = build.options.progress}));
    return put_evaluation(context, evaluation);
  };
  return step;
}

}  // namespace sightline::factory
