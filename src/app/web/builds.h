// Demands of the workspace's folder, and builds of them: what they say of themselves while they go on, started and stopped from here.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "app/web/site.h"
#include "base/child_process.h"
#include "base/json.h"

namespace sightline::web {

// Builds run as `sightline build` in processes of their own, one for each demand, and are asked to stop when this goes. Any number of
// threads.
class Builds {
 public:
  explicit Builds(std::shared_ptr<Site> site);
  Builds(const Builds&) = delete;
  Builds& operator=(const Builds&) = delete;
  ~Builds();

  // The YAML files beside the workspace: [{"file","name","task","metric","target","kind": "demand"|"fleet","demands","problem","state"}…]
  Json demands() const;
  // file: a name that demands() lists. Gives {"name"}. Errors: not_found, unsupported (a fleet), conflict (it is being built), and those of
  // the demand.
  Result<Json> start(const std::string& file);
  // Asks it to stop at the next safe point. Errors: not_found, conflict (it was started elsewhere).
  Result<Json> cancel(const std::string& name);
  // factory::BuildState, and "here": whether it was started from here and goes on, "problem": why it could not begin. Error not_found.
  Result<Json> state(const std::string& name);
  // Changes with everything that state() tells.
  std::string stamp(const std::string& name);

 private:
  struct Running {
    ChildProcess process;
    std::string journal_before;  // how the journal's file was when it began
    std::string out, err;
  };
  void watch(const std::stop_token& stop);
  bool goes_on(const std::string& name);

  std::shared_ptr<Site> site_;
  std::mutex mutex_;
  std::map<std::string, Running> running_;
  std::map<std::string, std::string> problems_;  // of builds that ended without a journal
  std::jthread watcher_;
};

}  // namespace sightline::web
