// backbone, head and what follows from them: a model that is a frozen backbone with a head of its own. Nothing is trained; what the
// backbone says of each picture is computed once for all demands, and the package shares the backbone's weights with every other.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/version.h"
#include "evaluation/decisions.h"
#include "evaluation/evaluation.h"
#include "factory/backbone.h"
#include "factory/build.h"
#include "factory/escalation_steps.h"
#include "factory/feature_sources.h"
#include "factory/looks.h"
#include "factory/outlook.h"
#include "factory/recipe.h"
#include "factory/small_data.h"
#include "factory/step_inputs.h"
#include "features/backbone.h"
#include "graph/graph.h"
#include "heads/choose.h"
#include "heads/head.h"
#include "modules/imported.h"
#include "package/golden.h"
#include "package/layout.h"
#include "package/package.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

// Test pictures that go through the whole package beside what the cached features say.
constexpr std::size_t checked_pictures = 16;
// Half of what trained packages have: the backbone answers for thousands of models, and most of a small package are its pictures.
constexpr std::size_t golden_pictures = 4;
// Suspected labels that are kept: the worst tenth, but so many at least.
constexpr std::size_t least_suspects = 20;

// The columns of the backbone's features that the value holds which the head's graph reads.
struct ColumnRange {
  std::int64_t begin = 0, end = 0;
};
Result<ColumnRange> columns_read(const features::Backbone& backbone, const graph::Graph& head) {
  const std::string& read = head.inputs.at(0).name;
  if (read == features::value) return ColumnRange{0, backbone.dimensions};
  std::int64_t begin = 0;
  for (const features::Cut& cut : backbone.about.cuts) {
    if (cut.value == read) return ColumnRange{begin, begin + cut.width};
    begin += cut.width;
  }
  return Error{ErrorKind::internal, fmt::format("the head reads \"{}\", which {} does not have", read, backbone.about.file)};
}
Tensor columns_of(const Tensor& features, const ColumnRange& range) {
  if (range.end - range.begin == features.dim(1)) return features;
  std::vector<std::int64_t> columns(static_cast<std::size_t>(range.end - range.begin));
  std::iota(columns.begin(), columns.end(), range.begin);
  return heads::columns_of(features, columns);
}

