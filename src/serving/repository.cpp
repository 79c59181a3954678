#include "serving/repository.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "base/files.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/text.h"
#include "package/layout.h"

namespace sightline::serving {
namespace {

// Models whose weights lie in the same file (a hard link, or the file itself) are on the same backbone.
std::string group_of(const std::string& path) {
  struct stat info {};
  if (::stat((path + "/" + package::shared_file).c_str(), &info) != 0) return "";
  return fmt::format("backbone {} {}", info.st_dev, info.st_ino);
}

}  // namespace

Loaded::~Loaded() {
  model.reset();
  if (engine_ != nullptr) engine_->remove(key);
}

Repository::Lease::Lease(std::shared_ptr<Loaded> loaded, std::shared_ptr<std::atomic<int>> under_way)
    : loaded_(std::move(loaded)), under_way_(std::move(under_way)) {}

Repository::Lease::~Lease() {
  if (under_way_ != nullptr) --*under_way_;
}

Repository::Repository(Catalogue catalogue, const RepositoryOptions& options)
    : catalogue_(std::move(catalogue)), options_(options), engine_(std::make_shared<Engine>(options.threads, options.batch)) {
  if (options_.most_bytes == 0) options_.most_bytes = total_memory() / 2;
}
Repository::~Repository() = default;

Result<std::unique_ptr<Repository>> Repository::open(Catalogue catalogue, const RepositoryOptions& options) {
  std::unique_ptr<Repository> repository(new Repository(std::move(catalogue), options));
  SIGHTLINE_CHECK(repository->refresh());
  return repository;
}

Error Repository::unknown(const std::string& name, std::int64_t version) const {
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) {
    std::vector<std::string> names;
    for (const auto& [each, ignored] : entries_) names.push_back(each);
    return {ErrorKind::not_found, fmt::format("there is no model \"{}\"{}", name, did_you_mean(name, names))};
  }
  if (entry->second.unloaded) return {ErrorKind::not_found, fmt::format("\"{}\" was unloaded; load it first", name)};
  if (version == 0) return {ErrorKind::not_found, fmt::format("no version of \"{}\" is in force", name)};
  return {ErrorKind::not_found, fmt::format("\"{}\" has no version {}", name, version)};
}

// The version that answers where none is named.
std::int64_t Repository::chosen(const Entry& entry) {
  if (entry.traffic.pinned > 0) return entry.traffic.pinned;
  return entry.serving > 0 ? entry.serving : entry.in_force;
}

Result<std::shared_ptr<Loaded>> Repository::open_model(const std::string& name, std::int64_t version, const Listed& listed) {
  const auto begun = std::chrono::steady_clock::now();
  auto loaded = std::make_shared<Loaded>();
  loaded->name = name;
  loaded->version = version;
  {
    const std::scoped_lock lock(mutex_);
    // A version may be loaded again while its last requests still run.
    loaded->key = fmt::format("{}:{} {}", name, version, ++serial_);
  }
  SIGHTLINE_TRY(const std::string path, listed.path());
  const std::string group = group_of(path);
  loaded->engine_ = engine_;
  auto opened = package::Model::open(path, {.threads = options_.threads,
                                            .check_golden = options_.check_golden,
                                            .engine = [&](const graph::Graph& graph, runtime::Precision precision) {
                                              return engine_->add(loaded->key, graph, precision, group);
                                            }});
  if (!opened.ok()) return opened.error();
  loaded->model.emplace(*std::move(opened));
  SIGHTLINE_TRY(loaded->decisions, package::read_decisions(loaded->model->graph(), loaded->model->labels().size()));
  loaded->bytes = engine_->bytes_of(loaded->key);
  loaded->load_s = seconds_since(begun);
  return loaded;
}

