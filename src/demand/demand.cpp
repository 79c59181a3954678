#include "demand/demand.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <regex>

#include "base/files.h"
#include "base/yaml.h"
#include "demand/composition.h"
#include "tasks/tasks.h"

namespace sightline::demand {
namespace {

// The node at "target.at_least", or the deepest one above it that the file has: what an error's line points to.
const YamlNode& node_at(const YamlNode& root, std::string_view path) {
  const YamlNode* node = &root;
  for (const std::string& key : sightline::split(path, '.')) {
    const YamlNode* next = node->find(key);
    if (next == nullptr) break;
    node = next;
  }
  return *node;
}

struct Range {
  double low, high;  // both allowed
};

Result<void> within(const YamlNode& root, const char* path, double value, Range range, const char* advice) {
  if (value >= range.low && value <= range.high) return {};
  return node_at(root, path)
      .error(fmt::format("{} is {}, but must lie between {} and {}{}{}", path, value, range.low, range.high, *advice ? "; " : "", advice));
}

Result<void> one_of(const YamlNode& root, const char* path, const std::string& value, const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), value) != names.end()) return {};
  return node_at(root, path)
      .error(fmt::format("{} is \"{}\", but must be one of {}{}", path, value, join(names, ", "), did_you_mean(value, names)));
}

Result<void> check_name(const YamlNode& root, const std::string& name) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; };
  if (!name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed)) return {};
  return node_at(root, "name")
      .error(fmt::format("name is \"{}\", but must be 1 to 64 letters, digits, - and _: it names folders and the served model", name));
}

Result<void> check_split(const YamlNode& root, const SplitPlan& split) {
  SIGHTLINE_CHECK(within(root, "split.validation", split.validation, {0.01, 0.5}, ""));
  SIGHTLINE_CHECK(within(root, "split.test", split.test, {0.01, 0.8}, ""));
  if (split.validation + split.test > 0.9)
    return node_at(root, "split").error("split.validation and split.test leave less than a tenth for training");
  if ((split.group_by == GroupBy::pattern) != split.pattern.has_value()) {
    return node_at(root, "split").error("group_by: pattern and a pattern go together, like {group_by: pattern, pattern: \"^(.*)_[0-9]+\"}");
  }
  if ((split.group_by == GroupBy::column) != split.column.has_value()) {
    return node_at(root, "split").error("group_by: column and a column go together, like {group_by: column, column: patient}");
  }
  if (split.pattern) {
    try {
      const std::regex compiled(*split.pattern);
      if (compiled.mark_count() < 1)
        return node_at(root, "split.pattern").error("the pattern needs a group in round brackets; what it matches names the group");
    } catch (const std::regex_error& e) {
      return node_at(root, "split.pattern").error(fmt::format("not a regular expression (ECMAScript): {}", e.what()));
    }
  }
  return {};
}

Result<void> check_pairs(const YamlNode& root, const Demand& demand) {
  if (demand.data.pairs.has_value() != !demand.split.test_folds.empty())
    return node_at(root, demand.data.pairs ? "data.pairs" : "split.test_folds")
        .error(
            "data.pairs and split.test_folds go together: whose identities are tested, and by which pairs, like data: {…, pairs: "
            "pairs.txt} and split: {test_folds: [9, 10]}");
  for (const int fold : demand.split.test_folds) SIGHTLINE_CHECK(within(root, "split.test_folds", fold, {1, 1000}, "folds count from 1"));
  return {};
}

Result<void> check_budget(const YamlNode& root, const Budget& budget) {
  if (budget.epochs && budget.minutes) return node_at(root, "budget").error("give epochs or minutes, not both");
  if (budget.epochs) SIGHTLINE_CHECK(within(root, "budget.epochs", *budget.epochs, {1, 100000}, ""));
  if (budget.minutes) SIGHTLINE_CHECK(within(root, "budget.minutes", *budget.minutes, {0.02, 100000}, ""));
  return {};
}

Result<void> check_search(const YamlNode& root, const Demand& demand) {
  if (!demand.search) return {};
  if (node_at(root, "search").find("minutes") == nullptr)
    return node_at(root, "search").error("search.minutes is missing; say how long it may take, like search: {minutes: 5}");
  SIGHTLINE_CHECK(within(root, "search.minutes", demand.search->minutes, {0.02, 100000}, ""));
  if (root.find("budget") != nullptr)
    return node_at(root, "budget").error("budget and search: search.minutes says how long all of it may take; drop budget");
  return {};
}

