#include "factory/build.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/text.h"
#include "dataset/import.h"
#include "factory/backbone.h"
#include "factory/build_journal.h"
#include "factory/escalation_steps.h"
#include "factory/recipe.h"
#include "factory/search_steps.h"
#include "factory/shipped.h"
#include "factory/step_inputs.h"
#include "line/worker.h"

namespace sightline::factory {

Result<std::string> worker_version(const std::string& worker, const store::Workspace& workspace) {
  struct stat info {};
  if (::stat(worker.c_str(), &info) != 0) return system_error("cannot find", worker);
  const std::string identity = fmt::format("{} {} {}.{}", worker, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  const std::string memory_path = workspace.root() + "/worker.json";
  if (auto known = read_json_file(memory_path); known.ok() && known->is_object() && known->value("identity", "") == identity)
    return known->value("version", "");
  std::FILE* pipe = ::popen(("'" + worker + "' --version 2>/dev/null").c_str(), "re");
  if (pipe == nullptr) return system_error("cannot start", worker);
  std::array<char, 256> text{};
  const std::size_t got = std::fread(text.data(), 1, text.size() - 1, pipe);
  const bool failed = ::pclose(pipe) != 0 || got == 0;
  SIGHTLINE_CHECK(check_interrupt());  // Ctrl-C also ends the reading above
  if (failed) {
    return Error{ErrorKind::internal, worker + " --version failed; `sightline doctor` tells what is missing"};
  }
  std::string version = trim(std::string_view(text.data(), got));
  SIGHTLINE_CHECK(write_file(memory_path, json_text({{"identity", identity}, {"version", version}})));
  return version;
}

Result<std::vector<line::Step>> build_steps(const demand::Demand& stated, store::Workspace& workspace, const BuildOptions& options) {
  SIGHTLINE_TRY(const TaskLine* task, find_line(stated.task));
  std::optional<demand::Demand> on_default;
  if (task->frozen_only) {
    SIGHTLINE_TRY(on_default, on_frozen_backbone(stated, workspace));
  } else if (task->fit_head != nullptr) {
    SIGHTLINE_TRY(on_default, on_default_backbone(stated, workspace, usable_cores()));
  }
  SIGHTLINE_TRY(const demand::Demand demand, with_backbone_file(on_default ? *on_default : stated, workspace));
  BuildContext context{
      .workspace = &workspace, .demand = demand, .task = task, .options = options, .sources = options.sources, .intake = options.intake};
  context.by_default = on_default.has_value() && !task->frozen_only;
  if (context.sources == nullptr) context.sources = std::make_shared<FeatureSources>();
  context.threads = demand.limits.cores > 0 ? std::min(demand.limits.cores, usable_cores()) : usable_cores();
  if (options.threads > 0) context.threads = std::min(context.threads, options.threads);
  if (task->check_demand != nullptr) SIGHTLINE_CHECK(task->check_demand(demand));
  if (task->starts) {
    SIGHTLINE_TRY(context.start, starting_weights());
  }
  SIGHTLINE_CHECK(context.sources->check_pins(demand));
  SIGHTLINE_TRY(const Digest listing, dataset::listing_digest(demand.data));
  SIGHTLINE_TRY(const std::vector<dataset::Correction> revisions,
                dataset::read_corrections(dataset::corrections_path(workspace.root(), demand.name)));
  context.corrections = dataset::corrections_in_force(revisions);
  SIGHTLINE_TRY(context.backbone, context.sources->digest_of(demand));
  std::vector<line::Step> steps;
  steps.push_back(import_step(context, listing));
  if (context.searches()) {
    SIGHTLINE_TRY(const std::vector<SearchBackbone> backbones, search_backbones(demand, workspace, context.backbone, context.threads));
    // Without the worker heads still compete.
    const Result<std::string> worker = line::find_worker("sightline-train");
    std::string version;
    if (worker.ok()) {
      SIGHTLINE_TRY(version, worker_version(*worker, workspace));
    }
    steps.push_back(split_step(context));
    steps.push_back(audit_step(context));
    steps.push_back(search_step(context, backbones, worker.ok() ? *worker : "", version));
    steps.push_back(search_package_step(context));
    steps.push_back(compress_step(context));
    steps.push_back(evaluate_step(context));
    steps.push_back(release_step(context));
    return steps;
  }
  if (context.frozen()) {
    steps.push_back(audit_step(context));
    steps.push_back(backbone_step(context));
    steps.push_back(head_step(context));
    if (context.escalates()) {
      const Worker worker{.program = [] { return line::find_worker("sightline-train"); },
                          .version = [&workspace]() -> Result<std::string> {
                            SIGHTLINE_TRY(const std::string program, line::find_worker("sightline-train"));
                            return worker_version(program, workspace);
                          }};
      for (line::Step& step : escalation_steps(context, worker)) steps.push_back(std::move(step));
    }
    steps.push_back(shared_package_step(context));
    steps.push_back(compress_step(context));
    steps.push_back(shared_evaluate_step(context));
    steps.push_back(release_step(context));
    return steps;
  }
  steps.push_back(split_step(context));
  steps.push_back(audit_step(context));
  steps.push_back(recipe_step(context));
  if (task->fit_step != nullptr) {
    steps.push_back(task->fit_step(context));
  } else {
    SIGHTLINE_TRY(const std::string worker, line::find_worker("sightline-train"));
    SIGHTLINE_TRY(const std::string version, worker_version(worker, workspace));
    steps.push_back(pack_step(context));
    if (context.classifies()) steps.push_back(label_errors_step(context));
    if (context.imports()) steps.push_back(probe_step(context));
    steps.push_back(train_step(context, worker, version));
    if (context.imports()) steps.push_back(choose_step(context));
  }
  steps.push_back(package_step(context));
  steps.push_back(compress_step(context));
  steps.push_back(evaluate_step(context));
  steps.push_back(release_step(context));
  return steps;
}

Result<BuildOutcome> build(const demand::Demand& demand, store::Workspace& workspace, const BuildOptions& options,
                           const line::Line::OnStep& on_step) {
  SIGHTLINE_TRY(std::vector<line::Step> steps, build_steps(demand, workspace, options));
  line::Line line(workspace, demand.name, std::move(steps), options.log);

  // A build that finds nothing to do leaves no run behind.
  SIGHTLINE_TRY(const std::vector<line::Planned> planned, line.plan());
  const bool something = std::ranges::any_of(
      planned, [](const line::Planned& p) { return p.decision != line::Decision::reuse && p.decision != line::Decision::skip; });
  std::int64_t run = 0;
  if (something) {
    SIGHTLINE_TRY(run, workspace.registry().begin_run(demand.name));
  }
  std::optional<BuildJournal> journal;
  if (options.journal && something) {
    const Result<void> begun = journal.emplace(workspace.root(), demand.name).begin(planned, demand);
    if (!begun.ok()) {  // nothing depends on it
      log_warning("nobody can look on: {}", begun.error().message);
      journal.reset();
    }
  }
  const Result<void> status = line.run([&](const line::Planned& planned_step, const line::StepRecord* finished) {
    if (journal) journal->step(planned_step, finished);
    if (on_step) on_step(planned_step, finished);
  });
  if (!status.ok()) {
    if (journal) journal->end(status.error().kind == ErrorKind::interrupted ? "interrupted" : "failed", status.error().message);
    if (run != 0) {
      const char* outcome = status.error().kind == ErrorKind::interrupted ? "interrupted" : "failed";
      // The error that matters is the step's; the run then stays "running" in the registry if even this write fails.
      if (auto written = workspace.registry().end_run(run, outcome, status.error().message); !written.ok()) return status.error();
    }
    return status.error();
  }

  BuildOutcome outcome;
  outcome.ran_anything = line.ran_anything();
  SIGHTLINE_TRY(outcome.package, line.output("compress", "package"));
  SIGHTLINE_TRY(outcome.evaluation, line.output("evaluate", "evaluation"));
  if (options.report) {
    SIGHTLINE_TRY(outcome.report, line.output("release", "report"));
  }
  for (const line::Planned& p : planned) {
    if (const line::StepRecord* record = line.record(p.step)) outcome.steps.push_back(*record);
  }
  // What a head said of more images is not said where another model took its place.
  const bool replaced = std::ranges::any_of(outcome.steps, [](const line::StepRecord& step) { return step.figures.value("kept", false); });
  if (const line::StepRecord* head = line.record("head"); head != nullptr && !replaced && head->figures.contains("outlook"))
    SIGHTLINE_CHECK(from_json(head->figures["outlook"], outcome.outlook, "outlook"));
  const Json& figures = line.record("release")->figures;
  outcome.released = figures.value("released", false);
  outcome.version = figures.value("version", std::int64_t{0});
  outcome.sentence = figures.value("sentence", "");
  if (journal) journal->end(outcome.released ? "released" : "refused", outcome.sentence);
  if (run != 0) SIGHTLINE_CHECK(workspace.registry().end_run(run, outcome.released ? "released" : "refused", outcome.sentence));
  return outcome;
}

}  // namespace sightline::factory
