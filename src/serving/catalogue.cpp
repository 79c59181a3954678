#include "serving/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "base/files.h"
#include "store/workspace.h"

namespace sightline::serving {
namespace {

namespace fs = std::filesystem;

std::string stamp_of(const std::string& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return "";
  const auto size = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  return fmt::format("{} {}", time.time_since_epoch().count(), size);
}

bool is_package(const std::string& folder) { return path_exists(folder + "/config.pbtxt") && path_exists(folder + "/1/model.onnx"); }

std::optional<std::int64_t> version_named(const std::string& name) {
  if (name.empty() || name.size() > 15 || name[0] == '0' || name.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::stoll(name);
}

Listed listed(const std::string& name, std::int64_t version, const std::string& path, const std::string& file) {
  return {.name = name, .version = version, .stamp = stamp_of(file), .path = [path]() -> Result<std::string> { return path; }};
}

Result<std::vector<Listed>> list_folder(const std::string& folder) {
  std::vector<Listed> models;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string path = at->path().string(), name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    if (name.ends_with(".onnx")) {
      const std::string stem = at->path().stem().string();
      if (store::check_release_name(stem).ok()) models.push_back(listed(stem, 1, path, path));
      continue;
    }
    if (!is_directory(path) || !store::check_release_name(name).ok()) continue;
    if (is_package(path)) {
      models.push_back(listed(name, 1, path, path + "/1/model.onnx"));
      continue;
    }
    const std::size_t first = models.size();
    std::error_code inner;
    for (fs::directory_iterator each(path, inner), last; !inner && each != last; each.increment(inner)) {
      const auto version = version_named(each->path().filename().string());
      if (!version || !is_package(each->path().string())) continue;
      models.push_back(listed(name, *version, each->path().string(), each->path().string() + "/1/model.onnx"));
      models.back().in_force = false;
    }
    const auto newest = std::max_element(models.begin() + static_cast<std::ptrdiff_t>(first), models.end(),
                                         [](const Listed& a, const Listed& b) { return a.version < b.version; });
    if (newest != models.end()) newest->in_force = true;
  }
  if (error) return Error{ErrorKind::io, fmt::format("{}: cannot be listed: {}", folder, error.message())};
  std::ranges::sort(models, [](const Listed& a, const Listed& b) { return std::tie(a.name, a.version) < std::tie(b.name, b.version); });
  // apparel/ and apparel.onnx: the first of them.
  const auto same = [](const Listed& a, const Listed& b) { return a.name == b.name && a.version == b.version; };
  models.erase(std::unique(models.begin(), models.end(), same), models.end());
  return models;
}

}  // namespace

Result<Catalogue> workspace_catalogue(const std::string& root) {
  struct Shared {
    store::Workspace workspace;
    std::mutex mutex;  // the registry is for one thread at a time
    std::string stamp;
    std::vector<Listed> listed;
  };
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(root, false));
  auto shared = std::make_shared<Shared>(std::move(workspace));
  return Catalogue([shared, root]() -> Result<std::vector<Listed>> {
    const std::scoped_lock lock(shared->mutex);
    const std::string stamp = stamp_of(root + "/registry.db") + stamp_of(root + "/registry.db-wal");
    if (stamp == shared->stamp) return shared->listed;
    SIGHTLINE_TRY(const std::vector<store::Release> releases, shared->workspace.registry().releases());
    std::vector<Listed> models;
    for (const store::Release& release : releases) {
      models.push_back({.name = release.name,
                        .version = release.version,
                        .in_force = release.in_force,
                        .stamp = release.package,
                        .path = [shared, release]() -> Result<std::string> {
                          const std::scoped_lock one(shared->mutex);
                          return shared->workspace.ensure_release_folder(release);
                        }});
    }
    shared->listed = models;
    shared->stamp = stamp;
    return models;
  });
}

Result<Catalogue> folder_catalogue(const std::string& folder) {
  if (!is_directory(folder)) return Error{ErrorKind::not_found, fmt::format("{}: there is no such folder", folder)};
  return Catalogue([folder] { return list_folder(folder); });
}

}  // namespace sightline::serving
