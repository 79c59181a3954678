// The folder .sightline/ beside the demand: format version, blobs, registry, step log, work folders, releases (docs/workspace.md).
//
//   .sightline/format          {"workspace": 1}
//   .sightline/lock            shared while a build runs, exclusive while garbage is collected
//   .sightline/blobs/, tmp/, quarantine/
//   .sightline/registry.db
//   .sightline/steps.log       (written by line)
//   .sightline/work/KEY/       scratch and checkpoints of the step with that key
//   .sightline/locks/KEY       held by the process that runs the step with that key
//   .sightline/releases/NAME/VERSION/   the package folder, hard links into blobs/
//   .sightline/backbones/TREE/          the folder of an imported backbone, likewise
//   .sightline/features/, intake/       what was computed of pictures, by content (row_cache.h); may be removed at any time
//   .sightline/fleets/, reports/        pages for people
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "store/blob_store.h"
#include "store/registry.h"

namespace sightline::store {

class Workspace {
 public:
  // Creates it when missing (not when create is false: error not_found). One that exists opens for reading where it cannot be written.
  // Errors: conflict (made by a newer version), invalid_data (no workspace, or damaged: says how to restore).
  static Result<Workspace> open(const std::string& root, bool create = true);

  const std::string& root() const { return root_; }
  BlobStore& blobs() { return *blobs_; }
  const BlobStore& blobs() const { return *blobs_; }
  Registry& registry() { return *registry_; }
  const Registry& registry() const { return *registry_; }

  std::string step_log_path() const { return root_ + "/steps.log"; }
  std::string work_folder(const Digest& key) const;     // not created
  std::string step_lock_path(const Digest& key) const;  // its folder is made
  // A name or version that cannot be gives a folder below releases/ that is never made.
  std::string release_folder(const std::string& name, std::int64_t version) const;
  // Materializes the release's package when its folder is missing; gives the folder.
  Result<std::string> ensure_release_folder(const Release& release) const;

  // The folder of a backbone's tree, materialized when it is missing: backbones/TREE/.
  Result<std::string> ensure_backbone_folder(const Backbone& backbone) const;

  // Whoever puts blobs that nothing refers to yet holds this until something does, or the garbage collector takes them. Error conflict
  // while garbage is collected.
  Result<FileLock> lock_for_building() const;
  // Nobody builds while it is held. Error conflict while somebody does.
  Result<FileLock> lock_for_cleaning() const;

 private:
  std::string root_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<Registry> registry_;
};

struct Problem {
  std::string what, remedy;
};
// Hashes every blob (on all cores), checks the registry and that every release's blobs exist. `referenced_by_steps` are the step log's
// digests. quarantine_bad sets damaged blobs and release folders aside, so that the next build makes them again.
Result<std::vector<Problem>> fsck(Workspace& workspace, const std::vector<Digest>& referenced_by_steps, bool quarantine_bad);

// Removes blobs that neither a release nor `keep` (trees with all that they list) refers to, work folders and stale temporary files; gives
// the bytes freed. dry_run only counts. Errors: conflict while a build runs, invalid_data when a tree in use is damaged (fsck first).
// `keep` may be older than the last build unless it was made under lock_for_cleaning(), which the caller then hands over; without it, blobs
// younger than an hour stay.
Result<std::uint64_t> collect_garbage(Workspace& workspace, const std::vector<Digest>& keep, bool dry_run, const FileLock* held = nullptr);

// A folder copy that is consistent while builds run (registry through SQLite's backup, blobs by link or copy), and back. Every blob is
// hashed on the way. Errors: conflict (the target is not empty), invalid_data (a damaged blob, no whole backup).
Result<void> backup(const Workspace& workspace, const std::string& target);
Result<void> restore(const std::string& backup, const std::string& workspace_root);

}  // namespace sightline::store