Result<void> check_cuts(const YamlNode& root, const char* path, const std::vector<std::string>& cuts) {
  const auto error = [&](const std::string& what) {
    return node_at(root, path).error(fmt::format("{} {}; write auto, words like [early, middle, last], or names of values", path, what));
  };
  if (cuts.empty() || std::ranges::count(cuts, "") > 0) return error("is empty");
  for (const std::string& cut : cuts) {
    if (std::ranges::count(cuts, cut) > 1) return error(fmt::format("names \"{}\" twice", cut));
    if ((cut == "auto" || cut == "all") && cuts.size() > 1) return error(fmt::format("has \"{}\" beside others; it stands alone", cut));
  }
  return {};
}

std::vector<std::string> losses_of(const std::string& task) {
  if (task == "embed") return {"softmax", "cosface", "arcface", "adaface", "contrastive", "triplet", "deepid2"};
  return {"cross_entropy", "balanced_cross_entropy", "class_balanced", "focal"};
}

Result<void> check_recipe(const YamlNode& root, const std::string& task, const RecipePins& recipe) {
  if (recipe.side) SIGHTLINE_CHECK(within(root, "recipe.side", *recipe.side, {8, 1024}, "it is the input's side in pixels"));
  if (recipe.batch) SIGHTLINE_CHECK(within(root, "recipe.batch", *recipe.batch, {2, 65536}, ""));
  if (recipe.learning_rate) SIGHTLINE_CHECK(within(root, "recipe.learning_rate", *recipe.learning_rate, {1e-7, 100}, ""));
  if (recipe.cut) SIGHTLINE_CHECK(check_cuts(root, "recipe.cut", *recipe.cut));
  if (recipe.head)
    SIGHTLINE_CHECK(one_of(root, "recipe.head", *recipe.head,
                           {"linear", "ridge", "discriminant", "logistic", "nearest_mean", "random_features", "memory_bank", "placed_bank",
                            "gaussian_field", "pooled_field"}));
  if (recipe.loss) SIGHTLINE_CHECK(one_of(root, "recipe.loss", *recipe.loss, losses_of(task)));
  if (recipe.smoothing) SIGHTLINE_CHECK(within(root, "recipe.smoothing", *recipe.smoothing, {0, 0.5}, "it is a share"));
  if (recipe.optimizer) SIGHTLINE_CHECK(one_of(root, "recipe.optimizer", *recipe.optimizer, {"sgd", "adamw"}));
  if (recipe.schedule) SIGHTLINE_CHECK(one_of(root, "recipe.schedule", *recipe.schedule, {"one_cycle", "cosine"}));
  if (recipe.weight_decay) SIGHTLINE_CHECK(within(root, "recipe.weight_decay", *recipe.weight_decay, {0, 1}, ""));
  if (recipe.neck) SIGHTLINE_CHECK(one_of(root, "recipe.neck", *recipe.neck, {"average", "max", "generalised_mean"}));
  if (recipe.augmentation)
    SIGHTLINE_CHECK(one_of(root, "recipe.augmentation", *recipe.augmentation,
                           {"none", "flip", "light", "strong", "light_unflipped", "strong_unflipped", "mosaic", "text"}));
  return {};
}

Result<void> check_numbers(const YamlNode& root, const char* path, const std::vector<double>& numbers, double least) {
  if (numbers.size() != 1 && numbers.size() != 3)
    return node_at(root, path).error(fmt::format("{} wants one number, or one per channel", path));
  for (const double number : numbers) SIGHTLINE_CHECK(within(root, path, number, {least, 1e6}, "it is on the 0..255 scale"));
  return {};
}

