// One workspace as the handlers of the web page read it: the registry and the step log stay open, and what was read of blobs, which never
// change, is remembered.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataset/manifest.h"
#include "evaluation/evaluation.h"
#include "line/step_log.h"
#include "store/workspace.h"

namespace sightline::web {

// What the overview and the comparison need of an evaluation.
struct Reached {
  std::string task;
  std::map<std::string, evaluation::Interval> intervals;
};

// Any number of threads.
class Site {
 public:
  // Errors: not_found, and those of Workspace::open.
  static Result<std::shared_ptr<Site>> open(const std::string& root);

  const std::string& root() const { return root_; }
  std::string folder() const;  // that the workspace lies in, where the demands are

  Result<std::vector<store::Release>> releases(const std::string& name = "");
  // 0: the one in force. Errors: usage (the name), not_found.
  Result<store::Release> release(const std::string& name, std::int64_t version);
  Result<std::vector<store::Run>> runs(const std::string& name = "");
  // Makes a version the one in force; gives the one that was, or 0. Errors: not_found, io.
  Result<std::int64_t> put_in_force(const std::string& name, std::int64_t version);

  // The last record of this step of this demand.
  std::optional<line::StepRecord> last_step(const std::string& name, const std::string& step);
  // All of a demand's records, in their order.
  Result<std::vector<line::StepRecord>> steps(const std::string& name);
  // The record of the step "release" that made this release; nothing when the log no longer holds it.
  std::optional<line::StepRecord> made_by(const store::Release& release);

  // The manifest of the pictures that it was measured on. Error not_found: the log no longer says.
  Result<Digest> measured_on(const store::Release& release);

  Result<std::string> blob(const Digest& digest) const;
  Result<Json> json_blob(const Digest& digest, const std::string& what) const;
  Result<evaluation::Evaluation> evaluation_of(const store::Release& release) const;
  Result<Reached> reached(const Digest& evaluation);
  // Of the last few that were asked for, none is read again. Error not_found: there is no such manifest.
  Result<std::shared_ptr<const dataset::Manifest>> manifest(const Digest& digest);
  // The folder of a release's package.
  Result<std::string> package_folder(const store::Release& release);

 private:
  Site(std::string root, store::Workspace workspace, line::StepLog log);
  Result<void> refresh();

  std::string root_;
  std::mutex mutex_;  // registry and log are for one thread at a time
  store::Workspace workspace_;
  line::StepLog log_;
  std::map<Digest, Reached> reached_;
  std::list<std::pair<Digest, std::shared_ptr<const dataset::Manifest>>> manifests_;  // the last one asked for first
};

// A whole number of a path or query, at least `least`. Error usage names it.
Result<std::int64_t> number_of(const std::string& text, const std::string& name, std::int64_t least, std::int64_t otherwise);

}  // namespace sightline::web