// Which sets of the backbone's cuts compete: where the demand leaves it open, the last one alone, which is the usual way, against all.
std::vector<heads::CutSet> competing_cuts(const demand::Demand& demand, const features::Backbone& backbone) {
  const std::vector<features::Cut>& cuts = backbone.about.cuts;
  if (demand::cuts_of(demand)[0] != "auto" || cuts.size() < 2 || cuts.back().name != "last") return {};
  std::vector<std::size_t> all(cuts.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::vector<std::string> names;
  for (const features::Cut& cut : cuts) names.push_back(cut.name);
  return {{"last", {cuts.size() - 1}}, {join(names, " and "), all}};
}

Result<void> keep_limits(const BuildContext& build, const features::Backbone& backbone, int classes) {
  SIGHTLINE_TRY(const std::string broken, limit_broken_by(build, backbone, classes));
  if (broken.empty()) return {};
  return Error{ErrorKind::refused,
               fmt::format("{} breaks the limits: {}; raise limits.size_mb or limits.latency_ms", backbone.about.file, broken)};
}

// What a head is chosen on: the features of all looks side by side, and sets of columns that compete.
struct Competition {
  Tensor features, mirrored;
  std::vector<std::int64_t> widths;
  std::vector<heads::CutSet> sets;
};
Tensor side_by_side(const Tensor& first, std::span<const Look> looks, const Tensor Look::*which) {
  std::int64_t width = first.dim(1);
  for (const Look& look : looks) width += (look.*which).dim(1);
  Tensor all(Dtype::f32, {first.dim(0), width});
  auto to = all.values<float>().begin();
  for (std::int64_t i = 0; i < first.dim(0); ++i) {
    to = std::ranges::copy(first.rows(i, i + 1).values<float>(), to).out;
    for (const Look& look : looks) to = std::ranges::copy((look.*which).rows(i, i + 1).values<float>(), to).out;
  }
  return all;
}
Competition competition_of(const BuildContext& build, const HeadInputs& inputs) {
  Competition all{.features = inputs.features};
  for (const features::Cut& cut : inputs.backbone.about.cuts) all.widths.push_back(cut.width);
  all.sets = competing_cuts(build.demand, inputs.backbone);
  if (inputs.looks.empty()) return all;
  all.features = side_by_side(inputs.features, inputs.looks, &Look::features);
  all.mirrored = side_by_side(*inputs.mirrored, inputs.looks, &Look::mirrored);
  if (all.sets.empty()) {
    std::vector<std::size_t> own(all.widths.size());
    std::iota(own.begin(), own.end(), std::size_t{0});
    all.sets = {{"last", own}};
  }
  for (std::size_t i = 0; i < inputs.looks.size(); ++i) {
    heads::CutSet set{.name = inputs.looks[i].name, .look = static_cast<int>(i) + 1};
    for (const features::Cut& cut : inputs.looks[i].backbone.about.cuts) {
      set.cuts.push_back(all.widths.size());
      all.widths.push_back(cut.width);
    }
    all.sets.push_back(std::move(set));
  }
  return all;
}

// Some pictures through the whole package, one by one: they must be answered as the cached features say. Gives the seconds that the split
// would take at this speed.
Result<double> check_package(package::Model& model, const dataset::Manifest& manifest, const evaluation::Answers& answers) {
  const dataset::SampleReader reader(manifest.root);
  const std::size_t count = answers.samples.size(), checked = std::min(count, checked_pictures);
  const auto classes = static_cast<std::size_t>(answers.probabilities.dim(1));
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < checked; ++i) {
    const std::size_t at = i * count / checked;
    const std::string& path = manifest.samples[static_cast<std::size_t>(answers.samples[at])].path;
    SIGHTLINE_TRY(const image::Image picture, reader.read(path));
    SIGHTLINE_TRY(const Tensor row, model.probabilities(model.prepare(picture)));
    const auto expected = answers.probabilities.values<float>().subspan(at * classes, classes);
    for (std::size_t c = 0; c < classes; ++c) {
      const double difference = std::abs(static_cast<double>(row.values<float>()[c]) - expected[c]);
      if (!(difference <= package::golden_tolerance(model.precision())))
        return Error{ErrorKind::internal,
                     fmt::format("{}: the package gives class \"{}\" a probability of {:.6g}, its features and head {:.6g}; "
                                 "remove the folder features/ of the workspace and build again",
                                 path, model.labels()[c], row.values<float>()[c], expected[c])};
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return checked == 0 ? 0 : seconds * static_cast<double>(count) / static_cast<double>(checked);
}

}  // namespace

std::vector<std::int64_t> samples_of(const dataset::Manifest& manifest, std::initializer_list<dataset::Split> splits) {
  std::vector<std::int64_t> samples;
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    if (std::find(splits.begin(), splits.end(), manifest.samples[i].split) != splits.end()) samples.push_back(static_cast<std::int64_t>(i));
  return samples;
}

std::vector<std::int32_t> labels_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples) {
  std::vector<std::int32_t> labels;
  labels.reserve(samples.size());
  for (const std::int64_t sample : samples) labels.push_back(manifest.samples[static_cast<std::size_t>(sample)].label);
  return labels;
}

std::vector<std::int64_t> groups_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples) {
  std::map<std::string_view, std::int64_t> numbers;
  std::vector<std::int64_t> groups;
  groups.reserve(samples.size());
  for (const std::int64_t sample : samples) {
    const std::string& group = manifest.samples[static_cast<std::size_t>(sample)].group;
    groups.push_back(group.empty() ? -1 : numbers.emplace(group, static_cast<std::int64_t>(numbers.size())).first->second);
  }
  return groups;
}

Result<std::shared_ptr<const features::FeatureSource>> source_of(const BuildContext& build, line::StepContext& context,
                                                                 const std::string& input) {
  return build.sources->of(context.workspace(), context.input(input));
}

