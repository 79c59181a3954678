#include "store/blob_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/files.h"
#include "store/new_blob.h"

namespace sightline::store {
namespace fs = std::filesystem;
namespace {

std::string shortened(const Digest& digest) { return digest.substr(0, 12); }

// When a writable folder is not to be had, reading must still work.
Result<void> make_directories_where_possible(const std::string& path) {
  if (is_directory(path)) return {};
  Result<void> made = make_directories(path);
  if (!made.ok() && ::access(fs::path(path).parent_path().c_str(), W_OK) != 0 && is_directory(fs::path(path).parent_path().string()))
    return {};
  return made;
}

// Trusts what is there with the right size; its age starts again, so that the garbage collector sees that somebody wants it.
bool reuse(const std::string& path, std::uint64_t bytes) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) != bytes) return false;
  (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  return true;
}

}  // namespace

Result<BlobStore> BlobStore::open(const std::string& root) {
  SIGHTLINE_CHECK(make_directories_where_possible(root + "/blobs"));
  SIGHTLINE_CHECK(make_directories_where_possible(root + "/tmp"));
  BlobStore store;
  store.root_ = root;
  return store;
}

Result<Digest> BlobStore::put(std::string_view bytes) {
  const Digest digest = sha256_of(bytes);
  if (reuse(path_of(digest), bytes.size())) return digest;
  SIGHTLINE_TRY(NewBlob blob, NewBlob::create(root_));
  SIGHTLINE_CHECK(blob.write(bytes));
  return blob.commit();
}

Result<Digest> BlobStore::put_file(const std::string& path) {
  std::error_code code;
  const std::uint64_t bytes = fs::file_size(path, code);
  if (!code) {
    SIGHTLINE_TRY(const Digest digest, sha256_of_file(path));
    if (reuse(path_of(digest), bytes)) return digest;
  }
  SIGHTLINE_TRY(NewBlob blob, NewBlob::create(root_));
  SIGHTLINE_CHECK(blob.copy_from(path));
  return blob.commit();
}

Result<Digest> BlobStore::adopt_file(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return system_error("cannot read", path);
  const auto remove_source = [&](const Digest& digest) -> Result<Digest> {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("cannot remove", path);
    return digest;
  };
  // A file with a second name could be altered through it.
  if (!S_ISREG(info.st_mode) || info.st_nlink > 1) {
    SIGHTLINE_TRY(const Digest digest, put_file(path));
    return remove_source(digest);
  }
  SIGHTLINE_CHECK(sync_file(path));
  SIGHTLINE_TRY(const Digest digest, sha256_of_file(path));
  if (reuse(path_of(digest), static_cast<std::uint64_t>(info.st_size))) return remove_source(digest);
  if (::chmod(path.c_str(), 0444) != 0) return system_error("cannot make read-only", path);
  SIGHTLINE_CHECK(sync_file(path));
  SIGHTLINE_CHECK(make_blob_folder(root_, digest));
  if (::rename(path.c_str(), path_of(digest).c_str()) != 0) {
    if (errno != EXDEV) return system_error("cannot move into the store", path);
    SIGHTLINE_TRY(const Digest copied, put_file(path));
    return remove_source(copied);
  }
  SIGHTLINE_CHECK(sync_directory(fs::path(path_of(digest)).parent_path().string()));
  return digest;
}

Result<std::string> BlobStore::get(const Digest& digest) const {
  Result<std::string> bytes = read_file(path_of(digest));
  if (!bytes.ok() && bytes.error().kind == ErrorKind::not_found) {
    return Error{ErrorKind::not_found, fmt::format("the blob {} is missing from {}/blobs; `sightline fsck` says what needs it, the next "
                                                   "build makes it again",
                                                   shortened(digest), root_)};
  }
  return bytes;
}

std::string BlobStore::path_of(const Digest& digest) const { return blob_path(root_, digest); }

bool BlobStore::contains(const Digest& digest) const { return bytes_of(digest).ok(); }

