// For tests only: processes that are really killed, and file systems that are really full or read-only.
#pragma once

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "base/temporary_folder.h"

namespace sightline::testing {

// Runs body in a child process; body's return value is its exit status (no destructors, no flushing: as a crash would leave it).
template <class Body>
pid_t start_child(Body&& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  return child;
}
// The exit status, or minus the signal that ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
template <class Body>
int in_child(Body&& body) {
  return wait_for(start_child(body));
}

// A small file system of its own, where this user may mount one (root; tests skip otherwise).
class SmallFileSystem {
 public:
  explicit SmallFileSystem(const std::string& options)
      : mounted_(::mount("none", folder_.path().c_str(), "tmpfs", 0, options.c_str()) == 0) {}
  ~SmallFileSystem() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;
  bool mounted() const { return mounted_; }
  bool make_read_only() { return ::mount("none", folder_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0; }
  const std::string& path() const { return folder_.path(); }
  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

}  // namespace sightline::testing

#define SIGHTLINE_SKIP_UNLESS_MOUNTED(file_system) \
  if (!(file_system).mounted()) GTEST_SKIP() << "mounting a tmpfs is not permitted here"
