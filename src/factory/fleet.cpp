#include "factory/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/import.h"
#include "factory/backbone.h"
#include "factory/build.h"
#include "package/metadata.h"

namespace sightline::factory {
namespace {

using Clock = std::chrono::steady_clock;

// Enough for a median beside hundreds of others; `sightline bench` measures one model well.
constexpr int latency_runs = 10;

class Fleet {
 public:
  Fleet(const demand::Fleet& fleet, store::Workspace& workspace, const FleetOptions& options)
      : fleet_(fleet), workspace_(workspace), options_(options) {}

  Result<FleetOutcome> run() {
    const Clock::time_point begin = Clock::now();
    SIGHTLINE_CHECK(choose());
    sources_ = std::make_shared<FeatureSources>();
    SIGHTLINE_TRY(intake_, dataset::Intake::open(workspace_.root() + "/intake"));
    SIGHTLINE_CHECK(look_at_pictures());
    SIGHTLINE_CHECK(build_all());
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return std::move(outcome_);
  }

 private:
  Result<void> choose() {
    std::vector<std::string> unknown = options_.only;
    for (const demand::FleetDemand& each : fleet_.demands) {
      if (!options_.only.empty() && std::find(options_.only.begin(), options_.only.end(), each.demand.name) == options_.only.end())
        continue;
      std::erase(unknown, each.demand.name);
      chosen_.push_back(&each);
      outcome_.rows.push_back({.name = each.demand.name, .group = each.group, .outcome = {}, .sentence = {}});
    }
    if (unknown.empty()) return {};
    std::vector<std::string> names;
    for (const demand::FleetDemand& each : fleet_.demands) names.push_back(each.demand.name);
    return Error{ErrorKind::not_found,
                 fmt::format("the fleet {} has no demand \"{}\"{}", fleet_.name, unknown.front(), did_you_mean(unknown.front(), names))};
  }

  // The picture's files that demands with the same frozen backbone look at.
  struct Shared {
    demand::Demand first;  // one of them: all read the backbone alike
    std::vector<std::string> files;
  };

  // Decodes every picture once, and computes what the backbones say of it.
  Result<void> look_at_pictures() {
    std::map<std::string, Shared> groups;
    std::mutex mutex;
    std::vector<demand::Demand> frozen;
    for (const demand::FleetDemand* each : chosen_) {  // one after the other: the registry is for one thread
      if (!each->problem.empty() || !each->demand.backbone || each->demand.backbone->freeze != demand::Freeze::backbone) continue;
      // One that names a backbone that is not there: its own build says so.
      if (auto resolved = with_backbone_file(each->demand, workspace_); resolved.ok() && resolved->backbone->onnx)
        frozen.push_back(*std::move(resolved));
    }
    {
      Progress progress("listing", frozen.size(), "demand");
      SIGHTLINE_CHECK(parallel_for(frozen.size(), [&](std::size_t i) -> Result<void> {
        progress.advance();
        const demand::Demand& demand = frozen[i];
        const auto files = dataset::list_pictures(demand.data, demand.split);
        if (!files.ok()) return {};  // its own build says so
        const std::string key = json_text(to_json(*demand.backbone)) + json_text(to_json(demand.recipe.side));
        const std::lock_guard lock(mutex);
        const auto [at, added] = groups.emplace(key, Shared{demand, {}});
        at->second.files.insert(at->second.files.end(), files->begin(), files->end());
        return {};
      }));
    }
    for (auto& [key, shared] : groups) SIGHTLINE_CHECK(compute(shared));
    return {};
  }