Result<std::uint64_t> BlobStore::bytes_of(const Digest& digest) const {
  struct stat info {};
  if (::stat(path_of(digest).c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return system_error("cannot read", path_of(digest));
    return Error{ErrorKind::not_found, fmt::format("the blob {} is missing from {}/blobs", shortened(digest), root_)};
  }
  if (!S_ISREG(info.st_mode)) return Error{ErrorKind::invalid_data, fmt::format("{} is no file", path_of(digest))};
  return static_cast<std::uint64_t>(info.st_size);
}

Result<void> BlobStore::verify(const Digest& digest) const {
  SIGHTLINE_TRY(const std::uint64_t bytes, bytes_of(digest));
  SIGHTLINE_TRY(const Digest actual, sha256_of_file(path_of(digest)));
  if (actual == digest) return {};
  return Error{ErrorKind::invalid_data,
               fmt::format("the blob {} is damaged: its {} bytes hash to {}; `sightline fsck --repair` sets it aside and the next build "
                           "makes it again",
                           path_of(digest), bytes, shortened(actual))};
}

std::optional<Digest> BlobStore::missing_part(const Digest& digest, std::uint64_t bytes) const {
  const auto is_there = [this](const Digest& blob, std::uint64_t wanted) {
    const Result<std::uint64_t> found = bytes_of(blob);
    return found.ok() && *found == wanted;
  };
  if (!is_there(digest, bytes)) return digest;
  if (!is_tree(digest)) return std::nullopt;
  const auto entries = tree_entries(digest);
  if (!entries.ok()) return digest;
  for (const auto& [path, entry] : *entries) {
    if (!is_there(entry.digest, entry.bytes)) return entry.digest;
  }
  return std::nullopt;
}

std::optional<Digest> BlobStore::damaged_part(const Digest& digest) const {
  if (!verify(digest).ok()) return digest;
  if (!is_tree(digest)) return std::nullopt;
  const auto entries = tree_entries(digest);
  if (!entries.ok()) return digest;
  for (const auto& [path, entry] : *entries) {
    if (!verify(entry.digest).ok()) return entry.digest;
  }
  return std::nullopt;
}

Result<std::vector<Digest>> BlobStore::list() const {
  std::vector<Digest> digests;
  std::error_code code;
  for (fs::directory_iterator shelf(root_ + "/blobs", code), end; !code && shelf != end; shelf.increment(code)) {
    std::error_code inner;
    if (!shelf->is_directory(inner)) continue;
    for (fs::directory_iterator blob(shelf->path(), inner); !inner && blob != end; blob.increment(inner)) {
      const std::string name = blob->path().filename().string();
      if (is_digest(name) && shelf->path().filename().string() == name.substr(0, 2)) digests.push_back(name);
    }
    if (inner) code = inner;
  }
  if (code) {
    errno = code.value();
    return system_error("cannot list", root_ + "/blobs");
  }
  std::sort(digests.begin(), digests.end());
  return digests;
}

Result<void> BlobStore::remove(const Digest& digest) {
  if (::unlink(path_of(digest).c_str()) != 0) return system_error("cannot remove", path_of(digest));
  return {};
}

Result<void> BlobStore::quarantine(const Digest& digest) {
  SIGHTLINE_CHECK(make_directories(root_ + "/quarantine"));
  return rename_path(path_of(digest), root_ + "/quarantine/" + digest);
}

Result<std::size_t> BlobStore::remove_stale_temporaries() {
  std::size_t removed = 0;
  std::error_code code;
  for (fs::directory_iterator each(root_ + "/tmp", code), end; !code && each != end; each.increment(code)) {
    const std::string path = each->path().string();
    if (!each->path().filename().string().starts_with("blob.")) continue;
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (::unlink(path.c_str()) == 0) ++removed;
  }
  if (code) {
    errno = code.value();
    return system_error("cannot list", root_ + "/tmp");
  }
  return removed;
}

}  // namespace sightline::store
