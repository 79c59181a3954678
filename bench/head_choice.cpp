// sightline-head-choice MODEL.onnx TASKS FOLDER…: which head is best on frozen features, and what the figures of docs/heads.md are worth.
// Each folder holds a set as class folders (or files CLASS_NUMBER.jpg). TASKS tasks a set and size are drawn: 2 to 6 of its classes, 5, 15
// or 50 training pictures of each, at most 150 others of each class to test. Prints balanced accuracies, what was estimated before the test
// and how often its interval held; then what images_needed makes of 16 and 30 pictures a class when four times as many are known.
// With CUTS=1 in the environment instead: the last cut of the network alone against all of its cuts together and against the choice.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/random.h"
#include "evaluation/conformal.h"
#include "evaluation/cross_validation.h"
#include "factory/small_data.h"
#include "graph/graph.h"
#include "heads/choose.h"
#include "image/image.h"
#include "modules/imported.h"
#include "runtime/session.h"

namespace {

using namespace sightline;
namespace fs = std::filesystem;
using heads::Kind;

struct Set {
  std::string name;
  Tensor features;                                 // f32 N×D
  std::vector<std::vector<std::int64_t>> members;  // rows by class
};

Result<Set> read_set(runtime::Session& session, const modules::ImportedClassifier& model, const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink))
    if (const std::string kind = entry.path().extension().string(); kind == ".jpg" || kind == ".jpeg" || kind == ".png")
      files.push_back(entry.path());
  std::ranges::sort(files);
  // A mask beside its picture is none.
  std::erase_if(files,
                [](const fs::path& file) { return file.extension() == ".png" && fs::exists(fs::path(file).replace_extension(".jpg")); });
  Set set{.name = fs::path(folder).filename().string()};
  std::map<std::string, std::size_t> classes;
  std::vector<float> values;
  std::int64_t row = 0;
  for (const fs::path& file : files) {
    std::string name = file.parent_path().filename().string();
    if (file.parent_path() == fs::path(folder)) name = file.stem().string().substr(0, file.stem().string().rfind('_'));
    SIGHTLINE_TRY(const std::string bytes, read_file(file.string()));
    SIGHTLINE_TRY(const image::Image picture, image::decode(std::as_bytes(std::span(bytes)), {.channels = model.channels}));
    const image::Image small = image::resize(picture, model.side, model.side);
    Tensor pixels(Dtype::u8, {1, model.side, model.side, model.channels});
    std::ranges::copy(small.pixels, pixels.values<std::uint8_t>().begin());
    SIGHTLINE_TRY(const Tensor features, session.run(pixels));
    values.insert(values.end(), features.values<float>().begin(), features.values<float>().end());
    const std::size_t label = classes.emplace(name, classes.size()).first->second;
    if (label == set.members.size()) set.members.emplace_back();
    set.members[label].push_back(row++);
  }
  set.features = Tensor::of<float>({row, model.features}, values);
  return set;
}

struct Task {
  Tensor train, test;
  std::vector<std::int32_t> labels, wanted;
  int classes = 0;
};

// Of classes with more than `least` pictures; `reserve` of each are passed over between training and test.
Task draw(const Set& set, std::int64_t size, std::int64_t reserve, std::int64_t least, Random random) {
  std::vector<std::vector<std::int64_t>> members;
  for (const auto& each : set.members)
    if (static_cast<std::int64_t>(each.size()) > least) members.push_back(each);
  random.shuffle(members);
  members.resize(std::min<std::size_t>(members.size(), 2 + random.below(5)));
  Task task{.classes = static_cast<int>(members.size())};
  std::vector<std::int64_t> train, test;
  for (std::size_t c = 0; c < members.size(); ++c) {
    random.shuffle(members[c]);
    const auto count = static_cast<std::int64_t>(members[c].size());
    const std::int64_t taken = std::min(size, count * 2 / 3), first = taken + reserve, last = std::min(count, first + 150);
    for (std::int64_t i = 0; i < taken; ++i) train.push_back(members[c][static_cast<std::size_t>(i)]);
    task.labels.insert(task.labels.end(), static_cast<std::size_t>(taken), static_cast<std::int32_t>(c));
    for (std::int64_t i = first; i < last; ++i) test.push_back(members[c][static_cast<std::size_t>(i)]);
    task.wanted.insert(task.wanted.end(), static_cast<std::size_t>(std::max<std::int64_t>(0, last - first)), static_cast<std::int32_t>(c));
  }
  const auto rows = [&](const std::vector<std::int64_t>& chosen) {
    Tensor some(Dtype::f32, {static_cast<std::int64_t>(chosen.size()), set.features.dim(1)});
    for (std::size_t i = 0; i < chosen.size(); ++i)
      std::ranges::copy(set.features.rows(chosen[i], chosen[i] + 1).values<float>(),
                        some.values<float>().begin() + static_cast<std::ptrdiff_t>(i) * set.features.dim(1));
    return some;
  };
  task.train = rows(train);
  task.test = rows(test);
  return task;
}

std::vector<std::int64_t> cut_widths;  // of the features

