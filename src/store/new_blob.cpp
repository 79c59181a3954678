#include "store/new_blob.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

namespace sightline::store {
namespace {
constexpr std::size_t block_bytes = 1U << 20U;

// Hands the file's content to use(block).
template <class Use>
Result<void> read_blocks(const std::string& path, Use&& use) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error("cannot open", path);
  std::vector<char> block(block_bytes);
  while (true) {
    const ssize_t got = ::read(fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read", path);
    if (got == 0) return {};
    SIGHTLINE_CHECK(use(std::string_view(block.data(), static_cast<std::size_t>(got))));
  }
}
}  // namespace

std::string blob_path(const std::string& root, const Digest& digest) {
  return is_digest(digest) ? fmt::format("{}/blobs/{}/{}", root, digest.substr(0, 2), digest) : root + "/blobs/not-a-digest";
}

Result<void> make_blob_folder(const std::string& root, const Digest& digest) {
  const std::string folder = fmt::format("{}/blobs/{}", root, digest.substr(0, 2));
  if (::mkdir(folder.c_str(), 0755) == 0) return sync_directory(root + "/blobs");
  if (errno == EEXIST) return {};
  if (errno != ENOENT) return system_error("cannot create the folder", folder);
  return make_directories(folder);
}

Result<NewBlob> NewBlob::create(const std::string& root) {
  for (bool first = true;; first = false) {
    std::string path = root + "/tmp/blob.XXXXXX";
    Descriptor fd(::mkostemp(path.data(), O_CLOEXEC));  // O_EXCL: never another writer's file
    if (!fd.valid() && errno == ENOENT && first) {
      SIGHTLINE_CHECK(make_directories(root + "/tmp"));
      continue;
    }
    if (!fd.valid()) return system_error("cannot create a file in", root + "/tmp");
    // Tells the cleaner that its writer lives. A cleaner that came before the lock has taken the name away.
    struct stat info {};
    if (::flock(fd.get(), LOCK_SH) != 0 || ::fstat(fd.get(), &info) != 0) {
      Error error = system_error("cannot lock", path);
      ::unlink(path.c_str());
      return error;
    }
    if (info.st_nlink == 0) continue;
    return NewBlob(root, std::move(path), std::move(fd));
  }
}

NewBlob::~NewBlob() {
  if (fd_.valid()) ::unlink(path_.c_str());
}

Result<void> NewBlob::write(std::string_view bytes) {
  if (!write_all(fd_.get(), bytes)) return system_error("cannot write", path_);
  hash_.add(bytes);
  return {};
}

Result<void> NewBlob::copy_from(const std::string& path) {
  return read_blocks(path, [this](std::string_view block) { return write(block); });
}

Result<Digest> NewBlob::commit() {
  const Digest digest = hash_.finish();
  if (::fchmod(fd_.get(), 0444) != 0 || ::fsync(fd_.get()) != 0) return system_error("cannot write", path_);
  SIGHTLINE_TRY(const Digest on_disk, sha256_of_file(path_));
  if (on_disk != digest) {
    return Error{ErrorKind::io, fmt::format("{}: what was read back differs from what was written; the disk or the memory of this machine "
                                            "fails (check dmesg)",
                                            path_)};
  }
  SIGHTLINE_CHECK(make_blob_folder(root_, digest));
  SIGHTLINE_CHECK(rename_path(path_, blob_path(root_, digest)));
  fd_.close();
  return digest;
}

}  // namespace sightline::store
