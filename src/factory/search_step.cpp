// search: candidates compete for the demand's minutes; the best one, and every one that nobody beats in accuracy, latency and size at once,
// is kept.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/files.h"
#include "base/progress.h"
#include "base/progress_events.h"
#include "base/text.h"
#include "dataset/packed_set.h"
#include "evaluation/report_search.h"
#include "factory/search_evaluator.h"
#include "factory/search_steps.h"
#include "factory/step_inputs.h"
#include "features/backbone.h"
#include "heads/choose.h"
#include "modules/imported.h"
#include "modules/modules.h"
#include "search/front.h"
#include "search/winner.h"

namespace sightline::factory {
namespace {

using Clock = std::chrono::steady_clock;

// Of the minutes, what is left for choosing and for fitting the heads that are kept on all pictures.
constexpr double finishing_share = 0.1;
constexpr double refit_slack = 1.5;
// The report names so many of those that were dropped.
constexpr std::size_t most_dropped = 12;

struct Finalist {
  const search::Entry* entry = nullptr;
  search::Cost cost;
  search::Answered answers;
};

// What of a demand is stated, as the demand file has it: no nulls, no blocks without anything.
Json stated(const Json& all) {
  if (!all.is_object()) return all;
  Json some = Json::object();
  for (const auto& [name, value] : all.items()) {
    Json inner = stated(value);
    if (!inner.is_null() && !(inner.is_object() && inner.empty())) some[name] = std::move(inner);
  }
  return some;
}

class Searching {
 public:
  Searching(const BuildContext& build, line::StepContext& context, const dataset::Manifest& manifest, SearchSpace& space,
            SearchEvaluator& evaluator, std::string folder, Clock::time_point begun)
      : build_(build),
        context_(context),
        manifest_(manifest),
        space_(space),
        evaluator_(evaluator),
        folder_(std::move(folder)),
        begun_(begun) {}

  Result<void> run() {
    SIGHTLINE_CHECK(compete());
    SIGHTLINE_CHECK(choose());
    SIGHTLINE_CHECK(keep_points());
    return put();
  }

 private:
  double allowed() const { return 60 * build_.demand.search->minutes; }
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - begun_).count() + before_; }

  // What a killed search left, as far as its folders are whole.
  Result<std::vector<search::Entry>> earlier_record() {
    std::vector<search::Entry> record;
    const std::string path = folder_ + "/record.json";
    if (!path_exists(path)) return record;
    SIGHTLINE_TRY(const Json json, read_json_file(path));
    SIGHTLINE_CHECK(from_json(json, record, "record"));
    const auto gone = std::find_if(record.begin(), record.end(), [&](const search::Entry& entry) {
      return entry.event == search::Event::judged && !evaluator_.is_kept(static_cast<std::size_t>(entry.candidate), entry.rung);
    });
    record.erase(gone, record.end());
    return record;
  }

  // A value with the cost that was measured when the candidate was admitted.
  static void tell_candidate(const search::Candidate& candidate, const std::vector<search::Entry>& record) {
    const search::Entry& entry = record.back();
    if (entry.event != search::Event::judged || !progress_is_heard()) return;
    const auto admitted = std::ranges::find_if(
        record, [&](const search::Entry& each) { return each.candidate == entry.candidate && each.event == search::Event::admitted; });
    Json told{{"name", search::describe(candidate)}, {"rung", entry.rung}, {"value", entry.value}, {"seconds", entry.seconds}};
    if (admitted != record.end()) told.update(to_json(admitted->cost));
    tell_progress("candidate", told);
  }

