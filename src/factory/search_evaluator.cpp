#include "factory/search_evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time_limit.h"
#include "evaluation/decisions.h"
#include "factory/feature_sources.h"
#include "factory/recipe.h"
#include "factory/small_data.h"
#include "factory/step_inputs.h"
#include "heads/choose.h"
#include "line/worker.h"
#include "modules/imported.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array frozen_shares{1.0 / 9, 1.0 / 3, 1.0};
constexpr std::array tuned_epochs{1, 3, 9};
constexpr std::array scratch_epochs{1, 3, 9, 27};
// A share of the training pictures never has fewer of a class than this (or all).
constexpr std::int64_t least_of_a_class = 8;
// Between looks at the clock, while features are computed.
constexpr std::size_t pictures_at_once = 128;
constexpr std::int64_t batch = 16;
// The worker is asked to stop so long before the time is up, and killed so long after that.
constexpr double before_the_end = 1.0, grace = 0.5;
// Of the logistic head that tuning begins with.
constexpr double probe_penalty = 1e-2;
// Before anything of a candidate is known: what training reaches here at best, operations a second. Who cannot even do an epoch at this
// speed is not begun.
constexpr double best_training_speed = 2e11;
constexpr std::size_t timed_pictures = 16;
// Fitting heads, for each unit of work_of: what it takes on a machine that is not busy. Small fits say nothing of large ones.
constexpr double usual_seconds_per_work = 2e-10, least_telling_work = 2e8;

Clock::time_point moment_in(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

double seconds_until(Clock::time_point until) { return std::chrono::duration<double>(until - Clock::now()).count(); }

// Of the eigendecomposition and the products that heads need for features N×D.
double work_of(const Tensor& features) {
  const auto n = static_cast<double>(features.dim(0)), m = std::min(n, static_cast<double>(features.dim(1)));
  return n * m * m + 4 * m * m * m;
}

// "chosen" leaves the list of kinds as the line has it.
heads::ChooseOptions head_options(const BuildContext& build, const features::Backbone& backbone, const std::string& head) {
  heads::ChooseOptions options{
      .balanced = is_balanced(build.demand), .seed = static_cast<std::uint64_t>(build.demand.seed), .threads = build.threads};
  heads::Kind kind = heads::Kind::ridge;
  if (enum_from(head, kind)) options.kinds = {kind};
  if (backbone.about.cuts.size() < 2) return options;
  for (const features::Cut& cut : backbone.about.cuts) options.cut_widths.push_back(cut.width);
  // With the columns of several cuts the convex heads would take most of the time, and are not ahead.
  if (head == search::chosen_head) options.kinds = {heads::Kind::ridge, heads::Kind::discriminant};
  return options;
}

// What "probabilities" of the graph is for these rows of a packed set.
Result<Tensor> probabilities_of(const graph::Graph& trained, const dataset::PackedSet& set, const std::vector<std::int64_t>& rows,
                                int threads) {
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph::serving_graph(trained), {.threads = threads}));
  const Tensor pixels = set.pixels();
  Shape shape = pixels.shape();
  shape[0] = batch;
  Tensor some(Dtype::u8, shape);
  const std::size_t bytes = pixels.byte_count() / static_cast<std::size_t>(pixels.dim(0));
  Tensor all;
  for (std::size_t first = 0; first < rows.size(); first += batch) {
    SIGHTLINE_CHECK(check_interrupt());
    for (std::size_t i = 0; i < batch; ++i)  // the last batch is filled up
      std::memcpy(some.data() + i * bytes, pixels.data() + static_cast<std::size_t>(rows[std::min(first + i, rows.size() - 1)]) * bytes,
                  bytes);
    SIGHTLINE_TRY(const Tensor answer, session.run(some));
    if (first == 0) all = Tensor(Dtype::f32, {static_cast<std::int64_t>(rows.size()), answer.dim(1)});
    const std::size_t count = std::min<std::size_t>(batch, rows.size() - first), width = static_cast<std::size_t>(answer.dim(1));
    std::copy_n(answer.values<float>().begin(), count * width, all.values<float>().begin() + static_cast<std::ptrdiff_t>(first * width));
  }
  return all;
}

}  // namespace

