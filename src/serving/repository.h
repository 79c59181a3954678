// The models that a server has: listed by a catalogue, loaded when they are first asked for, unloaded by least use under a memory limit. A
// new version takes over when it is loaded, and not before: no request fails meanwhile.
//
// Threads: everything by any number of threads; refresh() by one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "package/decisions.h"
#include "package/package.h"
#include "serving/catalogue.h"
#include "serving/engine.h"

namespace sightline::serving {

struct RepositoryOptions {
  int threads = 0;               // of the runtime; 0: all cores
  std::uint64_t most_bytes = 0;  // that all loaded models may hold; 0: half of the machine's memory
  int most_at_once = 256;        // requests of one model that are under way
  bool check_golden = true;      // golden samples of a package, once for each version
  BatchLimits batch;
};

// A version that can answer. Lives as long as somebody holds it, whatever the repository does.
class Loaded {
 public:
  std::string name;
  std::int64_t version = 0;
  std::optional<package::Model> model;
  std::optional<package::Decisions> decisions;
  std::string key;  // in the engine
  std::size_t bytes = 0;
  double load_s = 0;
  Loaded() = default;
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded();

 private:
  friend class Repository;
  std::shared_ptr<Engine> engine_;
};

// Which versions of a model answer.
struct Traffic {
  std::int64_t pinned = 0;  // instead of the one that the catalogue says; 0: none
  std::int64_t canary = 0;  // gets `share` of the requests that name no version; 0: none
  double share = 0;
  std::int64_t shadow = 0;  // is asked as well and not told; 0: none
  static constexpr auto fields() {
    return std::tuple{field("pinned", &Traffic::pinned), field("canary", &Traffic::canary), field("share", &Traffic::share),
                      field("shadow", &Traffic::shadow)};
  }
};

class Repository {
 public:
  enum class State { unloaded, loading, ready, failed };

  struct Status {
    std::string name;
    std::int64_t version = 0;
    bool in_force = false;
    State state = State::unloaded;
    bool kept_away = false;  // unloaded on request
    std::string reason;      // of a failure
    std::size_t bytes = 0;
    std::uint64_t requests = 0;
  };

  // Lists once. Errors: those of the catalogue.
  static Result<std::unique_ptr<Repository>> open(Catalogue catalogue, const RepositoryOptions& options);
  ~Repository();

  // A model that is asked now; counts against most_at_once while it lives.
  class Lease {
   public:
    Lease(std::shared_ptr<Loaded> loaded, std::shared_ptr<std::atomic<int>> under_way);
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) noexcept = default;
    ~Lease();
    package::Model& model() const { return *loaded_->model; }
    const Loaded& loaded() const { return *loaded_; }

   private:
    std::shared_ptr<Loaded> loaded_;
    std::shared_ptr<std::atomic<int>> under_way_;
  };
  // version 0: the one in force, or its canary for the share of `draw` (in [0, 1)). Loads it where it is not; nothing when most_at_once are
  // under way. Errors: not_found, those of loading, refused (it does not fit into the memory).
  Result<std::optional<Lease>> lease(const std::string& name, std::int64_t version = 0, double draw = 1);
  // The version that is asked as well; nothing when there is none (or it cannot be loaded).
  std::optional<Lease> shadow_of(const std::string& name);

  // Looks at the catalogue: new versions of loaded models are loaded and take over, what has gone is unloaded.
  Result<void> refresh();

  std::vector<Status> index() const;  // by name and version
  std::vector<std::string> names() const;
  bool knows(const std::string& name, std::int64_t version = 0) const;
  std::vector<std::int64_t> versions(const std::string& name) const;
  // Whether it can answer at once. version 0: the one in force.
  bool ready(const std::string& name, std::int64_t version = 0) const;
  Result<void> load(const std::string& name);
  Result<void> unload(const std::string& name);  // until it is loaded explicitly, it answers not_found
  Traffic traffic(const std::string& name) const;
  // Errors: not_found, usage (a version that there is none of, a share outside of [0, 1]).
  Result<void> set_traffic(const std::string& name, const Traffic& traffic);

  const Engine& engine() const { return *engine_; }
  std::size_t bytes() const { return engine_->bytes(); }
  std::uint64_t most_bytes() const { return options_.most_bytes; }
  std::uint64_t loads() const { return loads_; }
  std::uint64_t evictions() const { return evictions_; }
  // Unloads what was asked for least recently until all fits into the limit; called after loading, and from time to time.
  void make_room();

 private:
  struct Version {
    Listed listed;
    State state = State::unloaded;
    std::string reason;
    std::shared_ptr<Loaded> loaded;
    std::uint64_t last_used = 0, requests = 0;
    std::shared_ptr<std::atomic<int>> under_way = std::make_shared<std::atomic<int>>(0);
  };
  struct Entry {
    std::map<std::int64_t, Version> versions;
    std::int64_t in_force = 0;  // as the catalogue has it; 0: none
    std::int64_t serving = 0;   // that answers; follows when it is loaded
    bool unloaded = false;      // on request
    Traffic traffic;
  };

  Repository(Catalogue catalogue, const RepositoryOptions& options);
  Result<std::shared_ptr<Loaded>> load_version(const std::string& name, std::int64_t version);
  Result<std::shared_ptr<Loaded>> open_model(const std::string& name, std::int64_t version, const Listed& listed);
  Error unknown(const std::string& name, std::int64_t version) const;  // under the lock
  static std::int64_t chosen(const Entry& entry);
  void make_room_for(const Loaded* keep);

  Catalogue catalogue_;
  RepositoryOptions options_;
  std::shared_ptr<Engine> engine_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a version is loaded, or has failed
  std::map<std::string, Entry> entries_;
  std::uint64_t clock_ = 0, serial_ = 0;
  std::atomic<std::uint64_t> loads_ = 0, evictions_ = 0;
};

}  // namespace sightline::serving