  Result<void> compute(Shared& shared) {
    std::sort(shared.files.begin(), shared.files.end());
    shared.files.erase(std::unique(shared.files.begin(), shared.files.end()), shared.files.end());
    outcome_.pictures += shared.files.size();
    const auto source = source_of(shared.first);
    if (!source.ok()) return source.error().kind == ErrorKind::interrupted ? source.error() : Result<void>();  // every build says so

    std::vector<Digest> digests(shared.files.size());
    {
      Progress progress("hashing", digests.size(), "image");
      SIGHTLINE_CHECK(parallel_for(
          digests.size(),
          [&](std::size_t i) -> Result<void> {
            if (auto digest = intake_->digest_of(shared.files[i]); digest.ok()) digests[i] = *std::move(digest);
            progress.advance();
            return {};
          },
          0, 64));
    }
    // A file that cannot be read is its demands' problem.
    std::vector<std::string> files;
    std::vector<Digest> pictures;
    for (std::size_t i = 0; i < digests.size(); ++i) {
      if (digests[i].empty()) continue;
      files.push_back(shared.files[i]);
      pictures.push_back(digests[i]);
    }

    const package::Preprocessing preprocessing = preprocessing_of((*source)->backbone());
    std::mutex mutex;
    std::vector<Digest> new_pictures;
    std::vector<dataset::Facts> new_facts;
    const auto prepare = [&](std::size_t i) -> Result<Tensor> {
      SIGHTLINE_TRY(const image::Image picture, image::read_image(files[i]));
      if (!intake_->find(pictures[i])) {
        const dataset::Facts facts = dataset::facts_of(picture);
        const std::lock_guard lock(mutex);
        new_pictures.push_back(pictures[i]);
        new_facts.push_back(facts);
      }
      return package::prepare_picture(picture, preprocessing);
    };
    Progress progress("features", pictures.size(), "image");
    constexpr std::size_t part = 4096;  // bounds what is held of them
    for (std::size_t begin = 0; begin < pictures.size(); begin += part) {
      const std::size_t count = std::min(part, pictures.size() - begin);
      features::Counts counts;
      std::vector<char> failed(count);
      const auto features = (*source)->features(
          std::span(pictures).subspan(begin, count), [&](std::size_t i) { return prepare(begin + i); }, &progress, &counts, failed);
      if (!features.ok()) return features.error();
      outcome_.computed += counts.computed;
      outcome_.reused += counts.reused;
      SIGHTLINE_CHECK(intake_->add(new_pictures, new_facts));
      new_pictures.clear();
      new_facts.clear();
    }
    return {};
  }

  // The backbone that this demand and those like it freeze.
  Result<std::shared_ptr<const features::FeatureSource>> source_of(const demand::Demand& demand) {
    BuildContext context{.workspace = &workspace_, .demand = demand, .options = {}, .sources = sources_, .intake = intake_};
    SIGHTLINE_TRY(context.backbone, sources_->digest_of(demand));
    line::Line line(workspace_, demand.name, {backbone_step(context)});
    SIGHTLINE_CHECK(line.run());
    SIGHTLINE_TRY(const Digest tree, line.output("backbone", "backbone"));
    return sources_->of(workspace_, tree);
  }

  Result<void> build_all() {
    const int jobs = std::min<int>(options_.jobs > 0 ? options_.jobs : usable_cores(), static_cast<int>(chosen_.size()));
    Progress progress("models", chosen_.size(), "model");
    std::atomic<std::size_t> next = 0;
    std::atomic<std::uint64_t> done = 0, failed = 0;
    std::mutex mutex;
    std::optional<Error> stopped;
    std::exception_ptr thrown;
    const auto stop = [&](const Error& error) {
      const std::lock_guard lock(mutex);
      if (!stopped) stopped = error;
    };
    const auto is_stopped = [&] {
      const std::lock_guard lock(mutex);
      return stopped.has_value() || thrown != nullptr;
    };
    const auto build_in_turn = [&]() -> Result<void> {
      SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(workspace_.root()));
      SIGHTLINE_TRY(line::StepLog opened, line::StepLog::open(workspace.step_log_path()));
      const auto log = std::make_shared<line::StepLog>(std::move(opened));
      for (std::size_t i = next++; i < chosen_.size() && !is_stopped(); i = next++) {
        SIGHTLINE_CHECK(build_one(i, workspace, log));
        failed += outcome_.rows[i].outcome == "failed" ? 1 : 0;
        progress.set(++done, failed > 0 ? fmt::format("{} failed", failed.load()) : "");
      }
      return {};
    };
    const auto work = [&] {
      const QuietProgress quiet;
      try {
        if (const auto status = build_in_turn(); !status.ok()) stop(status.error());
      } catch (...) {  // to be thrown where it can be caught
        const std::lock_guard lock(mutex);
        thrown = std::current_exception();
      }
    };
    std::vector<std::thread> threads;
    for (int job = 1; job < jobs; ++job) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    if (thrown != nullptr) std::rethrow_exception(thrown);
    if (stopped) return *stopped;
    return {};
  }