  Result<void> compete() {
    const std::vector<search::Candidate>& candidates = space_.candidates();
    search::Options options{.strategy = build_.demand.search->strategy,
                            .seconds = allowed() * (1 - finishing_share),
                            .families = search_families(),
                            .pictures = static_cast<std::int64_t>(evaluator_.labels().size()),
                            .seed = static_cast<std::uint64_t>(build_.demand.seed)};
    for (const search::Candidate& each : candidates) options.family.push_back(static_cast<std::size_t>(each.approach));
    SIGHTLINE_TRY(std::vector<search::Entry> record, earlier_record());
    context_.figure("resumed", record.size());
    before_ = record.empty() ? 0 : record.back().at;
    std::optional<Progress> progress;
    if (build_.options.progress) progress.emplace("search", static_cast<std::uint64_t>(options.seconds), "s");
    std::vector<search::Entry> kept = record;
    const auto on_entry = [&](const search::Entry& entry) -> Result<void> {
      kept.push_back(entry);
      tell_candidate(candidates[static_cast<std::size_t>(entry.candidate)], kept);
      if (progress)
        progress->set(static_cast<std::uint64_t>(std::min(entry.at, options.seconds)),
                      fmt::format("{} {:.4f}", search::describe(candidates[static_cast<std::size_t>(entry.candidate)]), entry.value));
      return write_file(folder_ + "/record.json", json_text(to_json(kept)));
    };
    search::Evaluator evaluator;
    evaluator.admit = [&](std::size_t candidate) { return evaluator_.admit(candidate); };
    evaluator.judge = [&](std::size_t candidate, int rung, double left) {
      const QuietProgress quiet;
      return evaluator_.judge(candidate, rung, left);
    };
    const auto clock = [this] { return elapsed(); };  // what was done before the search (reading backbones) counts
    SIGHTLINE_TRY(outcome_, search::run(options, evaluator, clock, std::move(record), on_entry));
    if (progress) progress->finish();
    return {};
  }

  std::string name_of(const search::Entry& entry) const {
    return search::describe(space_.candidates()[static_cast<std::size_t>(entry.candidate)]);
  }

