#include "line/line.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/fault.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/machine.h"
#include "line/explain.h"

namespace sightline::line {
namespace {

using Clock = std::chrono::steady_clock;

Digest key_of(const Step& step, const std::map<std::string, Digest>& inputs) {
  Sha256 hash;
  hash.add_field("sightline step").add_field(step.name).add_field(std::to_string(step.version)).add_field(json_text(step.parameters));
  hash.add_field(std::to_string(inputs.size()));
  for (const auto& [name, digest] : inputs) hash.add_field(name).add_field(digest);
  return hash.add_field(json_text(step.environment)).finish();
}

std::uint64_t peak_of_children() {
  rusage usage{};
  return ::getrusage(RUSAGE_CHILDREN, &usage) == 0 ? static_cast<std::uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

// The only place where what a body throws is caught.
Result<void> call_body(const Step& step, StepContext& context) {
  try {
    return step.body(context);
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::io, "the machine's memory does not suffice; close other programs or ask for less"};
  } catch (const std::exception& e) {
    return Error{ErrorKind::internal, fmt::format("unexpected failure: {}", e.what())};
  } catch (...) {
    return Error{ErrorKind::internal, "unexpected failure of unknown kind"};
  }
}

Error error_in(const Step& step, const Error& error) {
  return error.kind == ErrorKind::interrupted ? error : error.in(fmt::format("step \"{}\"", step.name));
}

}  // namespace

Digest StepContext::input(const std::string& name) const {
  const auto found = inputs_.find(name);
  return found == inputs_.end() ? Digest() : found->second;
}
std::string StepContext::input_path(const std::string& name) const { return workspace_.blobs().path_of(input(name)); }

const StepRecord* StepContext::maker(const std::string& name) const {
  const auto found = makers_.find(name);
  return found == makers_.end() ? nullptr : found->second;
}

Result<std::string> StepContext::read_input(const std::string& name) const {
  if (!inputs_.contains(name)) return Error{ErrorKind::internal, fmt::format("step \"{}\" has no input \"{}\"", step_.name, name)};
  auto bytes = workspace_.blobs().get(input(name));
  if (!bytes.ok()) return bytes.error().in(fmt::format("input \"{}\"", name));
  return bytes;
}

Result<std::string> StepContext::fresh_folder(const std::string& name) {
  std::string folder = work_folder_ + "/" + name;
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(make_directories(folder));
  return folder;
}

Result<void> StepContext::may_put(const std::string& output) const {
  if (std::find(step_.outputs.begin(), step_.outputs.end(), output) == step_.outputs.end())
    return Error{ErrorKind::internal, fmt::format("output \"{}\" is not declared", output)};
  if (outputs_.contains(output)) return Error{ErrorKind::internal, fmt::format("output \"{}\" was put twice", output)};
  return {};
}
Result<void> StepContext::put(const std::string& output, std::string_view bytes) {
  SIGHTLINE_CHECK(may_put(output));
  SIGHTLINE_TRY(outputs_[output], workspace_.blobs().put(bytes));
  return {};
}
Result<void> StepContext::put_file(const std::string& output, const std::string& path) {
  SIGHTLINE_CHECK(may_put(output));
  SIGHTLINE_TRY(outputs_[output], workspace_.blobs().adopt_file(path));
  return {};
}
Result<void> StepContext::put_folder(const std::string& output, const std::string& path, const std::map<std::string, Digest>& known) {
  SIGHTLINE_CHECK(may_put(output));
  SIGHTLINE_TRY(outputs_[output], workspace_.blobs().put_tree(path, known));
  return {};
}
Result<void> StepContext::pass_on(const std::string& output, const std::string& input) {
  SIGHTLINE_CHECK(may_put(output));
  outputs_[output] = this->input(input);
  return {};
}
void StepContext::figure(const std::string& name, const Json& value) { figures_[name] = value; }

Line::Line(store::Workspace& workspace, std::string pipeline, std::vector<Step> steps, std::shared_ptr<StepLog> log)
    : workspace_(workspace), pipeline_(std::move(pipeline)), steps_(std::move(steps)), log_(std::move(log)) {}

Result<void> Line::check_steps() const {
  const auto mistake = [](const Step& step, const std::string& what) {
    return Error{ErrorKind::internal, fmt::format("step \"{}\": {}", step.name, what)};
  };
  std::map<std::string, std::set<std::string>> earlier;
  for (const Step& step : steps_) {
    if (earlier.contains(step.name)) return mistake(step, "the name stands twice");
    if (!step.body) return mistake(step, "it has no body");
    std::set<std::string> names;
    for (const Input& input : step.inputs) {
      if (!names.insert(input.name).second) return mistake(step, fmt::format("input \"{}\" stands twice", input.name));
      if (input.step.empty() ? input.digest.empty() : !earlier.contains(input.step) || !earlier[input.step].contains(input.output))
        return mistake(step, fmt::format("input \"{}\" comes from nowhere", input.name));
    }
    if (step.skipped_by && !earlier.contains(step.skipped_by->step))
      return mistake(step, fmt::format("\"{}\", which says whether it is wanted, is no earlier step", step.skipped_by->step));
    earlier[step.name] = std::set<std::string>(step.outputs.begin(), step.outputs.end());
    if (earlier[step.name].size() != step.outputs.size()) return mistake(step, "an output stands twice");
  }
  return {};
}

Result<void> Line::load_log() {
  if (log_) return log_->reload();
  SIGHTLINE_TRY(StepLog log, StepLog::open(workspace_.step_log_path()));
  log_ = std::make_shared<StepLog>(std::move(log));
  return {};
}

// Words for the first output that cannot be reused, or "".
std::string Line::unusable_output(const Step& step, const StepRecord& record, std::vector<Digest>& damaged) const {
  const store::BlobStore& blobs = workspace_.blobs();
  for (const std::string& name : step.outputs) {
    const auto digest = record.outputs.find(name);
    const auto bytes = record.output_bytes.find(name);
    if (digest == record.outputs.end() || bytes == record.output_bytes.end())
      return fmt::format("its output \"{}\" was not made the last time", name);
    auto bad = blobs.missing_part(digest->second, bytes->second);
    if (!bad && verify_) bad = blobs.damaged_part(digest->second);
    if (!bad) continue;
    if (!blobs.contains(*bad)) return fmt::format("its output \"{}\" is missing from the store", name);
    damaged.push_back(*bad);
    return fmt::format("its output \"{}\" is damaged in the store", name);
  }
  return "";
}

// What the step reads. False when that settles the matter: it is skipped, or nobody knows yet.
bool Line::find_inputs(const Step& step, const Done& done, Decided& decided) {
  Planned& planned = decided.planned;
  const auto skip = [&](const std::string& why) {
    planned.decision = Decision::skip;
    planned.sentence = "skipped because " + why;
    return false;
  };
  const auto wait_for = [&](const std::string& other) {
    planned.decision = Decision::unknown;
    planned.sentence = fmt::format("depends on \"{}\", which would run", other);
    return false;
  };
  // Whether it is wanted comes first: what it reads may be skipped for the same reason, in fewer words.
  if (step.skipped_by && !done.skipped.contains(step.skipped_by->step)) {
    const auto judge = done.records.find(step.skipped_by->step);
    if (judge == done.records.end()) return wait_for(step.skipped_by->step);
    const Json& figures = judge->second.figures;
    const auto why = figures.find(step.skipped_by->figure);
    if (why != figures.end() && why->is_string() && !why->get_ref<const std::string&>().empty()) return skip(why->get<std::string>());
  }
  if (step.skipped_by && done.skipped.contains(step.skipped_by->step)) return skip(fmt::format("\"{}\" was", step.skipped_by->step));
  for (const Input& input : step.inputs) {
    if (input.step.empty()) {
      decided.inputs[input.name] = input.digest;
    } else if (done.skipped.contains(input.step)) {
      if (!input.optional) return skip(fmt::format("\"{}\" was", input.step));
    } else {
      const auto made = done.records.find(input.step);
      if (made == done.records.end()) return wait_for(input.step);
      decided.inputs[input.name] = made->second.outputs.at(input.output);
    }
  }
  return true;
}

Result<Line::Decided> Line::decide(Step& step, const Done& done) const {
  Decided decided;
  Planned& planned = decided.planned;
  planned.step = step.name;
  planned.says = step.says;
  const StepRecord* before = log_->last(pipeline_, step.name);
  if (before != nullptr) planned.expected_seconds = before->seconds;
  if (!find_inputs(step, done, decided)) return decided;
  if (step.late_environment) {
    SIGHTLINE_TRY(const Json more, step.late_environment());
    step.environment.update(more);
    step.late_environment = nullptr;
  }
  decided.key = key_of(step, decided.inputs);
  const StepRecord* record = log_->find(decided.key);
  planned.decision = Decision::run;
  if (record == nullptr) {
    planned.sentence = why_it_runs(step, decided.inputs, before);
    return decided;
  }
  planned.expected_seconds = record->seconds;
  if (const std::string words = unusable_output(step, *record, decided.damaged); !words.empty()) {
    planned.sentence = "runs because " + words;
    return decided;
  }
  planned.decision = Decision::reuse;
  decided.record = record;
  const std::string when = local_minute(record->started);
  if (before == nullptr) {
    planned.sentence = fmt::format("reused: \"{}\" made the same on {}", record->pipeline, when);
  } else if (before->key != decided.key) {
    planned.sentence = fmt::format("reused: the same was made on {}", when);
  } else {
    planned.sentence = fmt::format("reused: nothing changed since {}", when);
  }
  return decided;
}

Result<std::vector<Planned>> Line::plan() {
  SIGHTLINE_CHECK(check_steps());
  SIGHTLINE_CHECK(load_log());
  std::vector<Planned> all;
  Done done;
  for (Step& step : steps_) {
    auto decided = decide(step, done);
    if (!decided.ok()) return error_in(step, decided.error());
    if (decided->record != nullptr) done.records[step.name] = *decided->record;
    if (decided->planned.decision == Decision::skip) done.skipped.insert(step.name);
    all.push_back(std::move(decided->planned));
  }
  return all;
}

Result<void> Line::run(const OnStep& on_step) {
  SIGHTLINE_CHECK(check_steps());
  if (!locked_) {
    SIGHTLINE_TRY(building_, workspace_.lock_for_building());
    locked_ = true;
  }
  SIGHTLINE_CHECK(load_log());
  done_ = {};
  ran_anything_ = false;
  for (Step& step : steps_) {
    SIGHTLINE_CHECK(check_interrupt());
    if (const auto status = run_step(step, on_step); !status.ok()) return error_in(step, status.error());
  }
  return {};
}

Result<void> Line::run_step(Step& step, const OnStep& on_step) {
  const auto tell = [&](const Decided& decided, const StepRecord* finished) {
    if (on_step) on_step(decided.planned, finished);
  };
  SIGHTLINE_TRY(Decided decided, decide(step, done_));
  if (decided.planned.decision == Decision::skip) {
    done_.skipped.insert(step.name);
    tell(decided, nullptr);
    return {};
  }
  FileLock lock;
  if (decided.planned.decision != Decision::reuse) {
    SIGHTLINE_TRY(lock, lock_step(step, decided.key));
    // Whoever held the lock may have made it meanwhile.
    SIGHTLINE_CHECK(log_->reload());
    SIGHTLINE_TRY(decided, decide(step, done_));
  }
  tell(decided, nullptr);
  if (decided.record != nullptr) {
    done_.records[step.name] = reused(step, decided);
  } else {
    ran_anything_ = true;
    for (const Digest& digest : decided.damaged) SIGHTLINE_CHECK(workspace_.blobs().quarantine(digest));
    SIGHTLINE_TRY(done_.records[step.name], execute(step, decided));
  }
  tell(decided, &done_.records[step.name]);
  return {};
}

// The record as this pipeline's. What this pipeline did last is what the next explanation compares with, so a return to an earlier state is
// logged; that nothing changed is not.
StepRecord Line::reused(const Step& step, const Decided& decided) {
  StepRecord record = *decided.record;
  const StepRecord* before = log_->last(pipeline_, step.name);
  if (before != nullptr && before->key == decided.key) return record;
  record.pipeline = pipeline_;
  record.sentence = decided.planned.sentence;
  if (const auto logged = log_->append(record); !logged.ok()) log_debug("{}", logged.error().message);
  return record;
}

Result<FileLock> Line::lock_step(const Step& step, const Digest& key) const {
  const std::string path = workspace_.step_lock_path(key);
  for (bool told = false;; told = true) {
    Result<FileLock> lock = FileLock::acquire(path, false);
    if (lock.ok() || lock.error().kind != ErrorKind::conflict) return lock;
    if (!told) log_info("another build runs the step \"{}\"; waiting for it", step.name);
    SIGHTLINE_CHECK(check_interrupt());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<StepRecord> Line::execute(const Step& step, const Decided& decided) {
  StepContext context(workspace_, step);
  context.inputs_ = decided.inputs;
  for (const Input& input : step.inputs)
    if (const StepRecord* made = record(input.step)) context.makers_[input.name] = made;
  context.work_folder_ = workspace_.work_folder(decided.key);
  SIGHTLINE_CHECK(make_directories(context.work_folder_));

  StepRecord record{.pipeline = pipeline_,
                    .step = step.name,
                    .key = decided.key,
                    .version = step.version,
                    .parameters = step.parameters,
                    .environment = step.environment,
                    .inputs = decided.inputs,
                    .outputs = {},
                    .output_bytes = {},
                    .figures = {},
                    .started = utc_now(),
                    .seconds = 0,
                    .peak_memory = 0,
                    .sentence = decided.planned.sentence};
  reset_peak_memory();
  const std::uint64_t children_before = peak_of_children();
  const Clock::time_point begin = Clock::now();
  SIGHTLINE_CHECK(call_body(step, context));
  record.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  // A worker's peak is seen only when it is the highest of all so far.
  record.peak_memory = peak_memory();
  if (peak_of_children() > children_before) record.peak_memory = std::max(record.peak_memory, peak_of_children());

  for (const std::string& name : step.outputs) {
    if (!context.outputs_.contains(name)) return Error{ErrorKind::internal, fmt::format("it ended without its output \"{}\"", name)};
    SIGHTLINE_TRY(record.output_bytes[name], workspace_.blobs().bytes_of(context.outputs_[name]));
  }
  record.outputs = std::move(context.outputs_);
  record.figures = std::move(context.figures_);
  fault_point("step:" + step.name);
  SIGHTLINE_CHECK(log_->append(record));
  SIGHTLINE_CHECK(remove_all(context.work_folder_));
  (void)::unlink(workspace_.step_lock_path(decided.key).c_str());  // still held: FileLock knows of this
  return record;
}

Result<Digest> Line::output(const std::string& step, const std::string& name) const {
  const StepRecord* found = record(step);
  if (found == nullptr || !found->outputs.contains(name))
    return Error{ErrorKind::not_found, fmt::format("the step \"{}\" left no output \"{}\"", step, name)};
  return found->outputs.at(name);
}

const StepRecord* Line::record(const std::string& step) const {
  const auto found = done_.records.find(step);
  return found == done_.records.end() ? nullptr : &found->second;
}

}  // namespace sightline::line
