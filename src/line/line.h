// Steps, in order, each run at most once for the same key. Knows nothing of vision.
//
//   key = SHA-256(step name, version, canonical parameters, input digests, environment)
//
// A step whose key is in the log and whose output blobs exist is reused. Every decision leaves one sentence. One runner wraps every step:
// interrupt, time, memory, verify, log. Two processes that want the same step wait for each other (a lock per key).
//
// A step may be wanted only when an earlier one finds so (Step::skipped_by). One that is not wanted costs nothing and leaves no record:
// what it made before stays in the log, so that it is reused when it is wanted again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "line/step_log.h"
#include "store/workspace.h"

namespace sightline::line {

class StepContext;

struct Input {
  std::string name;
  std::string step, output;  // output of an earlier step, or:
  Digest digest;             // a blob, or any digest of something outside the store (a listing of the data folder)
  bool optional = false;     // left out (of the key as well) when that step was skipped; else who reads it is skipped too
};

// A figure of an earlier step that is a text, and not empty, says why a step is not wanted.
struct Verdict {
  std::string step, figure;
};

struct Step {
  std::string name;
  int version = 1;   // raised when the body's meaning changes
  std::string says;  // "learn the weights": for plan and progress
  Json parameters = Json::object();
  std::vector<Input> inputs;
  Json environment = Json::object();  // what else decides the outputs' bits: ISA, threads, library versions
  // What of the environment is costly to find out: asked once it is known that the step is wanted, and added to the above.
  std::function<Result<Json>()> late_environment;
  std::optional<Verdict> skipped_by;  // empty: always wanted
  std::vector<std::string> outputs;   // the names that body must put
  std::function<Result<void>(StepContext&)> body;
  // What changed between two digests of an input, for a person ("the label of 12 images changed"); may be empty.
  std::function<std::string(const std::string& input, const Digest& before, const Digest& after)> describe_change;
};

class StepContext {
 public:
  Digest input(const std::string& name) const;  // "" for an optional one whose step was skipped
  bool has_input(const std::string& name) const { return inputs_.contains(name); }
  std::string input_path(const std::string& name) const;  // the blob's file
  Result<std::string> read_input(const std::string& name) const;
  // Of the step that made the input: its figures, what it took. Measured, so that no output may depend on more of it than a decision does,
  // which is then the record. Null for what comes from outside, and when it was skipped.
  const StepRecord* maker(const std::string& name) const;
  // Survives a kill, with whatever half-written files are in it: checkpoints go here. Removed after success.
  const std::string& work_folder() const { return work_folder_; }
  // A folder below it that is empty now, whatever a killed run left: what is put as a folder is written here.
  Result<std::string> fresh_folder(const std::string& name);
  store::Workspace& workspace() { return workspace_; }

  // Each declared output exactly once. Error internal: not declared, or put twice.
  Result<void> put(const std::string& output, std::string_view bytes);
  Result<void> put_file(const std::string& output, const std::string& path);  // adopts the file
  // As a tree; `known` as BlobStore::put_tree.
  Result<void> put_folder(const std::string& output, const std::string& path, const std::map<std::string, Digest>& known = {});
  // The input as it is.
  Result<void> pass_on(const std::string& output, const std::string& input);
  void figure(const std::string& name, const Json& value);  // kept in the log beside the outputs, not part of any digest

 private:
  friend class Line;
  StepContext(store::Workspace& workspace, const Step& step) : workspace_(workspace), step_(step) {}
  Result<void> may_put(const std::string& output) const;
  store::Workspace& workspace_;
  const Step& step_;
  std::string work_folder_;
  std::map<std::string, Digest> inputs_, outputs_;
  std::map<std::string, const StepRecord*> makers_;
  Json figures_ = Json::object();
};

enum class Decision { reuse, run, skip, unknown };  // unknown: depends on a step that would run

struct Planned {
  std::string step, says;
  Decision decision = Decision::run;
  std::string sentence;         // "reused: …" / "runs because …" / "skipped because …"
  double expected_seconds = 0;  // of the last time it ran; 0: never ran
};

class Line {
 public:
  // `pipeline` names the chain (the demand's name): explanations compare with its last record.
  // `log` is the workspace's step log when the caller has it open already; for one thread, as the Line.
  Line(store::Workspace& workspace, std::string pipeline, std::vector<Step> steps, std::shared_ptr<StepLog> log = nullptr);

  // Also hash the outputs of steps that could be reused; a damaged one is set aside and its step runs again. Otherwise existence and size
  // are trusted.
  void verify_reused(bool wanted) { verify_ = wanted; }

  // What run() would do; runs nothing and writes nothing.
  Result<std::vector<Planned>> plan();
  // Runs what has to be run; on_step is called before and after each step, reused ones too, and once for a skipped one. Stops at the first
  // error. Catches exceptions of bodies (error internal). From here until the Line goes, garbage is not collected: make the release before
  // that. Errors: those of the bodies, after "step NAME: "; interrupted; conflict while garbage is collected.
  using OnStep = std::function<void(const Planned&, const StepRecord* finished)>;
  Result<void> run(const OnStep& on_step = {});

  // After run(): what a step left; nothing when it was skipped.
  Result<Digest> output(const std::string& step, const std::string& name) const;
  const StepRecord* record(const std::string& step) const;
  bool ran_anything() const { return ran_anything_; }

 private:
  struct Done {
    std::map<std::string, StepRecord> records;
    std::set<std::string> skipped;
  };
  struct Decided {
    Planned planned;
    Digest key;
    std::map<std::string, Digest> inputs;
    const StepRecord* record = nullptr;  // what is reused
    std::vector<Digest> damaged;         // set aside before the step runs again
  };
  Result<void> check_steps() const;
  Result<void> load_log();
  Result<Decided> decide(Step& step, const Done& done) const;
  static bool find_inputs(const Step& step, const Done& done, Decided& decided);
  std::string unusable_output(const Step& step, const StepRecord& record, std::vector<Digest>& damaged) const;
  Result<void> run_step(Step& step, const OnStep& on_step);
  Result<StepRecord> execute(const Step& step, const Decided& decided);
  StepRecord reused(const Step& step, const Decided& decided);
  Result<FileLock> lock_step(const Step& step, const Digest& key) const;

  store::Workspace& workspace_;
  std::string pipeline_;
  std::vector<Step> steps_;
  std::shared_ptr<StepLog> log_;
  FileLock building_;
  Done done_;
  bool verify_ = false, locked_ = false, ran_anything_ = false;
};

}  // namespace sightline::line
