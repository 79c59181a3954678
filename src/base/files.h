// Files as the line needs them: read whole, written whole or not at all, mapped. Paths are UTF-8 byte strings.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sightline {

// An Error from errno: kind not_found for ENOENT, conflict for EEXIST, io otherwise; "disk full" is said in words.
Error system_error(std::string_view what, const std::string& path);

Result<std::string> read_file(const std::string& path);

// Writes to a temporary file beside path, syncs it, renames it over path and syncs the folder. After a crash either the old or the
// new content is there. Errors: io; the temporary file is removed.
Result<void> write_file(const std::string& path, std::string_view content);

Result<void> make_directories(const std::string& path);
Result<void> remove_all(const std::string& path);
Result<void> rename_path(const std::string& from, const std::string& to);
Result<void> sync_file(const std::string& path);
Result<void> sync_directory(const std::string& path);

bool path_exists(const std::string& path);
bool is_directory(const std::string& path);
// Absolute, with symbolic links kept: for messages and registry rows.
std::string absolute_path(const std::string& path);

// Every regular file below root, as paths relative to it, sorted bytewise, in lists of bounded memory (paths only). Hidden entries
// (".x") are left out. Symbolic links to files are followed, links to folders are followed once (a loop is reported to on_problem).
// on_problem(path, reason) gets what could not be listed.
Result<std::vector<std::string>> list_files(const std::string& root,
                                            const std::function<void(const std::string&, const std::string&)>& on_problem);

// An open file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release();
  void close();

 private:
  int fd_;
};

// All of the bytes, whatever signals and short writes come between; false leaves errno.
bool write_all(int fd, std::string_view bytes);

// A file mapped read-only.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// An advisory lock on a file that is created if missing, held until destroyed (flock: gone with the process, however it ends). Many may
// hold it shared, or one exclusively; a process that asks twice waits for itself. The holder of an exclusive lock may unlink the file: who
// waited for it then locks the new one.
class FileLock {
 public:
  enum class Mode { exclusive, shared };
  // wait false: error conflict when another holds it. Shared locks work on read-only file systems where the file exists.
  static Result<FileLock> acquire(const std::string& path, bool wait = true, Mode mode = Mode::exclusive);
  FileLock() = default;

 private:
  explicit FileLock(Descriptor fd) : fd_(std::move(fd)) {}
  Descriptor fd_;
};

}  // namespace sightline
