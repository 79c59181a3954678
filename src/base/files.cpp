#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

namespace sightline {
namespace fs = std::filesystem;

Error system_error(std::string_view what, const std::string& path) {
  const int code = errno;
  const ErrorKind kind = code == ENOENT ? ErrorKind::not_found : code == EEXIST ? ErrorKind::conflict : ErrorKind::io;
  const char* remedy = code == ENOSPC || code == EDQUOT ? " (the disk is full: free some space and run the same command again)"
                       : code == EACCES                 ? " (check the permissions)"
                       : code == EROFS                  ? " (the file system is read-only: choose another place with --workspace)"
                                                        : "";
  return {kind, fmt::format("{} {}: {}{}", what, path, std::strerror(code), remedy)};
}

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open", path);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) errno = EISDIR;
    Error error = system_error("cannot read", path);
    ::close(fd);
    return error;
  }
  std::string content(static_cast<std::size_t>(std::max<off_t>(info.st_size, 0)), '\0');
  std::size_t done = 0;
  while (true) {
    if (done == content.size()) content.resize(content.size() + (info.st_size > 0 ? 1 : 65536));
    const ssize_t got = ::read(fd, content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Error error = system_error("cannot read", path);
      ::close(fd);
      return error;
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  ::close(fd);
  content.resize(done);
  return content;
}

Result<void> write_file(const std::string& path, std::string_view content) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error("cannot create a file beside", path);
  auto fail = [&](const char* what) {
    Error error = system_error(what, path);
    ::close(fd);
    ::unlink(temporary.c_str());
    return error;
  };
  if (!write_all(fd, content)) return fail("cannot write");
  if (::fchmod(fd, 0644) != 0 || ::fsync(fd) != 0) return fail("cannot write");
  if (::close(fd) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = system_error("cannot write", path);
    ::unlink(temporary.c_str());
    return error;
  }
  return sync_directory(fs::path(path).parent_path().string());
}

Result<void> make_directories(const std::string& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) {
    errno = code.value();
    return system_error("cannot create the folder", path);
  }
  return {};
}

Result<void> remove_all(const std::string& path) {
  std::error_code code;
  fs::remove_all(path, code);
  if (code) {
    errno = code.value();
    return system_error("cannot remove", path);
  }
  return {};
}

Result<void> rename_path(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error("cannot rename " + from + " to", to);
  return sync_directory(fs::path(to).parent_path().string());
}

namespace {
Result<void> sync_path(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open", path);
  const bool failed = ::fsync(fd) != 0;
  Error error = failed ? system_error("cannot sync", path) : Error{};
  ::close(fd);
  if (failed) return error;
  return {};
}
}  // namespace

Result<void> sync_file(const std::string& path) { return sync_path(path, O_RDONLY); }
Result<void> sync_directory(const std::string& path) { return sync_path(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY); }

bool path_exists(const std::string& path) {
  std::error_code code;
  return fs::exists(path, code);
}

bool is_directory(const std::string& path) {
  std::error_code code;
  return fs::is_directory(path, code);
}

std::string absolute_path(const std::string& path) {
  std::error_code code;
  const fs::path full = fs::absolute(path, code);
  return code ? path : full.lexically_normal().string();
}

Result<std::vector<std::string>> list_files(const std::string& root,
                                            const std::function<void(const std::string&, const std::string&)>& on_problem) {
  if (!path_exists(root)) {
    errno = ENOENT;
    return system_error("cannot list", root);
  }
  if (!is_directory(root)) {
    errno = ENOTDIR;
    return system_error("cannot list", root);
  }
  std::vector<std::string> files;
  std::set<std::pair<dev_t, ino_t>> open_folders;
  std::function<void(const std::string&)> walk = [&](const std::string& relative) {
    const std::string folder = relative.empty() ? root : root + "/" + relative;
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0) return on_problem(relative, std::strerror(errno));
    const std::pair<dev_t, ino_t> identity{info.st_dev, info.st_ino};
    if (!open_folders.insert(identity).second) return on_problem(relative, "symbolic link loop");
    std::error_code code;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
      const std::string name = it->path().filename().string();
      if (name.starts_with('.')) continue;
      const std::string path = relative.empty() ? name : relative + "/" + name;
      std::error_code kind_code;
      const fs::file_status status = it->status(kind_code);
      if (status.type() == fs::file_type::not_found) {
        on_problem(path, "dangling symbolic link");
      } else if (kind_code) {
        on_problem(path, kind_code.message());
      } else if (fs::is_directory(status)) {
        walk(path);
      } else if (fs::is_regular_file(status)) {
        files.push_back(path);
      } else {
        on_problem(path, "not a regular file");
      }
    }
    if (code) on_problem(relative, code.message());
    open_folders.erase(identity);
  };
  walk("");
  std::sort(files.begin(), files.end());
  return files;
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open", path);
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    Error error = system_error("cannot read", path);
    ::close(fd);
    return error;
  }
  MappedFile file;
  file.size_ = static_cast<std::size_t>(info.st_size);
  if (file.size_ > 0) {
    void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      Error error = system_error("cannot map", path);
      ::close(fd);
      file.size_ = 0;
      return error;
    }
    file.data_ = static_cast<const std::byte*>(data);
  }
  ::close(fd);
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}
MappedFile::MappedFile(MappedFile&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
int Descriptor::release() { return std::exchange(fd_, -1); }
void Descriptor::close() {
  if (fd_ >= 0) ::close(release());
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

Result<FileLock> FileLock::acquire(const std::string& path, bool wait, Mode mode) {
  while (true) {
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!fd.valid() && mode == Mode::shared && (errno == EROFS || errno == EACCES))
      fd = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return system_error("cannot open the lock", path);
    int status = 0;
    do {
      status = ::flock(fd.get(), (mode == Mode::shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB));
    } while (status != 0 && errno == EINTR);
    if (status != 0) {
      const bool busy = errno == EWOULDBLOCK;
      Error error = system_error("cannot lock", path);
      if (busy) error = {ErrorKind::conflict, fmt::format("{} is locked by another process", path)};
      return error;
    }
    // The holder before us may have unlinked the file; a lock on a file that has no name any more excludes nobody.
    struct stat held {
    }, named{};
    if (::fstat(fd.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev)
      return FileLock(std::move(fd));
  }
}

}  // namespace sightline