Result<void> check_backbone(const YamlNode& root, const Demand& demand) {
  if (!demand.backbone) return {};
  const Backbone& backbone = *demand.backbone;
  const YamlNode& node = node_at(root, "backbone");
  const auto given = [&](const char* key) { return node.find(key) != nullptr; };
  const int sources = (backbone.name ? 1 : 0) + (backbone.onnx ? 1 : 0) + (backbone.weights ? 1 : 0);
  if (sources != 1)
    return node.error(
        "backbone wants one of name (a network of the workspace), onnx (a whole network) and weights (for the net that recipe.backbone "
        "names), like {onnx: net.onnx}");
  if ((backbone.onnx || backbone.name) && demand.recipe.backbone)
    return node_at(root, "recipe.backbone").error("recipe.backbone and backbone both name the network; drop one of them");
  for (const char* key : {"cut", "mean", "scale"})
    if (backbone.name && given(key))
      return node_at(root, std::string("backbone.") + key).error(fmt::format("backbone.{} was settled when the network was imported", key));
  if (backbone.weights && !demand.recipe.backbone)
    return node.error(
        "backbone.weights are for a net of ours; name it, like recipe: {backbone: resnet-s} (`sightline modules` lists them)");
  for (const char* key : {"cut", "freeze", "mean", "scale"})
    if (backbone.weights && given(key))
      return node_at(root, std::string("backbone.") + key).error(fmt::format("backbone.{} goes with backbone.onnx", key));
  if (given("cut") && demand.recipe.cut)
    return node_at(root, "recipe.cut").error("recipe.cut and backbone.cut both say what the head reads; drop one of them");
  SIGHTLINE_CHECK(check_cuts(root, "backbone.cut", backbone.cut));
  if (backbone.mean) SIGHTLINE_CHECK(check_numbers(root, "backbone.mean", *backbone.mean, -1e6));
  if (backbone.scale) SIGHTLINE_CHECK(check_numbers(root, "backbone.scale", *backbone.scale, 1e-6));
  return {};
}

Result<void> check_answers(const YamlNode& root, const Demand& demand) {
  if (demand.decide && demand.decide->precision) {
    SIGHTLINE_CHECK(within(root, "decide.precision", *demand.decide->precision, {0.01, 0.9999}, "write 95% as 0.95"));
    if (demand.decide->thresholds == Thresholds::none)
      return node_at(root, "decide.precision").error("decide.precision goes with decide.thresholds: per_class");
  }
  if (demand.prediction_sets)
    SIGHTLINE_CHECK(within(root, "prediction_sets.coverage", demand.prediction_sets->coverage, {0.01, 0.9999}, "write 90% as 0.9"));
  if (demand.alarm) SIGHTLINE_CHECK(within(root, "alarm.false_alarms", demand.alarm->false_alarms, {0.0001, 0.5}, "write 5% as 0.05"));
  return {};
}

Result<void> check_values(const YamlNode& root, const Demand& demand) {
  SIGHTLINE_CHECK(check_name(root, demand.name));
  if (demand.data.path.empty())
    return node_at(root, "data").error("data.path is missing; add the folder of images, like data: {path: images}");
  if (demand.task == "attributes" && !demand.data.attributes)
    return node_at(root, "data")
        .error("data.attributes is missing; name the columns that are asked, like data: {path: photos, attributes: [colour, damaged]}");
  SIGHTLINE_CHECK(one_of(root, "data.format", demand.data.format,
                         {"auto", "folders", "idx", "csv", "mvtec", "pictures", "coco", "yolo", "voc", "texts", "masks", "landmarks"}));
  SIGHTLINE_CHECK(within(root, "data.max_rejected", demand.data.max_rejected, {0, 1}, "it is a share"));
  SIGHTLINE_CHECK(within(root, "data.frames.every_s", demand.data.frames.every_s, {0.001, 1e6}, "10 frames a second are every_s: 0.1"));
  SIGHTLINE_CHECK(within(root, "data.frames.at_most", demand.data.frames.at_most, {1, 1000000}, ""));
  SIGHTLINE_CHECK(check_split(root, demand.split));
  SIGHTLINE_CHECK(check_pairs(root, demand));
  SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(demand.task));
  SIGHTLINE_CHECK(one_of(root, "target.metric", demand.target.metric, tasks::names_of(task->metrics)));
  const auto metric = std::ranges::find(task->metrics, demand.target.metric, &tasks::Metric::name);
  SIGHTLINE_CHECK(
      within(root, "target.at_least", demand.target.at_least, {0, metric->most}, metric->most > 1 ? "" : "write 92.5% as 0.925"));
  if (demand.limits.latency_ms) SIGHTLINE_CHECK(within(root, "limits.latency_ms", *demand.limits.latency_ms, {0.001, 1e6}, ""));
  if (demand.limits.size_mb) SIGHTLINE_CHECK(within(root, "limits.size_mb", *demand.limits.size_mb, {0.001, 1e6}, ""));
  SIGHTLINE_CHECK(within(root, "limits.cores", demand.limits.cores, {0, 1024}, "0 means all"));
  SIGHTLINE_CHECK(one_of(root, "compress.precision", demand.compress.precision, {"f32", "auto", "bf16", "mixed", "int8"}));
  SIGHTLINE_CHECK(
      within(root, "compress.tolerance", demand.compress.tolerance, {0, 100}, "it is in points: 0.5 is half a percent of the images"));
  SIGHTLINE_CHECK(one_of(root, "compress.method", demand.compress.method, {"percentile", "entropy"}));
  SIGHTLINE_CHECK(within(root, "compress.calibration_images", demand.compress.calibration_images, {8, 100000}, ""));
  SIGHTLINE_CHECK(check_budget(root, demand.budget));
  SIGHTLINE_CHECK(check_search(root, demand));
  SIGHTLINE_CHECK(check_recipe(root, demand.task, demand.recipe));
  SIGHTLINE_CHECK(check_answers(root, demand));
  if (demand.read)
    for (const std::string& format : demand.read->formats)
      if (const auto status = tasks::TextFormats::check(format); !status.ok())
        return node_at(root, "read.formats").error("read.formats: " + status.error().message);
  if (demand.restore)
    if (const auto status = tasks::settled(*demand.restore); !status.ok()) return node_at(root, "restore").error(status.error().message);
  SIGHTLINE_CHECK(check_backbone(root, demand));
  return check_composition(root, demand);
}

}  // namespace