  // Errors: interrupted only; the rest is told in the row.
  Result<void> build_one(std::size_t i, store::Workspace& workspace, const std::shared_ptr<line::StepLog>& log) {
    const demand::FleetDemand& each = *chosen_[i];
    FleetRow& row = outcome_.rows[i];
    const auto fail = [&](const std::string& why) {
      row.outcome = "failed";
      row.sentence = why;
    };
    if (!each.problem.empty()) {
      fail(each.problem);
      return {};
    }
    const BuildOptions options{
        .progress = false, .threads = 1, .latency_runs = latency_runs, .report = false, .sources = sources_, .intake = intake_, .log = log};
    const auto built = build(each.demand, workspace, options, {});
    if (!built.ok()) {
      if (built.error().kind == ErrorKind::interrupted) return built.error();
      fail(built.error().message);
      return {};
    }
    row.ran = built->ran_anything;
    row.outcome = built->released ? "released" : "refused";
    row.sentence = built->sentence;
    row.version = built->version;
    row.package = built->package;
    if (auto filled = fill(row, *built, workspace); !filled.ok()) fail(filled.error().message);
    return {};
  }

  static Result<void> fill(FleetRow& row, const BuildOutcome& built, const store::Workspace& workspace) {
    SIGHTLINE_TRY(const std::string text, workspace.blobs().get(built.evaluation));
    SIGHTLINE_TRY(const Json json, parse_json(text, "the evaluation of " + row.name));
    SIGHTLINE_TRY(const evaluation::Evaluation evaluation, struct_from_json<evaluation::Evaluation>(json));
    row.classes = static_cast<std::int64_t>(evaluation.classes.size());
    row.test = evaluation.figures.count;
    row.top1 = evaluation.figures.top1;
    row.balanced_accuracy = evaluation.figures.balanced_accuracy;
    row.p50_ms = evaluation.latency.p50;
    std::int64_t tested = 0;  // classes that the test has pictures of
    for (const tasks::ClassFigures& each : evaluation.figures.per_class) tested += each.count > 0 ? 1 : 0;
    row.chance = tested > 0 ? 1.0 / static_cast<double>(tested) : 1;
    if (const auto found = evaluation.intervals.find("balanced_accuracy"); found != evaluation.intervals.end())
      row.interval = found->second;
    row.excludes_chance = row.interval.low > row.chance;
    for (const line::StepRecord& record : built.steps)
      if (record.step == "import")
        row.train = record.figures.value("train", std::int64_t{0}) + record.figures.value("validation", std::int64_t{0});
    return {};
  }

  const demand::Fleet& fleet_;
  store::Workspace& workspace_;
  const FleetOptions& options_;
  std::vector<const demand::FleetDemand*> chosen_;
  std::shared_ptr<FeatureSources> sources_;
  std::shared_ptr<dataset::Intake> intake_;
  FleetOutcome outcome_;
};

}  // namespace

Result<FleetOutcome> build_fleet(const demand::Fleet& fleet, store::Workspace& workspace, const FleetOptions& options) {
  return Fleet(fleet, workspace, options).run();
}

}  // namespace sightline::factory