std::vector<search::Family> search_families() {
  const auto added = [](const auto& fidelities) {
    std::vector<double> work;
    for (std::size_t i = 0; i < fidelities.size(); ++i)
      work.push_back(static_cast<double>(fidelities[i]) - (i > 0 ? static_cast<double>(fidelities[i - 1]) : 0));
    return work;
  };
  return {{.work = added(frozen_shares), .climbs = false},
          {.work = added(tuned_epochs), .climbs = true},
          {.work = {scratch_epochs.begin(), scratch_epochs.end()}, .climbs = true}};
}

Result<std::unique_ptr<SearchEvaluator>> SearchEvaluator::create(const BuildContext& build, const dataset::Manifest& manifest,
                                                                 SearchSpace& space, std::string worker, std::string folder) {
  std::unique_ptr<SearchEvaluator> evaluator(new SearchEvaluator(build, manifest, space, std::move(worker), std::move(folder)));
  std::vector<std::vector<std::int64_t>> by_class(manifest.classes.size());
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    const dataset::Sample& sample = manifest.samples[i];
    if (sample.split == dataset::Split::train) by_class[static_cast<std::size_t>(sample.label)].push_back(static_cast<std::int64_t>(i));
    if (sample.split == dataset::Split::validation) evaluator->validation_.push_back(static_cast<std::int64_t>(i));
  }
  Random random(static_cast<std::uint64_t>(build.demand.seed), 0x72756e67ULL);
  std::vector<std::pair<std::int64_t, double>> places;
  for (auto& members : by_class) {
    random.shuffle(members);
    for (std::size_t i = 0; i < members.size(); ++i)
      places.emplace_back(members[i], i < least_of_a_class ? 0 : static_cast<double>(i) / static_cast<double>(members.size()));
  }
  std::sort(places.begin(), places.end());  // in the manifest's order, whatever the rung
  for (const auto& [sample, place] : places) {
    evaluator->training_.push_back(sample);
    evaluator->place_.push_back(place);
  }
  evaluator->wanted_ = labels_of(manifest, evaluator->validation_);
  if (evaluator->validation_.empty())
    return Error{ErrorKind::refused,
                 "a search chooses on validation pictures, and there are none; raise split.validation or bring more pictures"};
  return evaluator;
}

std::string SearchEvaluator::folder_of(std::size_t candidate, int rung) const { return fmt::format("{}/{}-{}", folder_, candidate, rung); }

bool SearchEvaluator::is_kept(std::size_t candidate, int rung) const { return path_exists(folder_of(candidate, rung) + "/answers.json"); }

Result<search::Answered> SearchEvaluator::answers(std::size_t candidate, int rung) const {
  SIGHTLINE_TRY(const Json json, read_json_file(folder_of(candidate, rung) + "/answers.json"));
  search::Answered answered;
  SIGHTLINE_CHECK(from_json(json.value("predicted", Json::array()), answered.predicted, "predicted"));
  std::vector<int> among_five;
  SIGHTLINE_CHECK(from_json(json.value("among_five", Json::array()), among_five, "among_five"));
  answered.among_five.assign(among_five.begin(), among_five.end());
  return answered;
}

Result<search::Judgement> SearchEvaluator::keep_answers(std::size_t candidate, int rung, const Tensor& probabilities) {
  const search::Answered answered = search::answered(probabilities, wanted_);
  const std::vector<int> among_five(answered.among_five.begin(), answered.among_five.end());
  SIGHTLINE_CHECK(
      write_file(folder_of(candidate, rung) + "/answers.json", json_text({{"predicted", answered.predicted}, {"among_five", among_five}})));
  return search::Judgement{
      .value = search::metric_of(build_.demand.target.metric, answered, wanted_, static_cast<int>(manifest_.classes.size()))};
}

Result<search::Judgement> SearchEvaluator::judge(std::size_t candidate, int rung, double seconds_left) {
  const Clock::time_point until = moment_in(seconds_left);
  SIGHTLINE_CHECK(remove_all(folder_of(candidate, rung) + "/answers.json"));
  SIGHTLINE_CHECK(make_directories(folder_of(candidate, rung)));
  const TimeLimit limit(until);
  const Result<search::Judgement> judged = space_.candidates()[candidate].approach == search::Approach::frozen
                                               ? judge_frozen(candidate, rung, until)
                                               : judge_trained(candidate, rung, until);
  if (!judged.ok() && judged.error().kind == ErrorKind::refused && time_is_up()) return search::Judgement{.out_of_time = true};
  return judged;
}

