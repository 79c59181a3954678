// The folder .sightline/ beside the demand: format version, blobs, registry, step log, work folders, releases.
//
//   .sightline/format          {"workspace": 1}
//   .sightline/blobs/, tmp/, quarantine/
//   .sightline/registry.db
//   .sightline/steps.log       (written by line)
//   .sightline/work/KEY/       scratch and checkpoints of the step with that key
//   .sightline/releases/NAME/VERSION/   the package folder, hard links into blobs/
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "store/blob_store.h"
#include "store/registry.h"

namespace sightline::store {

class Workspace {
 public:
  // Creates it when missing (not when create is false: error not_found). Error conflict: made by a newer version.
  static Result<Workspace> open(const std::string& root, bool create = true);

  const std::string& root() const { return root_; }
  BlobStore& blobs() { return *blobs_; }
  const BlobStore& blobs() const { return *blobs_; }
  Registry& registry() { return *registry_; }
  const Registry& registry() const { return *registry_; }

  std::string work_folder(const Digest& key) const;  // not created
  std::string release_folder(const std::string& name, std::int64_t version) const;
  // Materializes the release's package when its folder is missing; gives the folder.
  Result<std::string> ensure_release_folder(const Release& release) const;

 private:
  std::string root_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<Registry> registry_;
};

struct Problem {
  std::string what, remedy;
};
// Hashes every blob, checks the registry and that every release's blobs exist. `referenced_by_steps` are the step log's digests.
Result<std::vector<Problem>> fsck(Workspace& workspace, const std::vector<Digest>& referenced_by_steps, bool quarantine_bad);
// Removes blobs that neither a release nor `keep` refers to, and work folders; gives the bytes freed. dry_run only counts.
Result<std::uint64_t> collect_garbage(Workspace& workspace, const std::vector<Digest>& keep, bool dry_run);
// A folder copy that is consistent while builds run (registry through SQLite's backup, blobs by link or copy), and back.
Result<void> backup(const Workspace& workspace, const std::string& target);
Result<void> restore(const std::string& backup, const std::string& workspace_root);

}  // namespace sightline::store