Result<std::shared_ptr<Loaded>> Repository::load_version(const std::string& name, std::int64_t version) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) return unknown(name, version);
    const auto found = entry->second.versions.find(version);
    if (found == entry->second.versions.end()) return unknown(name, version);
    Version& one = found->second;
    if (one.loaded != nullptr) {
      one.last_used = ++clock_;
      return one.loaded;
    }
    if (one.state == State::loading) {
      changed_.wait(lock);
      continue;
    }
    one.state = State::loading;
    const Listed listed = one.listed;
    lock.unlock();
    Result<std::shared_ptr<Loaded>> opened = open_model(name, version, listed);
    if (opened.ok()) make_room_for(opened->get());
    if (opened.ok() && (*opened)->bytes > options_.most_bytes)
      opened = Error{ErrorKind::refused, fmt::format("\"{}\" wants {}, more than the {} that models may have here", name,
                                                     human_bytes((*opened)->bytes), human_bytes(options_.most_bytes))};
    lock.lock();
    // It may be gone, or listed anew, meanwhile.
    const auto again = entries_.find(name);
    if (again != entries_.end()) {
      const auto same = again->second.versions.find(version);
      if (same != again->second.versions.end()) {
        same->second.state = opened.ok() ? State::ready : State::failed;
        same->second.reason = opened.ok() ? "" : opened.error().message;
        if (opened.ok()) {
          same->second.loaded = *opened;
          same->second.last_used = ++clock_;
        }
      }
    }
    changed_.notify_all();
    if (opened.ok()) ++loads_;
    return opened;
  }
}

Result<std::optional<Repository::Lease>> Repository::lease(const std::string& name, std::int64_t version, double draw) {
  std::shared_ptr<std::atomic<int>> under_way;
  {
    const std::scoped_lock lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry == entries_.end() || entry->second.unloaded) return unknown(name, version);
    if (version == 0) {
      const Traffic& traffic = entry->second.traffic;
      version = traffic.canary > 0 && draw < traffic.share ? traffic.canary : chosen(entry->second);
    }
    const auto found = entry->second.versions.find(version);
    if (found == entry->second.versions.end()) return unknown(name, version);
    Version& one = found->second;
    under_way = one.under_way;
    if (*under_way >= options_.most_at_once) return std::optional<Lease>();
    ++*under_way;
    ++one.requests;
    if (one.loaded != nullptr) {
      one.last_used = ++clock_;
      return std::optional(Lease(one.loaded, under_way));
    }
  }
  Result<std::shared_ptr<Loaded>> loaded = load_version(name, version);
  if (!loaded.ok()) {
    --*under_way;
    return loaded.error();
  }
  {
    const std::scoped_lock lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry != entries_.end() && entry->second.serving == 0 && version == entry->second.in_force) entry->second.serving = version;
  }
  return std::optional(Lease(*std::move(loaded), under_way));
}

std::optional<Repository::Lease> Repository::shadow_of(const std::string& name) {
  std::int64_t version = 0;
  {
    const std::scoped_lock lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry != entries_.end()) version = entry->second.traffic.shadow;
  }
  if (version == 0) return std::nullopt;
  Result<std::optional<Lease>> shadow = lease(name, version);
  return shadow.ok() ? *std::move(shadow) : std::nullopt;
}

Result<void> Repository::refresh() {
  SIGHTLINE_TRY(const std::vector<Listed> listed, catalogue_());
  std::vector<std::pair<std::string, std::int64_t>> wanted;  // to be loaded before they take over
  std::vector<std::shared_ptr<Loaded>> gone;                 // freed when the lock is
  {
    const std::scoped_lock lock(mutex_);
    std::map<std::string, std::map<std::int64_t, const Listed*>> now;
    for (const Listed& each : listed) now[each.name][each.version] = &each;
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto still = now.find(entry->first);
      for (auto version = entry->second.versions.begin(); version != entry->second.versions.end();) {
        const bool stays = still != now.end() && still->second.contains(version->first) &&
                           still->second[version->first]->stamp == version->second.listed.stamp;
        if (stays) {
          ++version;
          continue;
        }
        if (version->second.loaded != nullptr) gone.push_back(version->second.loaded);
        if (entry->second.serving == version->first) entry->second.serving = 0;
        version = entry->second.versions.erase(version);
      }
      entry = still == now.end() ? entries_.erase(entry) : std::next(entry);
    }
    for (const auto& [name, versions] : now) {
      Entry& entry = entries_[name];
      entry.in_force = 0;
      for (const auto& [version, each] : versions) {
        if (!entry.versions.contains(version)) entry.versions[version].listed = *each;
        if (each->in_force) entry.in_force = version;
      }
      if (entry.serving == 0 || entry.serving == entry.in_force) continue;
      const auto serving = entry.versions.find(entry.serving);
      const bool used = serving != entry.versions.end() && serving->second.loaded != nullptr;
      if (used && entry.in_force > 0 && !entry.unloaded) {
        wanted.emplace_back(name, entry.in_force);
      } else {
        entry.serving = 0;
      }
    }
  }
  gone.clear();
  for (const auto& [name, version] : wanted) {
    const Result<std::shared_ptr<Loaded>> loaded = load_version(name, version);
    const std::scoped_lock lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry == entries_.end() || entry->second.in_force != version) continue;
    if (loaded.ok()) {
      log_info("{}: version {} answers from now on, in place of {}", name, version, entry->second.serving);
      entry->second.serving = version;
    } else {
      log_warning("{}: version {} cannot be loaded, version {} goes on answering: {}", name, version, entry->second.serving,
                  loaded.error().message);
    }
  }
  make_room();
  return {};
}