Result<FittedHead> fit_class_head(const BuildContext& build, const HeadInputs& inputs) {
  const auto& [backbone, own_features, manifest, samples, quick, looks, mirrored] = inputs;
  const Competition all = competition_of(build, inputs);
  const Tensor& features = all.features;
  const std::vector<std::int32_t> labels = labels_of(manifest, samples);
  const auto classes = static_cast<int>(manifest.classes.size());
  const std::vector<std::int64_t> groups = groups_of(manifest, samples);
  const auto seed = static_cast<std::uint64_t>(build.demand.seed);
  heads::ChooseOptions options{.balanced = is_balanced(build.demand), .seed = seed, .threads = build.threads};
  options.cut_widths = all.widths;
  options.cut_sets = all.sets;
  if (!looks.empty()) options.mirrored = &all.mirrored;
  if (heads::Kind pinned{}; build.demand.recipe.head && enum_from(*build.demand.recipe.head, pinned)) {
    options.kinds = {pinned};
  } else if (quick) {
    options.kinds = {heads::Kind::ridge, heads::Kind::discriminant};
  }
  SIGHTLINE_TRY(const heads::Choice choice, heads::choose_head(features, labels, groups, classes, options));
  FittedHead fitted;
  // In integers what stands in front of the join is not the number that stands behind it; columns that are not read weigh nothing then.
  const bool integers = backbone.about.precision == "int8" || backbone.about.precision == "mixed";
  const bool last_alone = choice.cut_set == 0U && !integers;
  const features::Cut* cut = last_alone ? &backbone.about.cuts.back() : nullptr;
  heads::Head head = choice.head;
  if (!looks.empty()) {
    fitted.look = static_cast<std::size_t>(all.sets[*choice.cut_set].look);
    head.columns.clear();  // all that the look says
    head.features = fitted.look > 0 ? looks[fitted.look - 1].backbone.dimensions : own_features.dim(1);
  }
  if (cut != nullptr) {  // it reads that value, and the package is without the others
    head.columns.clear();
    head.features = cut->width;
  }
  SIGHTLINE_TRY(const graph::Graph graph, heads::head_graph(head, cut != nullptr ? cut->value : features::value));
  fitted.graph = graph::serving_graph(graph);  // it is joined to the backbone's
  SIGHTLINE_TRY(const std::optional<package::Decisions> decisions,
                evaluation::fit_decisions(build.demand, heads::out_of_fold_of(choice), labels, "out of fold"));
  if (decisions) package::write_decisions(*decisions, fitted.graph);
  fitted.suspects = suspects_of(manifest, samples, choice);
  fitted.suspects.resize(std::min(fitted.suspects.size(), std::max<std::size_t>(least_suspects, samples.size() / 10)));
  fitted.figures = {{"kind", enum_name(choice.head.kind)},
                    {"setting", choice.candidates[choice.chosen].setting},
                    {"cuts", choice.candidates[choice.chosen].cuts},
                    {"out_of_fold_accuracy", choice.accuracy},
                    {"out_of_fold_balanced_accuracy", choice.balanced_accuracy},
                    {"reasons", Json::array({choice.sentence})}};
  const Tensor read = choice.head.columns.empty() ? features : heads::columns_of(features, choice.head.columns);
  SIGHTLINE_TRY(const Outlook outlook,
                outlook_of(build.demand.target, choice, read, labels, groups, manifest.classes, seed, build.options.report && !quick));
  fitted.outlook = to_json(outlook.sentences);
  fitted.estimate = to_json(outlook.estimate);
  fitted.estimate["recall"] = Json::array();
  return fitted;
}

graph::Graph joined(const graph::Graph& backbone, const graph::Graph& head) {
  graph::Graph graph = backbone;
  graph.nodes.insert(graph.nodes.end(), head.nodes.begin(), head.nodes.end());
  for (const auto& [name, tensor] : head.initializers) graph.initializers[name] = tensor;
  graph.outputs = head.outputs;
  graph.opset = std::max(graph.opset, head.opset);
  graph.metadata.insert(head.metadata.begin(), head.metadata.end());
  return graph::serving_graph(graph);  // without the cuts that the head does not read
}

