// A new, empty folder that is removed with everything in it when this goes. For tests and for scratch that must not outlive a call.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/files.h"

namespace sightline {

class TemporaryFolder {
 public:
  // path() is "" when it could not be made; errno says why.
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "sightline-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~TemporaryFolder() {
    if (!path_.empty()) (void)remove_all(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace sightline
