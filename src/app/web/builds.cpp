#include "app/web/builds.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/files.h"
#include "demand/demand.h"
#include "demand/fleet.h"
#include "factory/build_journal.h"

namespace sightline::web {
namespace {

constexpr std::chrono::milliseconds look_every{250}, patience{8000};
constexpr std::size_t kKeptOutput = 64 << 10U;

std::vector<std::string> yaml_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code code;
  for (std::filesystem::directory_iterator each(folder, code), end; !code && each != end; each.increment(code)) {
    const std::string name = each->path().filename().string();
    const std::string ending = each->path().extension().string();
    if (!name.starts_with('.') && (ending == ".yaml" || ending == ".yml") && each->is_regular_file(code)) files.push_back(name);
  }
  std::ranges::sort(files);
  return files;
}

// The outcome of the last build, as its journal says; "" where there is none.
std::string last_outcome(const std::string& root, const std::string& name) {
  const Result<factory::BuildState> state = factory::read_build_journal(root, name);
  return state.ok() ? state->outcome : "";
}

Json described(const std::string& root, const std::string& folder, const std::string& file) {
  Json json{{"file", file},      {"name", ""},       {"task", ""},    {"metric", ""},
            {"target", nullptr}, {"kind", "demand"}, {"problem", ""}, {"state", ""}};
  const Result<demand::Demand> demand = demand::read_demand(folder + "/" + file);
  if (demand.ok()) {
    json.update({{"name", demand->name}, {"task", demand->task}, {"metric", demand->target.metric}, {"target", demand->target.at_least}});
    json["state"] = last_outcome(root, demand->name);
    return json;
  }
  if (const Result<demand::Fleet> fleet = demand::read_fleet(folder + "/" + file); fleet.ok()) {
    json.update({{"name", fleet->name}, {"kind", "fleet"}, {"demands", fleet->demands.size()}});
    return json;
  }
  json["problem"] = demand.error().message;
  return json;
}

void drain(int fd, std::string& text) {
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  if (text.size() > kKeptOutput) text.erase(0, text.size() - kKeptOutput);
}

// What `sightline build --json` said when it could not.
std::string problem_of(const std::string& out, const std::string& err) {
  const Json json = Json::parse(out, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) return json["error"].value("message", "");
  return json.is_object() ? "" : err;
}

// Changes with the journal's file.
std::string journal_stamp(const std::string& root, const std::string& name) {
  struct stat info {};
  if (::stat(factory::build_journal_path(root, name).c_str(), &info) != 0) return "";
  return fmt::format("{} {} {}.{}", info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

Builds::Builds(std::shared_ptr<Site> site) : site_(std::move(site)), watcher_([this](const std::stop_token& stop) { watch(stop); }) {}

Builds::~Builds() {
  watcher_.request_stop();
  watcher_.join();
  for (auto& [name, each] : running_) each.process.interrupt();
  const auto until = std::chrono::steady_clock::now() + patience;
  for (auto& [name, each] : running_)
    while (!each.process.wait(false) && std::chrono::steady_clock::now() < until) {
      drain(each.process.out.get(), each.out);
      drain(each.process.err.get(), each.err);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

void Builds::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(mutex_);
      for (auto each = running_.begin(); each != running_.end();) {
        Running& running = each->second;
        drain(running.process.out.get(), running.out);
        drain(running.process.err.get(), running.err);
        if (!running.process.wait(false)) {
          ++each;
          continue;
        }
        drain(running.process.out.get(), running.out);
        // Once a journal was begun it says how the build ended.
        const bool told = journal_stamp(site_->root(), each->first) != running.journal_before;
        problems_[each->first] = told ? "" : problem_of(running.out, running.err);
        each = running_.erase(each);
      }
    }
    std::this_thread::sleep_for(look_every);
  }
}

Json Builds::demands() const {
  Json list = Json::array();
  for (const std::string& file : yaml_files(site_->folder())) list.push_back(described(site_->root(), site_->folder(), file));
  return list;
}

Result<Json> Builds::start(const std::string& file) {
  const std::vector<std::string> files = yaml_files(site_->folder());
  if (std::ranges::find(files, file) == files.end())
    return Error{ErrorKind::not_found, "there is no such demand beside the workspace; GET /v1/workspace/demands lists them"};
  const std::string path = site_->folder() + "/" + file;
  const Result<demand::Demand> demand = demand::read_demand(path);
  if (!demand.ok()) {
    if (demand::read_fleet(path).ok())
      return Error{ErrorKind::unsupported, file + " is a fleet: build it with `sightline fleet`, which says how far it is"};
    return demand.error();
  }
  const Result<factory::BuildState> before = factory::read_build_journal(site_->root(), demand->name);
  const Error busy{ErrorKind::conflict, demand->name + " is being built already"};
  if (before.ok() && before->outcome == "running") return busy;
  std::error_code code;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", code).string();
  const std::lock_guard lock(mutex_);
  if (running_.contains(demand->name)) return busy;
  const std::string journal_before = journal_stamp(site_->root(), demand->name);
  SIGHTLINE_TRY(ChildProcess process,
                ChildProcess::start(program, {"build", path, "--json", "--workspace", site_->root()}, {.dies_with_thread = false}));
  problems_.erase(demand->name);
  running_.emplace(demand->name, Running{.process = std::move(process), .journal_before = journal_before, .out = "", .err = ""});
  return Json{{"name", demand->name}};
}

bool Builds::goes_on(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return running_.contains(name);
}

Result<Json> Builds::cancel(const std::string& name) {
  SIGHTLINE_CHECK(store::check_release_name(name));
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = running_.find(name); found != running_.end()) {
      found->second.process.interrupt();
      return Json{{"name", name}};
    }
  }
  SIGHTLINE_TRY(const factory::BuildState state, factory::read_build_journal(site_->root(), name));
  if (state.outcome == "running")
    return Error{ErrorKind::conflict, name + " is built by a process that was started elsewhere: stop it there with Ctrl-C"};
  return Error{ErrorKind::not_found, name + " is not being built"};
}

Result<Json> Builds::state(const std::string& name) {
  const Result<factory::BuildState> state = factory::read_build_journal(site_->root(), name);
  const std::lock_guard lock(mutex_);
  const auto problem = problems_.find(name);
  const bool here = running_.contains(name);
  if (!state.ok() && !here && problem == problems_.end()) return state.error();
  Json json = to_json(state.ok() ? *state : factory::BuildState{.name = name, .outcome = here ? "running" : "failed"});
  json["here"] = here;
  json["problem"] = problem == problems_.end() ? "" : problem->second;
  return json;
}

std::string Builds::stamp(const std::string& name) { return fmt::format("{} {}", journal_stamp(site_->root(), name), goes_on(name)); }

}  // namespace sightline::web