bool is_balanced(const demand::Demand& demand) { return demand.target.metric == "macro_f1" || demand.target.metric == "balanced_accuracy"; }

line::Step backbone_step(const BuildContext& build) {
  line::Step step{.name = "backbone", .version = 2, .says = "read the network and cut it at its features"};
  const demand::Backbone& backbone = *build.demand.backbone;
  step.parameters = {
      {"cut", demand::cuts_of(build.demand)}, {"neck", to_json(build.demand.recipe.neck)}, {"mean", to_json(backbone.mean)},
      {"scale", to_json(backbone.scale)},     {"side", to_json(build.demand.recipe.side)}, {"licence", to_json(backbone.licence)},
      {"origin", to_json(backbone.origin)}};
  if (build.escalates()) step.parameters["tuned"] = true;  // the last cut alone
  step.environment = {{"import", modules::import_version}};
  step.inputs = {{.name = "file", .digest = build.backbone}};
  step.outputs = {"backbone"};
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const CutNetwork imported, cut_network(build.demand));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(imported.graph));
    context.figure("parameters", cost.parameters);
    context.figure("mflops", std::round(static_cast<double>(cost.flops) / 1e4) / 100);
    context.figure("features", imported.graph.outputs[0].shape[1]);
    context.figure("reasons", to_json(imported.about.reasons));
    SIGHTLINE_TRY(const std::string folder, context.fresh_folder("backbone"));
    SIGHTLINE_CHECK(features::write_backbone(imported.graph, imported.about, folder));
    return context.put_folder("backbone", folder);
  };
  return step;
}

line::Step head_step(const BuildContext& build) { return head_step_on(build, "head", "backbone"); }

line::Step head_step_on(const BuildContext& build, const std::string& name, const std::string& backbone_step) {
  line::Step step{.name = name, .version = 3, .says = "fit the head on what the backbone says of the pictures"};
  step.parameters = {{"seed", build.demand.seed}, {"limits", to_json(build.demand.limits)}, {"target", to_json(build.demand.target)}};
  if (!build.options.report) step.parameters["report"] = false;  // what would be needed is not worked out either
  step.environment = machine_environment(build.threads);
  step.environment["heads"] = heads::version;
  step.parameters["cuts"] = demand::cuts_of(build.demand);
  step.parameters["head"] = to_json(build.demand.recipe.head);
  add_decisions(build.demand, step.parameters);
  step.inputs = {{.name = "backbone", .step = backbone_step, .output = "backbone"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.parameters["side"] = to_json(build.demand.recipe.side);
  step.outputs = {"head", "history", "suspects", "backbone"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build, quick = backbone_step != "backbone"](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const auto source, source_of(build, context));
    const features::Backbone& backbone = source->backbone();
    SIGHTLINE_CHECK(keep_limits(build, backbone, static_cast<int>(manifest.classes.size())));

    const std::vector<std::int64_t> samples = samples_of(manifest, {dataset::Split::train, dataset::Split::validation});
    std::optional<Progress> progress;
    if (build.options.progress) progress.emplace("features", samples.size(), "images");
    features::Counts counts;
    SIGHTLINE_TRY(const Tensor features, features_of(*source, manifest, samples, progress ? &*progress : nullptr, &counts));
    if (progress) progress->finish();
    context.figure("features_computed", counts.computed);
    context.figure("features_reused", counts.reused);
    // With the thousands of columns of several cuts the convex head would take most of the time, and is not ahead.
    std::vector<Look> looks;
    Tensor mirrored;
    if (build.task->looks && !quick) {
      SIGHTLINE_TRY(looks, dearer_looks(build, *source, manifest, samples, context.workspace(), mirrored));
    }
    SIGHTLINE_TRY(const FittedHead fitted,
                  build.task->fit_head(build, {backbone, features, manifest, samples, quick, looks, looks.empty() ? nullptr : &mirrored}));
    context.figure("side", fitted.look == 0 ? backbone.side : looks[fitted.look - 1].backbone.side);
    for (const auto& [key, figure] : fitted.figures.items()) context.figure(key, figure);
    context.figure("outlook", fitted.outlook);
    SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(fitted.graph));
    SIGHTLINE_CHECK(context.put("head", onnx));
    SIGHTLINE_CHECK(context.put("suspects", json_text(to_json(fitted.suspects))));
    if (fitted.look == 0) {
      SIGHTLINE_CHECK(context.pass_on("backbone", "backbone"));
    } else {
      const features::Backbone& look = looks[fitted.look - 1].backbone;
      SIGHTLINE_TRY(const std::string folder, context.fresh_folder("backbone"));
      SIGHTLINE_CHECK(features::write_backbone(look.graph, look.about, folder));
      SIGHTLINE_CHECK(context.put_folder("backbone", folder));
    }
    const Json history = {{"schedule", nullptr}, {"epochs", Json::array()}, {"head", fitted.figures}, {"estimate", fitted.estimate}};
    return context.put("history", json_text(history, 1));
  };
  return step;
}