double balanced_accuracy(const Tensor& scores, const std::vector<std::int32_t>& wanted) {
  std::vector<std::string> names(static_cast<std::size_t>(scores.dim(1)));
  return tasks::measure(scores, wanted, names).balanced_accuracy;
}

using Row = std::map<std::string, double>;

Result<void> compete(const Task& task, Row& sum) {
  for (const Kind kind : {Kind::ridge, Kind::discriminant, Kind::logistic, Kind::nearest_mean}) {
    SIGHTLINE_TRY(const heads::Choice only,
                  heads::choose_head(task.train, task.labels, {}, task.classes, {.kinds = {kind}, .balanced = true}));
    sum[enum_name(kind)] += balanced_accuracy(heads::scores_of(only.head, task.test), task.wanted);
  }
  SIGHTLINE_TRY(const heads::LinearHead fixed, heads::fit_logistic(task.train, task.labels, task.classes, 1e-2));
  sum["logistic, penalty 0.01"] += balanced_accuracy(heads::scores_of(fixed, task.test), task.wanted);
  const auto begin = std::chrono::steady_clock::now();
  SIGHTLINE_TRY(const heads::Choice choice, heads::choose_head(task.train, task.labels, {}, task.classes, {.balanced = true}));
  sum["milliseconds to choose"] += 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double truth = balanced_accuracy(heads::scores_of(choice.head, task.test), task.wanted);
  sum["chosen"] += truth;
  sum["chosen, estimated before"] += choice.balanced_accuracy;
  SIGHTLINE_TRY(const evaluation::CrossValidated estimate, evaluation::cross_validated(choice.scores, task.labels));
  const evaluation::Interval& interval = estimate.balanced_accuracy.interval;
  sum["interval held"] += interval.low <= truth && truth <= interval.high ? 1 : 0;
  sum["interval too high"] += truth < interval.low ? 1 : 0;
  const Tensor probabilities = heads::probabilities_of(choice.head, task.test);
  SIGHTLINE_TRY(const evaluation::Conformal sets, evaluation::calibrate_conformal(heads::out_of_fold_of(choice), task.labels, 0.9));
  const auto k = static_cast<std::size_t>(task.classes);
  double covered = 0;
  for (std::size_t i = 0; i < task.wanted.size(); ++i)
    covered +=
        std::ranges::count(evaluation::prediction_set(sets, probabilities.values<float>().subspan(i * k, k)), task.wanted[i]) > 0 ? 1 : 0;
  sum["90% sets cover"] += covered / static_cast<double>(task.wanted.size());
  sum["tasks"] += 1;
  return {};
}

// Sets of cuts by the balanced accuracy on untouched pictures.
Result<void> compete_in_cuts(const Task& task, Row& sum) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < cut_widths.size(); ++i) all.push_back(i);
  const heads::CutSet last{"last", {cut_widths.size() - 1}}, middle{"middle and last", {cut_widths.size() - 2, cut_widths.size() - 1}},
      every{"all", all};
  const auto choice_of = [&](const std::string& name, const heads::ChooseOptions& options) -> Result<void> {
    const auto begin = std::chrono::steady_clock::now();
    SIGHTLINE_TRY(const heads::Choice choice, heads::choose_head(task.train, task.labels, {}, task.classes, options));
    sum[name + ", ms"] += 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    sum[name] += balanced_accuracy(heads::scores_of(choice.head, task.test), task.wanted);
    if (options.cut_sets.size() > 1) sum[name + ", all taken"] += *choice.cut_set == 1 ? 1 : 0;
    return {};
  };
  for (const heads::CutSet& set : {last, middle, every})
    SIGHTLINE_CHECK(choice_of(set.name, {.balanced = true, .cut_widths = cut_widths, .cut_sets = {set}}));
  SIGHTLINE_CHECK(choice_of("all, kept columns too",
                            {.balanced = true, .cut_widths = cut_widths, .cut_sets = {every}, .keep = {256, 768}, .standard_errors = 1}));
  for (const double errors : {0.0, 1.0, 2.0})
    SIGHTLINE_CHECK(
        choice_of(fmt::format("chosen by {} standard errors", errors),
                  {.balanced = true, .cut_widths = cut_widths, .cut_sets = {last, every}, .standard_errors = errors, .threads = 2}));
  sum["tasks"] += 1;
  return {};
}

Result<void> extrapolate(const Set& set, std::int64_t size, Random random, Row& sum) {
  const Task few = draw(set, size, 3 * size, 6 * size, random), many = draw(set, 4 * size, 0, 6 * size, random);
  if (few.classes < 2 || many.classes != few.classes) return {};
  SIGHTLINE_TRY(const heads::RidgeFit fit, heads::fit_ridge_leave_one_out(many.train, many.labels, many.classes, true));
  const double target = balanced_accuracy(heads::scores_of(fit.head, many.test), many.wanted);
  if (target >= 1) return {};
  SIGHTLINE_TRY(const std::vector<heads::ErrorsAtSize> errors, heads::errors_by_training_size(few.train, few.labels, {}, few.classes));
  SIGHTLINE_TRY(const evaluation::LearningCurve curve, evaluation::fit_learning_curve(factory::curve_points(errors, -1)));
  const auto needed = evaluation::samples_needed(curve, 1 - target, static_cast<double>(size), "of each class");
  const auto truth = static_cast<double>(3 * size);
  sum["tasks"] += 1;
  sum["interval held"] += needed.interval.low <= truth && truth <= needed.interval.high ? 1 : 0;
  sum["called unreachable"] += needed.reachable || needed.reached ? 0 : 1;
  if (!needed.reachable || needed.reached) return {};
  sum["log ratio"] += std::log((needed.more + static_cast<double>(size)) / static_cast<double>(4 * size));
  sum["estimates"] += 1;
  return {};
}

