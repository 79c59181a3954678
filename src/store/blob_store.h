// Blobs by their SHA-256: .sightline/blobs/ab/abcdef…, read-only files. Written to tmp/, synced, reopened and verified, then renamed, so
// that a blob that exists is whole. A folder is stored as a tree: a JSON blob that maps relative paths to digests.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"

namespace sightline::store {

class BlobStore {
 public:
  // root is the workspace folder; blobs/ and tmp/ are made below it.
  static Result<BlobStore> open(const std::string& root);

  Result<Digest> put(std::string_view bytes);
  Result<Digest> put_file(const std::string& path);    // copies; the source stays
  Result<Digest> adopt_file(const std::string& path);  // moves when on the same file system
  Result<Digest> put_tree(const std::string& folder);  // every regular file below folder; gives the digest of the tree blob

  // Error not_found says which blob is missing. Size is checked against nothing: verify() hashes.
  Result<std::string> get(const Digest& digest) const;
  std::string path_of(const Digest& digest) const;
  bool contains(const Digest& digest) const;
  Result<void> verify(const Digest& digest) const;  // invalid_data: truncated or altered
  Result<std::map<std::string, Digest>> tree(const Digest& digest) const;
  // Writes the tree into folder (which must not exist) as hard links, or copies where links are not possible; renamed into place whole.
  Result<void> materialize(const Digest& tree, const std::string& folder) const;

  Result<std::vector<Digest>> list() const;
  Result<void> remove(const Digest& digest);
  // Moves a bad blob to quarantine/, so that the step that made it runs again.
  Result<void> quarantine(const Digest& digest);

 private:
  std::string root_;
};

}  // namespace sightline::store