namespace {

// A network of its own: what a rung above the head made of the backbone.
Result<void> put_tuned_package(const BuildContext& build, line::StepContext& context, const dataset::Manifest& manifest,
                               const features::Backbone& backbone, const std::string& model) {
  SIGHTLINE_TRY(const std::optional<std::string> history_text, judged(context, "history"));
  SIGHTLINE_TRY(const Json history, parse_json(history_text.value_or("{}"), "history.json"));
  SIGHTLINE_TRY(const graph::Graph trained, graph::parse_onnx(model, "the model in force"));
  const Shape& input = trained.inputs[0].shape;
  package::Contents contents;
  contents.name = build.demand.name;
  contents.graph = graph::serving_graph(trained);
  contents.labels = manifest.classes;
  contents.preprocessing = {
      .width = static_cast<int>(input[2]), .height = static_cast<int>(input[1]), .channels = static_cast<int>(input[3])};
  contents.lineage = data_lineage(manifest);
  contents.lineage["weights"] = to_json(backbone.about);
  contents.lineage["weights"].erase("reasons");
  contents.lineage["weights"]["rung"] = history.value("rung", "");
  contents.lineage["weights"]["choice"] = history.value("choice", "");
  contents.lineage["recipe"] = history.value("recipe", Json::object());
  contents.lineage["recipe"]["backbone"] = backbone.about.file;
  contents.lineage["schedule"] = history.value("schedule", Json());
  contents.lineage["seed"] = build.demand.seed;
  contents.lineage["sightline"] = version;
  SIGHTLINE_TRY(contents.golden, choose_golden(manifest, golden_pictures));
  SIGHTLINE_TRY(const std::string parent, context.fresh_folder("package"));
  const std::string folder = parent + "/" + build.demand.name;
  SIGHTLINE_TRY(const double temperature, write_calibrated(build, contents, manifest, folder));
  context.figure("temperature", temperature);
  SIGHTLINE_TRY(const std::uint64_t size, package::shipped_size(folder));
  context.figure("size_bytes", size);
  return context.put_folder("package", folder);
}

}  // namespace