// CPU time of one choice on samples of three classes, least of five.
Result<void> time_choices(std::int64_t dimensions) {
  for (const std::int64_t count : {40, 200, 1000}) {
    Tensor features(Dtype::f32, {count, dimensions});
    std::vector<std::int32_t> labels;
    for (std::int64_t i = 0; i < count; ++i) {
      Random random(1, static_cast<std::uint64_t>(i)), centre(2, static_cast<std::uint64_t>(i % 3));
      labels.push_back(static_cast<std::int32_t>(i % 3));
      for (std::int64_t j = 0; j < dimensions; ++j)
        features.values<float>()[static_cast<std::size_t>(i * dimensions + j)] = static_cast<float>(centre.normal() + 6 * random.normal());
    }
    double least = 1e9;
    for (int turn = 0; turn < 5; ++turn) {
      const std::clock_t begin = std::clock();
      SIGHTLINE_TRY(const heads::Choice choice, heads::choose_head(features, labels, {}, 3));
      least = std::min(least, 1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    fmt::print("{} x {} features of 3 classes: {:.1f} ms of CPU to choose a head\n", count, dimensions, least);
  }
  return {};
}

Result<void> run(const std::string& file, int tasks, const std::vector<std::string>& folders) {
  const bool cuts = std::getenv("CUTS") != nullptr;
  SIGHTLINE_TRY(const graph::Graph source, graph::read_onnx(file));
  SIGHTLINE_TRY(modules::ImportedClassifier model,
                modules::import_classifier(source, file, {.cuts = {cuts ? "all" : "auto"}, .classes = 2}));
  for (const modules::ImportedCut& cut : model.cuts) cut_widths.push_back(cut.width);
  model.graph.training_outputs.clear();
  model.graph.outputs = {{modules::features_value, Dtype::f32, {-1, model.features}, {}}};
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph::serving_graph(model.graph)));
  if (!cuts) SIGHTLINE_CHECK(time_choices(model.features));
  std::vector<Set> sets;
  for (const std::string& folder : folders) {
    SIGHTLINE_TRY(Set set, read_set(session, model, folder));
    fmt::print("{}: {} pictures, {} classes, {} features\n", set.name, set.features.dim(0), set.members.size(), set.features.dim(1));
    sets.push_back(std::move(set));
  }
  for (const std::int64_t size : {5, 15, 50}) {
    if (cuts) {
      for (std::size_t s = 0; s < sets.size(); ++s) {
        Row sum;
        for (int t = 0; t < tasks; ++t)
          SIGHTLINE_CHECK(
              compete_in_cuts(draw(sets[s], size, 0, 2, Random(s, static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(t))), sum));
        fmt::print("\n{}, {} pictures a class, {} tasks\n", sets[s].name, size, sum["tasks"]);
        for (const auto& [what, value] : sum)
          if (what != "tasks") fmt::print("  {:38} {:.3f}\n", what, value / sum["tasks"]);
      }
      continue;
    }
    Row sum;
    for (std::size_t s = 0; s < sets.size(); ++s)
      for (int t = 0; t < tasks; ++t)
        SIGHTLINE_CHECK(
            compete(draw(sets[s], size, 0, 2, Random(s, static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(t))), sum));
    fmt::print("\n{} pictures a class, {} tasks\n", size, sum["tasks"]);
    for (const auto& [what, value] : sum)
      if (what != "tasks") fmt::print("  {:26} {:.3f}\n", what, value / sum["tasks"]);
  }
  for (const std::int64_t size : {16, 30}) {
    if (cuts) break;
    Row sum;
    for (std::size_t s = 0; s < sets.size(); ++s)
      for (int t = 0; t < tasks; ++t)
        SIGHTLINE_CHECK(extrapolate(sets[s], size, Random(s, static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(t)), sum));
    fmt::print(
        "\nfrom {} pictures a class to what {} reach, {} tasks\n  interval held {:.2f}, called unreachable {:.2f}, estimate by truth "
        "{:.2f}\n",
        size, 4 * size, sum["tasks"], sum["interval held"] / sum["tasks"], sum["called unreachable"] / sum["tasks"],
        std::exp(sum["log ratio"] / std::max(1.0, sum["estimates"])));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: sightline-head-choice MODEL.onnx TASKS FOLDER…\n");
    return 2;
  }
  const auto status = run(argv[1], std::atoi(argv[2]), {argv + 3, argv + argc});
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.error().message);
  return exit_code_of(status.error().kind);
}