  Result<void> choose() {
    std::map<std::int64_t, search::Cost> costs;
    std::set<std::string> reasons;
    for (const search::Entry& entry : outcome_.record) {
      if (entry.event == search::Event::admitted) costs[entry.candidate] = entry.cost;
      if (entry.event != search::Event::refused && entry.event != search::Event::failed) continue;
      report_.dropped.push_back(fmt::format("{}: {}", name_of(entry), entry.sentence));
    }
    if (outcome_.finalists.empty()) {
      const std::vector<std::string> some(
          report_.dropped.begin(), report_.dropped.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(3, report_.dropped.size())));
      return Error{ErrorKind::refused,
                   some.empty() ? fmt::format("no candidate was judged in {}; raise search.minutes", human_seconds(allowed()))
                                : fmt::format("no candidate keeps the limits and could be judged in {} ({}); raise limits.size_mb, "
                                              "limits.latency_ms or search.minutes",
                                              human_seconds(allowed()), join(some, "; "))};
    }
    std::int64_t standard = -1;
    std::vector<search::Answered> answers;
    for (const std::size_t at : outcome_.finalists) {
      const search::Entry& entry = outcome_.record[at];
      if (entry.candidate == 0) standard = static_cast<std::int64_t>(finalists_.size());
      Finalist finalist{.entry = &entry, .cost = costs[entry.candidate], .answers = {}};
      SIGHTLINE_TRY(finalist.answers, evaluator_.answers(static_cast<std::size_t>(entry.candidate), entry.rung));
      answers.push_back(finalist.answers);
      finalists_.push_back(std::move(finalist));
    }
    SIGHTLINE_TRY(winner_, search::choose_winner(build_.demand.target.metric, answers, standard, evaluator_.labels(),
                                                 static_cast<int>(manifest_.classes.size())));
    standard_ = standard;
    std::vector<search::Place> places;
    for (const Finalist& each : finalists_) places.push_back({each.entry->value, each.cost.latency_ms, each.cost.size_mb});
    front_ = search::pareto_front(places);
    if (std::find(front_.begin(), front_.end(), winner_.chosen) == front_.end()) {  // within noise of one that beats it
      front_.push_back(winner_.chosen);
      std::sort(front_.begin(), front_.end(), [&](std::size_t a, std::size_t b) {
        return std::tuple(places[a].latency_ms, places[a].size_mb) < std::tuple(places[b].latency_ms, places[b].size_mb);
      });
    }
    return {};
  }

  Result<void> keep_points() {
    SIGHTLINE_TRY(points_folder_, context_.fresh_folder("points"));
    Json points = Json::array();
    // The chosen one first: should the time be short, the others keep the heads that they were judged with.
    std::vector<std::size_t> order = front_;
    std::stable_partition(order.begin(), order.end(), [&](std::size_t f) { return f == winner_.chosen; });
    for (const std::size_t f : order) {
      const auto number = std::find(front_.begin(), front_.end(), f) - front_.begin() + 1;
      const search::Entry& entry = *finalists_[f].entry;
      const search::Candidate& candidate = space_.candidates()[static_cast<std::size_t>(entry.candidate)];
      const std::string folder = fmt::format("{}/{}", points_folder_, number);
      SIGHTLINE_CHECK(make_directories(folder));
      SIGHTLINE_CHECK(candidate.approach == search::Approach::frozen ? keep_frozen(candidate, entry, folder, number)
                                                                     : keep_trained(candidate, entry, folder));
      points.push_back({{"number", number}, {"candidate", to_json(candidate)}, {"rung", entry.rung}});
    }
    std::sort(points.begin(), points.end(), [](const Json& a, const Json& b) { return a["number"] < b["number"]; });
    const auto chosen = std::find(front_.begin(), front_.end(), winner_.chosen) - front_.begin() + 1;
    return write_file(points_folder_ + "/points.json", json_text({{"chosen", chosen}, {"points", points}}, 1));
  }

  Result<void> keep_frozen(const search::Candidate& candidate, const search::Entry& entry, const std::string& folder,
                           std::ptrdiff_t number) {
    SIGHTLINE_TRY(const SearchSpace::Sided* sided, space_.backbone(candidate));
    SIGHTLINE_CHECK(context_.workspace().blobs().materialize(sided->tree, folder + "/backbone"));
    SIGHTLINE_TRY(const auto files, context_.workspace().blobs().tree(sided->tree));
    for (const auto& [name, digest] : files) known_[fmt::format("{}/backbone/{}", number, name)] = digest;
    Json head = {{"kind", candidate.head}, {"reasons", Json::array({"fitted on the training pictures alone: the time was up"})}};
    std::optional<SearchEvaluator::Refit> refit;
    // It takes about as long as judging it did; what takes longer than what is left is not begun.
    if (elapsed() + refit_slack * entry.seconds < allowed()) {
      SIGHTLINE_TRY(refit, evaluator_.refit(static_cast<std::size_t>(entry.candidate), allowed() - elapsed()));
    }
    if (refit) {
      SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(refit->head));
      SIGHTLINE_CHECK(write_file(folder + "/head.onnx", onnx));
      head = refit->figures;
      if (!suspects_) suspects_ = std::move(refit->suspects);
    } else {
      SIGHTLINE_TRY(const std::string onnx,
                    read_file(evaluator_.folder_of(static_cast<std::size_t>(entry.candidate), entry.rung) + "/head.onnx"));
      SIGHTLINE_CHECK(write_file(folder + "/head.onnx", onnx));
    }
    return write_file(folder + "/history.json", json_text({{"schedule", nullptr}, {"epochs", Json::array()}, {"head", head}}, 1));
  }

  Result<void> keep_trained(const search::Candidate& candidate, const search::Entry& entry, const std::string& folder) {
    const auto number = static_cast<std::size_t>(entry.candidate);
    for (const char* file : {"model.onnx", "history.json"}) {
      SIGHTLINE_TRY(const std::string text, read_file(evaluator_.folder_of(number, entry.rung) + "/" + file));
      SIGHTLINE_CHECK(write_file(folder + "/" + file, text));
    }
    SIGHTLINE_TRY(Json recipe, read_json_file(evaluator_.folder_of(number, 0) + "/recipe.json"));
    SIGHTLINE_TRY(const Json spec, read_json_file(evaluator_.folder_of(number, entry.rung) + "/spec.json"));
    recipe["epochs"] = spec.at("recipe").at("epochs");
    if (candidate.approach == search::Approach::tuned) {
      SIGHTLINE_TRY(const SearchSpace::Sided* sided, space_.backbone(candidate));
      recipe["weights"] = to_json(sided->source->backbone().about);
      recipe["weights"].erase("reasons");
      recipe["rung"] = entry.rung;  // its epochs came after those of the rungs below
    }
    return write_file(folder + "/recipe.json", json_text(recipe, 1));
  }

  evaluation::SearchPoint point_of(std::size_t f, int number) const {
    const Finalist& finalist = finalists_[f];
    return {.number = number,
            .name = name_of(*finalist.entry),
            .value = finalist.entry->value,
            .latency_ms = finalist.cost.latency_ms,
            .size_mb = finalist.cost.size_mb,
            .memory_mb = finalist.cost.memory_mb,
            .chosen = f == winner_.chosen,
            .standard = static_cast<std::int64_t>(f) == standard_};
  }

  void tell() {
    report_.metric = build_.demand.target.metric;
    report_.strategy = enum_name(build_.demand.search->strategy);
    report_.minutes = build_.demand.search->minutes;
    report_.seconds = elapsed();
    report_.validation_images = static_cast<std::int64_t>(evaluator_.labels().size());
    report_.candidates = static_cast<std::int64_t>(space_.candidates().size());
    report_.begun = outcome_.begun;
    report_.refused = outcome_.refused;
    report_.failed = outcome_.failed;
    report_.stopped = outcome_.stopped;
    report_.value = winner_.value;
    report_.corrected = winner_.corrected;
    report_.interval = winner_.interval;
    for (std::size_t i = 0; i < front_.size(); ++i) report_.points.push_back(point_of(front_[i], static_cast<int>(i) + 1));
    for (std::size_t f = 0; f < finalists_.size(); ++f)
      if (std::find(front_.begin(), front_.end(), f) == front_.end()) report_.others.push_back(point_of(f, 0));
    std::vector<std::string>& say = report_.sentences;
    const std::string chosen = name_of(*finalists_[winner_.chosen].entry);
    say.push_back(fmt::format("{} is taken: {}", chosen, winner_.sentence));
    if (standard_ < 0) {
      say.push_back(fmt::format("the default recipe ({}) was not among the finalists", search::describe(space_.candidates()[0])));
    } else if (static_cast<std::int64_t>(winner_.chosen) == standard_) {
      say.emplace_back("it is the default recipe: no other is ahead of it by more than a standard error");
    } else {
      say.push_back(fmt::format("it is {:.4f} ahead of the default recipe ({}) on the same pictures, with a standard error of {:.4f}",
                                winner_.ahead, search::describe(space_.candidates()[0]), winner_.ahead_error));
    }
    say.push_back(
        fmt::format("of {} {} were looked at in {} (allowed {}): {} broke a limit and were not judged, {} failed, {} were stopped "
                    "early; {} kept",
                    plural(space_.candidates().size(), "candidate"), outcome_.begun, human_seconds(report_.seconds),
                    human_seconds(allowed()), outcome_.refused, outcome_.failed, outcome_.stopped,
                    plural(front_.size(), "point is") == "1 point is" ? "1 point is" : fmt::format("{} points are", front_.size())));
    for (const evaluation::SearchPoint& point : report_.points)
      say.push_back(fmt::format("point {}: {}, {} {:.4f}, {:.2f} ms, {:.2f} MB{}", point.number, point.name, report_.metric, point.value,
                                point.latency_ms, point.size_mb, point.chosen ? ", the one that is taken" : ""));
  }

  Result<void> put() {
    if (!suspects_) {
      SIGHTLINE_TRY(suspects_, evaluator_.suspects_without_heads(allowed() - elapsed()));
    }
    suspects_->resize(std::min(suspects_->size(), std::max<std::size_t>(20, manifest_.samples.size() / 10)));
    tell();
    context_.figure("chosen", name_of(*finalists_[winner_.chosen].entry));
    context_.figure("validation", winner_.value);
    context_.figure("expected", winner_.corrected);
    context_.figure("search_seconds", report_.seconds);
    context_.figure("judged", std::count_if(outcome_.record.begin(), outcome_.record.end(),
                                            [](const search::Entry& entry) { return entry.event == search::Event::judged; }));
    context_.figure("refused", outcome_.refused);
    context_.figure("points", front_.size());
    context_.figure("reasons", to_json(report_.sentences));
    if (report_.dropped.size() > most_dropped) {
      const std::size_t more = report_.dropped.size() - most_dropped;
      report_.dropped.resize(most_dropped);
      report_.dropped.push_back(fmt::format("and {} more", more));
    }
    const Json document = {{"report", to_json(report_)},
                           {"demand", stated(to_json(build_.demand))},
                           {"record", to_json(outcome_.record)},
                           {"space", to_json(space_.candidates())}};
    SIGHTLINE_CHECK(context_.put("search", json_text(document, 1)));
    SIGHTLINE_CHECK(context_.put("suspects", json_text(to_json(*suspects_))));
    return context_.put_folder("points", points_folder_, known_);
  }

  const BuildContext& build_;
  line::StepContext& context_;
  const dataset::Manifest& manifest_;
  SearchSpace& space_;
  SearchEvaluator& evaluator_;
  std::string folder_, points_folder_;
  Clock::time_point begun_;
  double before_ = 0;  // seconds that an earlier process took
  search::Outcome outcome_;
  std::vector<Finalist> finalists_;
  search::Winner winner_;
  std::int64_t standard_ = -1;
  std::vector<std::size_t> front_;  // finalists
  std::map<std::string, Digest> known_;
  std::optional<std::vector<dataset::Suspect>> suspects_;
  evaluation::SearchReport report_;
};

}  // namespace

