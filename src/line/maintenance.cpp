#include "line/maintenance.h"

#include <fmt/format.h>

#include "base/text.h"
#include "line/step_log.h"

namespace sightline::line {

Result<std::vector<store::Problem>> fsck(store::Workspace& workspace, bool repair) {
  std::vector<store::Problem> log_problems;
  Result<StepLog> log = StepLog::open(workspace.step_log_path());
  if (!log.ok() && log.error().kind != ErrorKind::invalid_data) return log.error();
  if (!log.ok() && repair) {
    SIGHTLINE_TRY(const std::size_t bad, StepLog::repair(workspace.step_log_path()));
    log_problems.push_back({log.error().message, fmt::format("{} set aside; the steps run again", plural(bad, "line"))});
    log = StepLog::open(workspace.step_log_path());
    if (!log.ok()) return log.error();
  } else if (!log.ok()) {
    log_problems.push_back({log.error().message, "run `sightline fsck --repair`"});
  }
  SIGHTLINE_TRY(std::vector<store::Problem> problems,
                store::fsck(workspace, log.ok() ? log->current_outputs() : std::vector<Digest>(), repair));
  problems.insert(problems.begin(), log_problems.begin(), log_problems.end());
  return problems;
}

Result<std::uint64_t> collect_garbage(store::Workspace& workspace, bool dry_run) {
  if (dry_run) {
    SIGHTLINE_TRY(const StepLog log, StepLog::open(workspace.step_log_path()));
    const FileLock none;  // as if it were held: the count is what a real run would free
    return store::collect_garbage(workspace, log.current_outputs(), true, &none);
  }
  // The log is read under the lock: what a build finishes later cannot be missing from it.
  SIGHTLINE_TRY(const FileLock lock, workspace.lock_for_cleaning());
  SIGHTLINE_TRY(const StepLog log, StepLog::open(workspace.step_log_path()));
  return store::collect_garbage(workspace, log.current_outputs(), false, &lock);
}

}  // namespace sightline::line
