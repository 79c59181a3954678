// Blobs by their SHA-256: .sightline/blobs/ab/abcdef…, read-only files. Written to tmp/, synced, reopened and verified, then renamed, so
// that a blob that exists is whole. A folder is stored as a tree: a JSON blob that maps relative paths to digests (docs/workspace.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"

namespace sightline::store {

struct TreeEntry {
  Digest digest;
  std::uint64_t bytes = 0;
};

class BlobStore {
 public:
  // root is the workspace folder; blobs/ and tmp/ are made below it.
  static Result<BlobStore> open(const std::string& root);

  // A blob that is there with the right size is trusted and not written again. Errors: io (disk full in words, nothing is left behind).
  Result<Digest> put(std::string_view bytes);
  Result<Digest> put_file(const std::string& path);    // copies; the source stays
  Result<Digest> adopt_file(const std::string& path);  // moves when on the same file system
  // Every regular file below folder, hidden ones too; gives the digest of the tree blob. Empty folders and modes are not kept. Error
  // invalid_data: a symbolic link, a device, or a name that is_tree_path refuses.
  // A file that is a hard link to the blob that `known` names for its path is that blob, and is not read.
  Result<Digest> put_tree(const std::string& folder, const std::map<std::string, Digest>& known = {});

  // Error not_found says which blob is missing. Size is checked against nothing: verify() hashes.
  Result<std::string> get(const Digest& digest) const;
  std::string path_of(const Digest& digest) const;  // of what is no digest: a path that never exists
  bool contains(const Digest& digest) const;
  Result<std::uint64_t> bytes_of(const Digest& digest) const;  // size on disk; not_found
  Result<void> verify(const Digest& digest) const;             // invalid_data: truncated or altered; of a tree, the tree blob alone
  // Errors: invalid_data when the blob is no tree or names a path outside of it.
  Result<std::map<std::string, Digest>> tree(const Digest& digest) const;
  Result<std::map<std::string, TreeEntry>> tree_entries(const Digest& digest) const;
  bool is_tree(const Digest& digest) const;  // reads its first bytes only

  // The cheap check: there, of this size, and so is every file of a tree. Gives the digest that is not, or nothing.
  std::optional<Digest> missing_part(const Digest& digest, std::uint64_t bytes) const;
  // The dear one: hashes the blob and every file of a tree. Gives the digest that is damaged or missing, or nothing.
  std::optional<Digest> damaged_part(const Digest& digest) const;

  // Writes the tree into folder (which must not exist: error conflict) as hard links, or copies where links are not possible; renamed into
  // place whole. Ask for copies when the folder leaves the workspace: who edits a hard link alters the blob.
  enum class Links { allowed, never };
  Result<void> materialize(const Digest& tree, const std::string& folder, Links links = Links::allowed) const;

  Result<std::vector<Digest>> list() const;
  Result<void> remove(const Digest& digest);
  // Moves a bad blob to quarantine/, so that the step that made it runs again.
  Result<void> quarantine(const Digest& digest);
  // Removes what writers that were killed left in tmp/; a living writer's files are locked and stay. Gives how many.
  Result<std::size_t> remove_stale_temporaries();

 private:
  Result<void> fill_folder(const std::map<std::string, TreeEntry>& entries, const std::string& folder, Links links) const;

  std::string root_;
};

// Relative, of plain names (no "", ".", "..", control characters, backslashes; UTF-8, at most 255 bytes a name and 4,095 in all).
bool is_tree_path(std::string_view path);
// Reads a tree blob's text. Error invalid_data.
Result<std::map<std::string, TreeEntry>> parse_tree(std::string_view text, const std::string& source);

}  // namespace sightline::store