void Repository::make_room() { make_room_for(nullptr); }

void Repository::make_room_for(const Loaded* keep) {
  while (engine_->bytes() > options_.most_bytes) {
    std::shared_ptr<Loaded> oldest;
    {
      const std::scoped_lock lock(mutex_);
      Version* least = nullptr;
      for (auto& [name, entry] : entries_) {
        for (auto& [version, one] : entry.versions) {
          // What is being answered now would not give its memory back.
          if (one.loaded == nullptr || one.loaded.get() == keep || *one.under_way > 0) continue;
          if (least == nullptr || one.last_used < least->last_used) least = &one;
        }
      }
      if (least == nullptr) return;
      oldest = std::move(least->loaded);
      least->loaded = nullptr;
      least->state = State::unloaded;
    }
    ++evictions_;
  }
}

std::vector<Repository::Status> Repository::index() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Status> all;
  for (const auto& [name, entry] : entries_) {
    for (const auto& [version, one] : entry.versions) {
      all.push_back({.name = name,
                     .version = version,
                     .in_force = version == chosen(entry),
                     .state = one.state,
                     .kept_away = entry.unloaded,
                     .reason = one.reason,
                     .bytes = one.loaded == nullptr ? 0 : one.loaded->bytes,
                     .requests = one.requests});
    }
  }
  return all;
}

std::vector<std::string> Repository::names() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

bool Repository::knows(const std::string& name, std::int64_t version) const {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(name);
  return entry != entries_.end() && (version == 0 || entry->second.versions.contains(version));
}

std::vector<std::int64_t> Repository::versions(const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::int64_t> versions;
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return versions;
  for (const auto& [version, one] : entry->second.versions) versions.push_back(version);
  return versions;
}

bool Repository::ready(const std::string& name, std::int64_t version) const {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end() || entry->second.unloaded) return false;
  const auto found = entry->second.versions.find(version == 0 ? chosen(entry->second) : version);
  // What is not loaded yet is when it is asked for.
  return found != entry->second.versions.end() && found->second.state != State::failed;
}

Result<void> Repository::load(const std::string& name) {
  std::int64_t version = 0;
  {
    const std::scoped_lock lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) return unknown(name, 0);
    entry->second.unloaded = false;
    version = chosen(entry->second);
    if (version == 0) return unknown(name, 0);
  }
  SIGHTLINE_CHECK(load_version(name, version));
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry != entries_.end() && entry->second.serving == 0) entry->second.serving = version;
  return {};
}

Result<void> Repository::unload(const std::string& name) {
  std::vector<std::shared_ptr<Loaded>> gone;  // freed when the lock is
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return unknown(name, 0);
  entry->second.unloaded = true;
  entry->second.serving = 0;
  for (auto& [version, one] : entry->second.versions) {
    if (one.loaded == nullptr) continue;
    gone.push_back(std::move(one.loaded));
    one.loaded = nullptr;
    one.state = State::unloaded;
  }
  return {};
}

Traffic Repository::traffic(const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(name);
  return entry == entries_.end() ? Traffic{} : entry->second.traffic;
}

Result<void> Repository::set_traffic(const std::string& name, const Traffic& traffic) {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return unknown(name, 0);
  if (!(traffic.share >= 0 && traffic.share <= 1)) return Error{ErrorKind::usage, "\"share\" lies between 0 and 1"};
  for (const std::int64_t version : {traffic.pinned, traffic.canary, traffic.shadow}) {
    if (version != 0 && !entry->second.versions.contains(version)) return unknown(name, version).in("the traffic");
  }
  entry->second.traffic = traffic;
  return {};
}

}  // namespace sightline::serving
