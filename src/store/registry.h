// Runs and releases with their lineage, in SQLite (registry.db, WAL). The only place with SQL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/json.h"
#include "base/sha256.h"

namespace sightline::store {

struct Run {
  std::int64_t id = 0;
  std::string demand;             // the demand's name
  std::string started, finished;  // UTC, ISO 8601; finished "" while running or killed
  std::string outcome;            // "running", "released", "refused", "unchanged", "failed", "interrupted"
  std::string sentence;           // why, for a person
  static constexpr auto fields() {
    return std::tuple{field("id", &Run::id),           field("demand", &Run::demand),
                      field("started", &Run::started), field("finished", &Run::finished),
                      field("outcome", &Run::outcome), field("sentence", &Run::sentence)};
  }
};

struct Release {
  std::string name;
  std::int64_t version = 0;   // 1, 2, … per name
  Digest package;             // tree digest of the package folder
  Digest evaluation, report;  // blobs
  std::string created;
  std::int64_t run = 0;
  bool in_force = false;  // one version per name
  Json figures;           // {"top1": 0.93, …}
  Json lineage;           // data, recipe, code version, seed, parent, licences
  static constexpr auto fields() {
    return std::tuple{field("name", &Release::name),       field("version", &Release::version),
                      field("package", &Release::package), field("evaluation", &Release::evaluation),
                      field("report", &Release::report),   field("created", &Release::created),
                      field("run", &Release::run),         field("in_force", &Release::in_force),
                      field("figures", &Release::figures), field("lineage", &Release::lineage)};
  }
};

// A network whose features models are built on.
struct Backbone {
  std::string name;
  Digest tree;  // of its folder (features/backbone.h)
  std::string created;
  Json about;    // file, digest, origin, licence, cut, reasons
  Json figures;  // what it costs, as measured: features, parameters, mflops, p50_ms, bytes
  static constexpr auto fields() {
    return std::tuple{field("name", &Backbone::name), field("tree", &Backbone::tree), field("created", &Backbone::created),
                      field("about", &Backbone::about), field("figures", &Backbone::figures)};
  }
};

// A release's name becomes a folder's: letters, digits, - _ and ., no leading dot, at most 64 bytes. Error usage says what is wrong.
Result<void> check_release_name(const std::string& name);

// One thread at a time; any number of processes.
class Registry {
 public:
  // Creates the file when missing. Where the file system cannot be written it opens for reading, and writing is error io. Errors:
  // invalid_data (not a registry, corrupt: says how to restore), conflict (written by a newer version).
  static Result<Registry> open(const std::string& path);
  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  ~Registry();

  // Also closes the runs of this machine whose process is gone (killed): their outcome becomes "interrupted".
  Result<std::int64_t> begin_run(const std::string& demand);
  Result<void> end_run(std::int64_t id, const std::string& outcome, const std::string& sentence);
  Result<std::vector<Run>> runs(const std::string& demand = "") const;  // in the order they began

  // Gives the version (release.version is not read; numbers are not used twice). The new release is in force if release.in_force says so. A
  // release of the same package digest as the one in force is not added again: its version is returned. An empty `created` becomes now,
  // run 0 is no run.
  Result<std::int64_t> add_release(const Release& release);
  Result<std::vector<Release>> releases(const std::string& name = "") const;                        // by name and version
  Result<std::optional<Release>> release(const std::string& name, std::int64_t version = 0) const;  // 0: the one in force
  Result<void> set_in_force(const std::string& name, std::int64_t version);
  Result<void> remove_release(const std::string& name, std::int64_t version);  // error refused for the one in force

  // Replaces the one of this name. An empty `created` becomes now.
  Result<void> put_backbone(const Backbone& backbone);
  Result<std::vector<Backbone>> backbones() const;  // by name
  Result<std::optional<Backbone>> backbone(const std::string& name) const;
  Result<void> remove_backbone(const std::string& name);  // not_found

  Result<void> check() const;                             // SQLite's integrity check and our own invariants
  Result<void> backup_to(const std::string& path) const;  // a consistent copy while others write

 private:
  struct State;
  explicit Registry(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::store