// --- heads on frozen backbones ---

std::vector<std::int64_t> SearchEvaluator::share_of_training(int rung) const {
  std::vector<std::int64_t> samples;
  for (std::size_t i = 0; i < training_.size(); ++i)
    if (place_[i] < frozen_shares[static_cast<std::size_t>(rung)]) samples.push_back(training_[i]);
  return samples;
}

Result<std::optional<Tensor>> SearchEvaluator::features_until(const features::FeatureSource& source,
                                                              const std::vector<std::int64_t>& samples, Until until) {
  const std::int64_t width = source.backbone().dimensions;
  Tensor all(Dtype::f32, {static_cast<std::int64_t>(samples.size()), width});
  for (std::size_t first = 0; first < samples.size(); first += pictures_at_once) {
    if (seconds_until(until) <= 0) return std::optional<Tensor>();
    const auto begin = samples.begin() + static_cast<std::ptrdiff_t>(first);
    const std::vector<std::int64_t> some(begin, begin + static_cast<std::ptrdiff_t>(std::min(pictures_at_once, samples.size() - first)));
    SIGHTLINE_TRY(const Tensor rows, features_of(source, manifest_, some, nullptr));
    std::memcpy(all.data() + first * static_cast<std::size_t>(width) * sizeof(float), rows.data(), rows.byte_count());
  }
  return std::optional(std::move(all));
}

Result<std::optional<heads::Choice>> SearchEvaluator::fit_until(const search::Candidate& what, const features::Backbone& backbone,
                                                                const Tensor& features, const std::vector<std::int64_t>& samples,
                                                                Until until) {
  const double work = work_of(features);
  if (work * std::max(seconds_per_work_, usual_seconds_per_work) > seconds_until(until)) return std::optional<heads::Choice>();
  const Clock::time_point begin = Clock::now();
  SIGHTLINE_TRY(heads::Choice choice,
                heads::choose_head(features, labels_of(manifest_, samples), groups_of(manifest_, samples),
                                   static_cast<int>(manifest_.classes.size()), head_options(build_, backbone, what.head)));
  if (work > least_telling_work)
    seconds_per_work_ = std::max(seconds_per_work_, std::chrono::duration<double>(Clock::now() - begin).count() / work);
  return std::optional(std::move(choice));
}

Result<graph::Graph> SearchEvaluator::graph_of(const heads::Choice& choice, const std::vector<std::int64_t>& samples) const {
  SIGHTLINE_TRY(const graph::Graph head, heads::head_graph(choice.head, features::value));
  graph::Graph graph = graph::serving_graph(head);
  if (samples.size() < training_.size()) return graph;  // it only competes, and few pictures may not carry what is asked for
  SIGHTLINE_TRY(const std::optional<package::Decisions> decisions,
                evaluation::fit_decisions(build_.demand, heads::out_of_fold_of(choice), labels_of(manifest_, samples), "out of fold"));
  if (decisions) package::write_decisions(*decisions, graph);
  return graph;
}

Result<search::Judgement> SearchEvaluator::judge_frozen(std::size_t candidate, int rung, Until until) {
  const search::Candidate& what = space_.candidates()[candidate];
  SIGHTLINE_TRY(const SearchSpace::Sided* sided, space_.backbone(what));
  const std::vector<std::int64_t> samples = share_of_training(rung);
  SIGHTLINE_TRY(const std::optional<Tensor> held_out, features_until(*sided->source, validation_, until));
  if (!held_out) return search::Judgement{.out_of_time = true};
  SIGHTLINE_TRY(const std::optional<Tensor> features, features_until(*sided->source, samples, until));
  if (!features) return search::Judgement{.out_of_time = true};
  SIGHTLINE_TRY(const std::optional<heads::Choice> choice, fit_until(what, sided->source->backbone(), *features, samples, until));
  if (!choice) return search::Judgement{.out_of_time = true};
  SIGHTLINE_TRY(const graph::Graph head, graph_of(*choice, samples));
  SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(head));
  SIGHTLINE_CHECK(write_file(folder_of(candidate, rung) + "/head.onnx", onnx));
  return keep_answers(candidate, rung, heads::probabilities_of(choice->head, *held_out));
}

