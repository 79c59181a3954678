// The build pipeline: from a demand to a gated release, as steps in order. The only place that knows the whole way.
//
//   import → split → audit, recipe → pack → label-errors, train → package → compress → evaluate → release
//
// With a backbone and nothing said of what is to stay as it is (freeze: auto), a head is fitted on it first, and more is tuned only as far
// as the target asks for it (escalation_steps.h):
//   import → audit, backbone → head → judge → pilot → tail-data → tail → judge-tail → package → compress → evaluate → release
// With freeze: none or early the head is fitted before the network is tuned, and the better of the two is taken:
//   … pack → probe → train → choose → package …
// With freeze: backbone nothing is trained, and pictures are only looked at through the backbone (frozen_steps.cpp):
//   import → audit, backbone → head → package → compress → evaluate → release
// Tasks other than classify have nets of their own, trained as a whole, or fitted without training where the task says how (task_line.h):
//   import → split → audit, recipe → pack → train → package → compress → evaluate → release
//   import → split → audit, recipe → fit → package → compress → evaluate → release
// With search: candidates compete for its minutes in place of what the line would choose (search_steps.h):
//   import → split → audit, search → package → compress → evaluate → release
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataset/corrections.h"
#include "dataset/intake.h"
#include "demand/demand.h"
#include "factory/feature_sources.h"
#include "factory/recipe.h"
#include "factory/task_line.h"
#include "line/line.h"
#include "store/workspace.h"
#include "tasks/tasks.h"

namespace sightline::factory {

struct BuildOptions {
  bool progress = true;    // bars on stderr
  int threads = 0;         // 0: what the demand allows
  int latency_runs = 200;  // of the evaluation
  bool report = true;      // a page for the model
  bool journal = false;    // keep what happens in builds/NAME.jsonl while it happens (build_journal.h)
  int point = 0;           // of a search: the one that is packaged; 0: the one that it took
  // Shared by the builds of one process; made when there is none.
  std::shared_ptr<FeatureSources> sources = nullptr;
  std::shared_ptr<dataset::Intake> intake = nullptr;
  std::shared_ptr<line::StepLog> log = nullptr;  // of this thread
};

// The steps of a demand, ready for line::Line. Reads the listing of the data folder (stat only). Errors: not_found, usage (no
// sightline-train).
Result<std::vector<line::Step>> build_steps(const demand::Demand& demand, store::Workspace& workspace, const BuildOptions& options = {});

struct BuildOutcome {
  bool ran_anything = false;
  bool released = false;
  std::int64_t version = 0;  // of the release, 0 when refused
  std::string sentence;      // the gate's words
  // What the training images said of the target, a sentence each; of builds with a frozen backbone.
  std::vector<std::string> outlook;
  std::vector<line::StepRecord> steps;
  Digest package, evaluation;
  Digest report;  // "" when none was wanted
};

// Runs what has to be run, keeps the run in the registry, and tells how it ended. Errors as the steps give them; the run is recorded as
// failed or interrupted.
Result<BuildOutcome> build(const demand::Demand& demand, store::Workspace& workspace, const BuildOptions& options,
                           const line::Line::OnStep& on_step);

// --- the bodies of the steps, one file each ---

struct BuildContext {
  store::Workspace* workspace = nullptr;
  demand::Demand demand;
  const TaskLine* task = nullptr;
  BuildOptions options;
  int threads = 0;                            // of training and measurements
  Digest backbone = {};                       // of the files that demand.backbone names
  std::optional<StartingWeights> start = {};  // where the task begins with it; nothing: no backbone is shipped
  bool by_default = false;                    // the demand names no backbone and escalates from the default one
  std::shared_ptr<FeatureSources> sources;
  std::shared_ptr<dataset::Intake> intake;
  std::vector<dataset::Correction> corrections = {};  // of labels, by people, that are in force

  bool classifies() const { return demand.task == "classify"; }
  bool from_good() const {
    const auto row = tasks::find_task(demand.task);
    return row.ok() && (*row)->from_good;
  }
  bool imports() const { return demand.backbone && demand.backbone->onnx; }
  bool searches() const { return demand.search.has_value(); }
  // The head comes first, on the frozen backbone; with freeze: auto more may be tuned then.
  bool frozen() const { return !searches() && imports() && (demand.backbone->freeze == demand::Freeze::backbone || escalates()); }
  bool escalates() const { return !searches() && imports() && demand.backbone->freeze == demand::Freeze::automatic; }
  // The steps that leave the model to begin training with and the trained one ("model", "history").
  std::string initial_step() const { return imports() ? "probe" : "recipe"; }
  std::string trained_step() const {
    return searches() ? "package" : frozen() ? "head" : imports() ? "choose" : task->fit_step != nullptr ? "fit" : "train";
  }
  std::string manifest_step() const { return frozen() ? "import" : "split"; }
  std::string suspects_step() const { return searches() ? "search" : frozen() ? "head" : "label-errors"; }
};

line::Step import_step(const BuildContext& context, const Digest& listing);
line::Step split_step(const BuildContext& context);
line::Step audit_step(const BuildContext& context);
line::Step recipe_step(const BuildContext& context);
line::Step pack_step(const BuildContext& context);
line::Step label_errors_step(const BuildContext& context);
line::Step probe_step(const BuildContext& context);     // backbone_steps.cpp
line::Step choose_step(const BuildContext& context);    // backbone_steps.cpp
line::Step backbone_step(const BuildContext& context);  // frozen_steps.cpp, as the next three
line::Step head_step(const BuildContext& context);
line::Step shared_package_step(const BuildContext& context);
line::Step shared_evaluate_step(const BuildContext& context);
line::Step train_step(const BuildContext& context, const std::string& worker, const std::string& worker_version);
line::Step package_step(const BuildContext& context);
line::Step compress_step(const BuildContext& context);
line::Step evaluate_step(const BuildContext& context);
line::Step release_step(const BuildContext& context);

}  // namespace sightline::factory
