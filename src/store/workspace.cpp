#include "store/workspace.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/json.h"
#include "base/log.h"

namespace sightline::store {
namespace fs = std::filesystem;
namespace {

constexpr int newest = 1;

struct Format {
  int workspace = 0;
  static constexpr auto fields() { return std::tuple{field("workspace", &Format::workspace)}; }
};

Result<void> check_format(const std::string& path) {
  SIGHTLINE_TRY(const Json json, read_json_file(path));
  Format format;
  // A newer format may hold keys that we do not know: look at the number first.
  if (json.is_object() && json.contains("workspace")) SIGHTLINE_CHECK(from_json(json["workspace"], format.workspace, path + ": workspace"));
  if (format.workspace > newest) {
    return Error{ErrorKind::conflict,
                 fmt::format("{} says format {}, this sightline knows {}; upgrade sightline", path, format.workspace, newest)};
  }
  SIGHTLINE_CHECK(from_json(json, format, path));
  if (format.workspace < 1) return Error{ErrorKind::invalid_data, path + " names no format; put a backup back with `sightline restore`"};
  return {};
}

bool is_empty_folder(const std::string& path) {
  std::error_code code;
  return fs::is_empty(path, code) && !code;
}

}  // namespace

Result<Workspace> Workspace::open(const std::string& root, bool create) {
  Workspace workspace;
  workspace.root_ = absolute_path(root);
  while (workspace.root_.size() > 1 && workspace.root_.ends_with('/')) workspace.root_.pop_back();
  const std::string format = workspace.root_ + "/format", registry = workspace.root_ + "/registry.db";
  const bool exists = path_exists(format);
  if (exists) {
    SIGHTLINE_CHECK(check_format(format));
    struct stat info {};
    if (::stat(registry.c_str(), &info) == 0 && info.st_size == 0) {
      return Error{ErrorKind::invalid_data,
                   fmt::format("{} is empty; put a backup back with `sightline restore`, or remove the file to begin "
                               "an empty registry (its releases are forgotten, their files stay)",
                               registry)};
    }
    if (!path_exists(registry)) log_warning("{} was missing; a new, empty one is begun", registry);
  } else {
    if (!create)
      return Error{ErrorKind::not_found, fmt::format("there is no workspace at {}; `sightline build` makes one", workspace.root_)};
    // A folder that was killed while it was made holds only these; anything else is somebody's own.
    if (is_directory(workspace.root_) && !is_empty_folder(workspace.root_) && !path_exists(registry) &&
        !path_exists(workspace.root_ + "/blobs")) {
      return Error{ErrorKind::conflict,
                   fmt::format("{} holds other files and is no workspace; choose another place with --workspace", workspace.root_)};
    }
    SIGHTLINE_CHECK(make_directories(workspace.root_));
  }
  SIGHTLINE_TRY(BlobStore blobs, BlobStore::open(workspace.root_));
  SIGHTLINE_TRY(Registry opened, Registry::open(registry));
  workspace.blobs_ = std::make_unique<BlobStore>(std::move(blobs));
  workspace.registry_ = std::make_unique<Registry>(std::move(opened));
  if (!exists) {
    SIGHTLINE_CHECK(workspace.lock_for_building());  // makes the file, so that readers of a read-only copy can lock it
    SIGHTLINE_CHECK(write_file(format, json_text(to_json(Format{newest})) + "\n"));
  }
  return workspace;
}

std::string Workspace::work_folder(const Digest& key) const { return root_ + "/work/" + (is_digest(key) ? key : sha256_of(key)); }

std::string Workspace::step_lock_path(const Digest& key) const {
  (void)make_directories(root_ + "/locks");  // an error shows when the lock is taken
  return root_ + "/locks/" + (is_digest(key) ? key : sha256_of(key));
}

std::string Workspace::release_folder(const std::string& name, std::int64_t version) const {
  if (!check_release_name(name).ok() || version < 1) return root_ + "/releases/.impossible";
  return fmt::format("{}/releases/{}/{}", root_, name, version);
}

Result<std::string> Workspace::ensure_release_folder(const Release& release) const {
  SIGHTLINE_CHECK(check_release_name(release.name));
  if (release.version < 1) return Error{ErrorKind::usage, fmt::format("{} is no version of a release", release.version)};
  const std::string folder = release_folder(release.name, release.version);
  if (is_directory(folder)) return folder;
  const Result<void> made = blobs_->materialize(release.package, folder);
  // Another process may have been first.
  if (!made.ok() && !(made.error().kind == ErrorKind::conflict && is_directory(folder))) {
    return made.error().in(fmt::format("release {} version {}", release.name, release.version));
  }
  return folder;
}

Result<std::string> Workspace::ensure_backbone_folder(const Backbone& backbone) const {
  if (!is_digest(backbone.tree)) return Error{ErrorKind::internal, fmt::format("the backbone {} has no digest", backbone.name)};
  const std::string folder = root_ + "/backbones/" + backbone.tree;
  if (is_directory(folder)) return folder;
  const Result<void> made = blobs_->materialize(backbone.tree, folder);
  if (!made.ok() && !(made.error().kind == ErrorKind::conflict && is_directory(folder)))
    return made.error().in(fmt::format("backbone {}", backbone.name));
  return folder;
}

Result<FileLock> Workspace::lock_for_building() const {
  Result<FileLock> lock = FileLock::acquire(root_ + "/lock", false, FileLock::Mode::shared);
  if (!lock.ok() && lock.error().kind == ErrorKind::conflict)
    return Error{ErrorKind::conflict, fmt::format("`sightline gc` is cleaning {}; run the same command again when it has finished", root_)};
  return lock;
}

Result<FileLock> Workspace::lock_for_cleaning() const {
  Result<FileLock> lock = FileLock::acquire(root_ + "/lock", false);
  if (!lock.ok() && lock.error().kind == ErrorKind::conflict)
    return Error{ErrorKind::conflict, fmt::format("a build is using {}; run the same command again when it has finished", root_)};
  return lock;
}

}  // namespace sightline::store