Result<std::optional<SearchEvaluator::Refit>> SearchEvaluator::refit(std::size_t candidate, double seconds_left) {
  const Clock::time_point until = moment_in(seconds_left);
  const TimeLimit limit(until);
  Result<std::optional<Refit>> refit = refit_until(candidate, until);
  if (!refit.ok() && refit.error().kind == ErrorKind::refused && time_is_up()) return std::optional<Refit>();
  return refit;
}

Result<std::optional<SearchEvaluator::Refit>> SearchEvaluator::refit_until(std::size_t candidate, Until until) {
  const search::Candidate& what = space_.candidates()[candidate];
  SIGHTLINE_TRY(const SearchSpace::Sided* sided, space_.backbone(what));
  std::vector<std::int64_t> samples = training_;
  samples.insert(samples.end(), validation_.begin(), validation_.end());
  std::sort(samples.begin(), samples.end());
  SIGHTLINE_TRY(const std::optional<Tensor> features, features_until(*sided->source, samples, until));
  if (!features) return std::optional<Refit>();
  SIGHTLINE_TRY(const std::optional<heads::Choice> choice, fit_until(what, sided->source->backbone(), *features, samples, until));
  if (!choice) return std::optional<Refit>();
  Refit refit;
  SIGHTLINE_TRY(refit.head, graph_of(*choice, samples));
  refit.figures = {{"kind", enum_name(choice->head.kind)},
                   {"setting", choice->candidates[choice->chosen].setting},
                   {"out_of_fold_accuracy", choice->accuracy},
                   {"out_of_fold_balanced_accuracy", choice->balanced_accuracy},
                   {"reasons", Json::array({choice->sentence})}};
  refit.suspects = suspects_of(manifest_, samples, *choice);
  return std::optional(std::move(refit));
}

Result<std::vector<dataset::Suspect>> SearchEvaluator::suspects_without_heads(double seconds_left) {
  if (packed_.empty() || seconds_left <= 0) return std::vector<dataset::Suspect>();
  const TimeLimit limit(moment_in(seconds_left));
  Result<std::vector<dataset::Suspect>> suspects = find_label_errors(manifest_, packed_.begin()->second, build_.demand.seed);
  if (!suspects.ok() && suspects.error().kind == ErrorKind::refused && time_is_up()) return std::vector<dataset::Suspect>();
  return suspects;
}

// --- networks that are trained ---

Result<const dataset::PackedSet*> SearchEvaluator::packed(int side, int channels, Until until) {
  const auto key = std::pair(side, channels);
  if (const auto found = packed_.find(key); found != packed_.end()) return &found->second;
  const std::string path = fmt::format("{}/images-{}-{}", folder_, side, channels);
  if (!path_exists(path)) {
    // Reading them all cannot be stopped half-way: some tell how long it would take.
    const auto begin = Clock::now();
    const dataset::SampleReader reader(manifest_.root);
    const std::size_t count = manifest_.samples.size(), some = std::min(count, timed_pictures);
    for (std::size_t i = 0; i < some; ++i) SIGHTLINE_CHECK(reader.read(manifest_.samples[i * count / some].path));
    const double each = std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(some);
    if (each * static_cast<double>(count) / build_.threads * 1.3 > seconds_until(until)) return nullptr;
    SIGHTLINE_CHECK(dataset::pack(manifest_, {.width = side, .height = side, .channels = channels}, path + ".part"));
    SIGHTLINE_CHECK(rename_path(path + ".part", path));
  }
  SIGHTLINE_TRY(dataset::PackedSet set, dataset::PackedSet::open(path));
  return &packed_.emplace(key, std::move(set)).first->second;
}

