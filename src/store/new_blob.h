// One blob on its way into the store: a locked file in tmp/ that is hashed while it is written, and renamed once what is on disk hashes to
// the same. Destroyed before commit(), it leaves nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/files.h"
#include "base/sha256.h"

namespace sightline::store {

class NewBlob {
 public:
  static Result<NewBlob> create(const std::string& root);
  NewBlob(NewBlob&&) noexcept = default;
  ~NewBlob();

  Result<void> write(std::string_view bytes);
  Result<void> copy_from(const std::string& path);
  // Errors: io, also when what is read back differs from what was written.
  Result<Digest> commit();

 private:
  NewBlob(std::string root, std::string path, Descriptor fd) : root_(std::move(root)), path_(std::move(path)), fd_(std::move(fd)) {}

  std::string root_, path_;
  Descriptor fd_;
  Sha256 hash_;
};

// blobs/ab/abcd… below root, and the folder for it, made and synced.
std::string blob_path(const std::string& root, const Digest& digest);
Result<void> make_blob_folder(const std::string& root, const Digest& digest);

}  // namespace sightline::store
