#include "app/cli/model_source.h"

#include <filesystem>
#include <set>

#include "base/files.h"
#include "base/text.h"
#include "store/release_name.h"
#include "store/workspace.h"

namespace sightline::cli {
namespace {

bool is_package_folder(const std::string& path) { return path_exists(path + "/config.pbtxt") || path_exists(path + "/1/model.onnx"); }

std::optional<FoundModel> find_on_disk(const std::string& text) {
  if (is_directory(text)) {
    if (!is_package_folder(text)) return std::nullopt;
    return FoundModel{.kind = FoundModel::Kind::package, .path = text, .name = text};
  }
  if (!path_exists(text)) return std::nullopt;
  return FoundModel{.kind = FoundModel::Kind::onnx, .path = text, .name = text};
}

struct Search {
  std::optional<FoundModel> found;
  std::vector<std::string> released;   // all names
  std::vector<std::int64_t> versions;  // of the wanted name
};

Result<Search> search_releases(const std::string& root, const store::ReleaseName& wanted) {
  Search search;
  if (!path_exists(root + "/format")) return search;
  SIGHTLINE_TRY(const store::Workspace workspace, store::Workspace::open(root, false));
  SIGHTLINE_TRY(const auto releases, workspace.registry().releases());
  std::set<std::string> names;
  for (const store::Release& release : releases) {
    names.insert(release.name);
    if (release.name != wanted.name) continue;
    search.versions.push_back(release.version);
    if (wanted.version != release.version && !(wanted.version == 0 && release.in_force)) continue;
    SIGHTLINE_TRY(const std::string folder, workspace.ensure_release_folder(release));
    search.found = FoundModel{.kind = FoundModel::Kind::release,
                              .path = folder,
                              .name = fmt::format("{}:{}", release.name, release.version),
                              .version = release.version};
  }
  search.released.assign(names.begin(), names.end());
  return search;
}

Error not_found(const std::string& text, const std::string& root, const std::optional<store::ReleaseName>& name, const Search& search) {
  std::string message = fmt::format("\"{}\" is no model", text);
  if (name && !search.versions.empty()) {
    std::vector<std::string> versions;
    for (const std::int64_t version : search.versions) versions.push_back(std::to_string(version));
    const std::string wanted = name->version > 0 ? fmt::format("not as version {}", name->version) : "no version is in force";
    return {ErrorKind::not_found, fmt::format("{} has been released, but {}; there is {}, called like {}:{}", name->name, wanted,
                                              join(versions, ", "), name->name, versions.back())};
  }
  if (name) {
    message += path_exists(root + "/format")
                   ? (search.released.empty() ? fmt::format(": nothing has been released in {}", root)
                                              : fmt::format(": the releases in {} are {}", root, join(search.released, ", ")))
                   : fmt::format(": there is no workspace {} (--workspace names another)", root);
    message += ", and there is ";
  } else {
    message += ": there is ";
  }
  message += is_directory(text) ? fmt::format("a folder {}, but it holds neither config.pbtxt nor 1/model.onnx", text)
                                : fmt::format("no package folder or .onnx file {}", text);
  if (name) message += did_you_mean(name->name, search.released);
  return {ErrorKind::not_found, message};
}

}  // namespace

std::string workspace_root(const Console& console) { return console.workspace.empty() ? ".sightline" : console.workspace; }

Result<FoundModel> find_model(const Console& console, const std::string& text) {
  const std::string root = workspace_root(console);
  const Result<store::ReleaseName> called = store::parse_release_name(text);
  const std::optional<store::ReleaseName> name = called.ok() ? std::optional(*called) : std::nullopt;
  std::optional<FoundModel> on_disk = find_on_disk(text);
  Search search;
  if (name) {
    auto searched = search_releases(root, *name);
    // A workspace that cannot be opened does not keep anyone from using a folder.
    if (!searched.ok() && !on_disk) return searched.error();
    if (searched.ok()) search = *std::move(searched);
  }
  if (search.found) {
    if (on_disk) console.remark("{} is taken as the release {}; write ./{} for what lies in this folder", text, search.found->name, text);
    return *search.found;
  }
  if (on_disk) return *on_disk;
  return not_found(text, root, name, search);
}

Result<OpenModel> open_model(const Console& console, const std::string& text, int threads, const std::string& task) {
  SIGHTLINE_TRY(FoundModel found, find_model(console, text));
  SIGHTLINE_TRY(package::Model model, package::Model::open(found.path, {.threads = threads, .task = task}));
  for (const std::string& remark : model.remarks()) console.warn("{}: {}", found.name, remark);
  return OpenModel{std::move(found), std::move(model)};
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const tasks::Task& task : tasks::all_tasks()) names.emplace_back(task.name);
  return names;
}

Json json_of(const FoundModel& model) {
  const char* kind = model.kind == FoundModel::Kind::release ? "release" : model.kind == FoundModel::Kind::package ? "package" : "onnx";
  Json json{{"name", model.name}, {"kind", kind}, {"path", model.path}};
  if (model.version > 0) json["version"] = model.version;
  return json;
}

}  // namespace sightline::cli