line::Step search_step(const BuildContext& build, const std::vector<SearchBackbone>& backbones, const std::string& worker,
                       const std::string& worker_version) {
  line::Step step{.name = "search", .version = 1, .says = "let candidates compete, keep the best and whoever nobody beats"};
  const demand::Demand& demand = build.demand;
  step.parameters = {{"search", to_json(*demand.search)},
                     {"limits", to_json(demand.limits)},
                     {"metric", demand.target.metric},
                     {"pins", to_json(demand.recipe)},
                     {"seed", demand.seed}};
  add_decisions(demand, step.parameters);
  if (demand.backbone)
    step.parameters["backbone"] = {{"cut", to_json(demand.backbone->cut)},         {"freeze", to_json(demand.backbone->freeze)},
                                   {"mean", to_json(demand.backbone->mean)},       {"scale", to_json(demand.backbone->scale)},
                                   {"licence", to_json(demand.backbone->licence)}, {"origin", to_json(demand.backbone->origin)}};
  step.environment = machine_environment(build.threads);
  step.environment["heads"] = heads::version;
  step.environment["modules"] = modules::version;
  step.environment["import"] = modules::import_version;
  step.environment["worker"] = worker_version;
  Sha256 hash;
  for (const SearchBackbone& each : backbones) hash.add_field(each.name).add_field(each.identity);
  step.inputs = {{.name = "manifest", .step = build.manifest_step(), .output = "manifest"}, {.name = "backbones", .digest = hash.finish()}};
  step.outputs = {"points", "search", "suspects"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build, backbones, worker](line::StepContext& context) -> Result<void> {
    const Clock::time_point begun = Clock::now();
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    const std::string folder = context.work_folder() + "/search";
    SIGHTLINE_CHECK(make_directories(folder));
    SIGHTLINE_TRY(const std::unique_ptr<SearchSpace> space,
                  SearchSpace::open(build, context.workspace(), manifest, backbones, !worker.empty(), folder));
    SIGHTLINE_TRY(const std::unique_ptr<SearchEvaluator> evaluator, SearchEvaluator::create(build, manifest, *space, worker, folder));
    return Searching(build, context, manifest, *space, *evaluator, folder, begun).run();
  };
  return step;
}

}  // namespace sightline::factory