// Leaves what the worker begins with in the folder of the first rung. False when there is no time for it.
Result<bool> SearchEvaluator::begin_training(std::size_t candidate, int epochs, Until until) {
  const search::Candidate& what = space_.candidates()[candidate];
  SIGHTLINE_TRY(ChosenRecipe chosen, space_.recipe(what, epochs));
  SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(chosen.graph));
  const double operations =
      3 * static_cast<double>(cost.flops) * static_cast<double>(training_.size()) * epochs;  // forward, and twice that
  if (operations / best_training_speed > seconds_until(until)) return false;
  if (what.approach == search::Approach::tuned) {  // the head first, in closed form
    SIGHTLINE_TRY(const SearchSpace::Sided* sided, space_.backbone(what));
    SIGHTLINE_TRY(const std::optional<Tensor> features, features_until(*sided->source, training_, until));
    if (!features) return false;
    SIGHTLINE_TRY(const heads::LinearHead head, heads::fit_logistic(*features, labels_of(manifest_, training_),
                                                                    static_cast<int>(manifest_.classes.size()), probe_penalty));
    chosen.graph.initializers[modules::head_weight] = head.weight;
    chosen.graph.initializers[modules::head_bias] = head.bias;
  }
  SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(chosen.graph));
  const std::string folder = folder_of(candidate, 0);
  SIGHTLINE_CHECK(make_directories(folder));
  SIGHTLINE_CHECK(write_file(folder + "/recipe.json", json_text(to_json(chosen.recipe), 2)));
  SIGHTLINE_CHECK(write_file(folder + "/initial.onnx", onnx));
  return true;
}

Result<search::Judgement> SearchEvaluator::judge_trained(std::size_t candidate, int rung, Until until) {
  const search::Candidate& what = space_.candidates()[candidate];
  const bool tuned = what.approach == search::Approach::tuned;
  const std::span<const int> epochs = tuned ? std::span<const int>(tuned_epochs) : std::span<const int>(scratch_epochs);
  const auto at = static_cast<std::size_t>(rung);
  const std::string first = folder_of(candidate, 0), folder = folder_of(candidate, rung);
  if (!path_exists(first + "/initial.onnx")) {
    SIGHTLINE_TRY(const bool begun, begin_training(candidate, epochs[0], until));
    if (!begun) return search::Judgement{.out_of_time = true};
  }
  SIGHTLINE_TRY(const Json recipe, read_json_file(first + "/recipe.json"));
  modules::TrainingSpec spec;
  SIGHTLINE_TRY(spec.recipe, struct_from_json<modules::Recipe>(recipe, "recipe"));
  SIGHTLINE_TRY(const dataset::PackedSet* set, packed(spec.recipe.side, spec.recipe.channels, until));
  if (set == nullptr) return search::Judgement{.out_of_time = true};
  const bool goes_on = tuned && rung > 0;
  spec.recipe.epochs = epochs[at] - (goes_on ? epochs[at - 1] : 0);
  spec.recipe.minutes.reset();
  spec.graph = goes_on ? folder_of(candidate, rung - 1) + "/model.onnx" : first + "/initial.onnx";
  spec.data = fmt::format("{}/images-{}-{}", folder_, spec.recipe.side, spec.recipe.channels);
  spec.output = folder + "/output";
  spec.checkpoint = folder + "/checkpoint";
  spec.seed = build_.demand.seed + (goes_on ? rung : 0);
  spec.threads = build_.threads;
  const double left = seconds_until(until) - before_the_end;
  if (left <= 0) return search::Judgement{.out_of_time = true};
  const Result<void> trained =
      line::run_worker(worker_, to_json(spec), folder + "/spec.json", {}, {.grace_seconds = grace, .most_seconds = left});
  if (!trained.ok() && trained.error().kind == ErrorKind::refused) {
    SIGHTLINE_CHECK(remove_all(folder));
    return search::Judgement{.out_of_time = true};
  }
  if (!trained.ok()) return trained.error();
  SIGHTLINE_CHECK(rename_path(spec.output + "/model.onnx", folder + "/model.onnx"));
  SIGHTLINE_CHECK(rename_path(spec.output + "/history.json", folder + "/history.json"));
  SIGHTLINE_CHECK(remove_all(spec.checkpoint));
  SIGHTLINE_TRY(const graph::Graph model, graph::read_onnx(folder + "/model.onnx"));
  SIGHTLINE_TRY(const Tensor probabilities, probabilities_of(model, *set, set->indices_of(dataset::Split::validation), build_.threads));
  return keep_answers(candidate, rung, probabilities);
}

}  // namespace sightline::factory