std::vector<std::string> cuts_of(const Demand& demand) {
  if (demand.recipe.cut) return *demand.recipe.cut;
  return demand.backbone ? demand.backbone->cut : std::vector<std::string>{"auto"};
}

Result<Demand> demand_from(const YamlNode& root) {
  if (root.kind != YamlNode::Kind::map) {
    return root.error("a demand is wanted: lines of \"key: value\" with at least name, task and data (`sightline init DIR` writes one)");
  }
  Demand demand;
  SIGHTLINE_CHECK(read_yaml(root, demand));
  for (const char* key : {"name", "task", "data"}) {
    if (root.find(key) == nullptr) return root.error(fmt::format("\"{}\" is missing; name, task and data must be given", key));
  }
  const Result<const tasks::Task*> task = tasks::find_task(demand.task);
  if (!task.ok()) return node_at(root, "task").error(fmt::format("task: {}", task.error().message));
  if (const YamlNode* target = root.find("target"); target == nullptr || target->find("metric") == nullptr)
    demand.target.metric = (*task)->metrics.front().name;
  SIGHTLINE_CHECK(check_values(root, demand));
  return demand;
}

Result<void> settle_paths(const YamlNode& root, const std::string& folder, Demand& demand) {
  const auto settle = [&](const char* key, std::string& value) -> Result<void> {
    if (std::filesystem::path(value).is_relative()) value = absolute_path((std::filesystem::path(folder) / value).string());
    if (path_exists(value)) return {};
    Error error = node_at(root, key).error(fmt::format("{}: there is no {}; relative paths start at the demand's folder", key, value));
    error.kind = ErrorKind::not_found;
    return error;
  };
  SIGHTLINE_CHECK(settle("data.path", demand.data.path));
  // A table that does not lie in the data's folder lies beside the demand.
  if (demand.data.labels && !path_exists(demand.data.path + "/" + *demand.data.labels))
    SIGHTLINE_CHECK(settle("data.labels", *demand.data.labels));
  if (demand.data.pairs && !path_exists(demand.data.path + "/" + *demand.data.pairs))
    SIGHTLINE_CHECK(settle("data.pairs", *demand.data.pairs));
  if (demand.data.symbols) SIGHTLINE_CHECK(settle("data.symbols", *demand.data.symbols));
  if (demand.backbone && demand.backbone->onnx) SIGHTLINE_CHECK(settle("backbone.onnx", *demand.backbone->onnx));
  if (demand.backbone && demand.backbone->weights) SIGHTLINE_CHECK(settle("backbone.weights", *demand.backbone->weights));
  return {};
}

Result<Demand> parse_demand(const std::string& text, const std::string& source) {
  SIGHTLINE_TRY(const YamlNode root, parse_yaml(text, source));
  return demand_from(root);
}

Result<Demand> read_demand(const std::string& path) {
  SIGHTLINE_TRY(const std::string text, read_file(path));
  SIGHTLINE_TRY(const YamlNode root, parse_yaml(text, path));
  SIGHTLINE_TRY(Demand demand, demand_from(root));
  SIGHTLINE_CHECK(settle_paths(root, std::filesystem::path(path).parent_path().string(), demand));
  return demand;
}

}  // namespace sightline::demand