line::Step shared_package_step(const BuildContext& build) {
  line::Step step{.name = "package", .version = 1, .says = "join backbone and head, write, reopen and verify the package"};
  step.parameters = {{"name", build.demand.name}, {"licence", build.demand.data.licence}, {"origin", build.demand.data.origin}};
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "backbone", .step = "head", .output = "backbone"},
                 {.name = "head", .step = "head", .output = "head"},
                 {.name = "history", .step = "head", .output = "history"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  if (build.escalates()) add_judged_inputs(step, {"model", "history"});
  step.outputs = {"package"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const InForce now, in_force(context));
    SIGHTLINE_TRY(const auto source, source_of(build, context, now.backbone));
    const features::Backbone& backbone = source->backbone();
    if (!now.model.empty()) return put_tuned_package(build, context, manifest, backbone, now.model);
    SIGHTLINE_TRY(const graph::Graph head, graph::read_onnx(context.input_path(now.head)));
    SIGHTLINE_TRY(const std::string history_text, context.read_input(now.history));
    SIGHTLINE_TRY(const Json history, parse_json(history_text, "history.json"));
    package::Contents contents;
    contents.name = build.demand.name;
    contents.task = build.demand.task;
    contents.graph = joined(backbone.graph, head);
    contents.labels = manifest.classes;
    contents.preprocessing = preprocessing_of(backbone);
    if (!enum_from(backbone.about.precision, contents.precision))
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: its features are in \"{}\", which is no precision", backbone.about.file, backbone.about.precision)};
    contents.shared = {.path = backbone.weights_path, .offsets = backbone.offsets};
    contents.lineage = data_lineage(manifest);
    contents.lineage["weights"] = to_json(backbone.about);
    contents.lineage["weights"].erase("reasons");
    contents.lineage["weights"]["head"] = "fitted here";
    contents.lineage["recipe"] = {
        {"backbone", backbone.about.file}, {"side", backbone.side}, {"head", history.value("head", Json::object())}};
    SIGHTLINE_CHECK(put_decisions(contents));
    contents.lineage["seed"] = build.demand.seed;
    contents.lineage["sightline"] = version;
    SIGHTLINE_TRY(contents.golden, choose_golden(manifest, golden_pictures));
    SIGHTLINE_TRY(const std::string parent, context.fresh_folder("package"));
    const std::string folder = parent + "/" + build.demand.name;
    SIGHTLINE_CHECK(package::write_package(contents, folder));
    SIGHTLINE_TRY(const std::uint64_t size, package::shipped_size(folder));
    context.figure("size_bytes", size);
    SIGHTLINE_TRY(const auto files, context.workspace().blobs().tree(context.input(now.backbone)));
    return context.put_folder("package", folder, {{package::shared_file, files.at(features::weights_file)}});
  };
  return step;
}

line::Step shared_evaluate_step(const BuildContext& build) {
  line::Step step{.name = "evaluate", .version = 2, .says = "measure the package on the untouched test split"};
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "package", .step = "compress", .output = "package"},
                 {.name = "backbone", .step = "head", .output = "backbone"},
                 {.name = "head", .step = "head", .output = "head"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  if (build.escalates()) add_judged_inputs(step, {"model"});
  step.outputs = {"evaluation"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const InForce now, in_force(context));
    SIGHTLINE_TRY(const auto source, source_of(build, context, now.backbone));
    const features::Backbone& backbone = source->backbone();
    SIGHTLINE_TRY(const graph::Graph head, graph::read_onnx(context.input_path(now.head)));
    SIGHTLINE_TRY(const std::string parent, context.fresh_folder("package"));
    const std::string folder = parent + "/" + build.demand.name;
    SIGHTLINE_CHECK(context.workspace().blobs().materialize(context.input("package"), folder));
    SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.threads = build.threads, .check_golden = false}));

    evaluation::Options options{.split = dataset::Split::test, .threads = build.threads, .progress = build.options.progress};
    options.latency_runs = build.options.latency_runs;
    evaluation::Answers answers;
    answers.samples = samples_of(manifest, {dataset::Split::test});
    answers.labels = labels_of(manifest, answers.samples);
    // In another precision than the backbone's it has other features, and so has a net that was tuned: all pictures go through the package.
    if (build.classifies() && enum_name(model.precision()) == backbone.about.precision && now.model.empty()) {
      std::optional<Progress> progress;
      if (build.options.progress) progress.emplace("features", answers.samples.size(), "images");
      SIGHTLINE_TRY(const Tensor features, features_of(*source, manifest, answers.samples, progress ? &*progress : nullptr));
      if (progress) progress->finish();
      SIGHTLINE_TRY(runtime::Session session,
                    runtime::Session::create(head, {.threads = build.threads, .precision = features::computed_in(backbone.about)}));
      SIGHTLINE_TRY(const ColumnRange read, columns_read(backbone, head));
      SIGHTLINE_TRY(answers.probabilities, session.run(columns_of(features, read)));
      SIGHTLINE_TRY(answers.seconds, check_package(model, manifest, answers));
      options.answers = &answers;
    }
    SIGHTLINE_TRY(const evaluation::Evaluation evaluation, evaluation::evaluate(model, manifest, folder, options));
    return put_evaluation(context, evaluation);
  };
  return step;
}

}  // namespace sightline::factory
