#include "app/web/site.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/files.h"
#include "base/log.h"

namespace sightline::web {
namespace {

constexpr std::size_t kManifests = 4;  // one of 70,000 pictures holds about 20 MB

}  // namespace

Site::Site(std::string root, store::Workspace workspace, line::StepLog log)
    : root_(std::move(root)), workspace_(std::move(workspace)), log_(std::move(log)) {}

Result<std::shared_ptr<Site>> Site::open(const std::string& root) {
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(root, false));
  SIGHTLINE_TRY(line::StepLog log, line::StepLog::open(workspace.step_log_path()));
  return std::shared_ptr<Site>(new Site(absolute_path(root), std::move(workspace), std::move(log)));
}

std::string Site::folder() const { return std::filesystem::path(root_).parent_path().string(); }

Result<void> Site::refresh() { return log_.reload(); }

Result<std::vector<store::Release>> Site::releases(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return workspace_.registry().releases(name);
}

Result<store::Release> Site::release(const std::string& name, std::int64_t version) {
  SIGHTLINE_CHECK(store::check_release_name(name));
  const std::lock_guard lock(mutex_);
  SIGHTLINE_TRY(std::optional<store::Release> release, workspace_.registry().release(name, version));
  if (release) return *std::move(release);
  return Error{ErrorKind::not_found,
               version == 0 ? fmt::format("no version of {} is in force", name) : fmt::format("there is no release {}:{}", name, version)};
}

Result<std::vector<store::Run>> Site::runs(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return workspace_.registry().runs(name);
}

Result<std::int64_t> Site::put_in_force(const std::string& name, std::int64_t version) {
  SIGHTLINE_TRY(const store::Release target, release(name, version));
  const std::lock_guard lock(mutex_);
  SIGHTLINE_TRY(const std::optional<store::Release> now, workspace_.registry().release(name));
  SIGHTLINE_TRY(const std::string folder, workspace_.ensure_release_folder(target));
  SIGHTLINE_CHECK(workspace_.registry().set_in_force(target.name, target.version));
  return now ? now->version : std::int64_t{0};
}

std::optional<line::StepRecord> Site::last_step(const std::string& name, const std::string& step) {
  const std::lock_guard lock(mutex_);
  if (const auto status = refresh(); !status.ok()) log_warning("the step log: {}", status.error().message);
  const line::StepRecord* record = log_.last(name, step);
  return record == nullptr ? std::nullopt : std::optional(*record);
}

Result<std::vector<line::StepRecord>> Site::steps(const std::string& name) {
  const std::lock_guard lock(mutex_);
  SIGHTLINE_CHECK(refresh());
  std::vector<line::StepRecord> found;
  for (const line::StepRecord& record : log_.records())
    if (record.pipeline == name) found.push_back(record);
  return found;
}

std::optional<line::StepRecord> Site::made_by(const store::Release& release) {
  const auto made = [&](const line::StepRecord& record) {
    const auto package = record.inputs.find("package");
    const auto evaluation = record.inputs.find("evaluation");
    return record.step == "release" && package != record.inputs.end() && package->second == release.package &&
           evaluation != record.inputs.end() && evaluation->second == release.evaluation;
  };
  if (std::optional<line::StepRecord> last = last_step(release.name, "release"); last && made(*last)) return last;
  const Result<std::vector<line::StepRecord>> all = steps(release.name);
  if (!all.ok()) return std::nullopt;
  const auto found = std::find_if(all->rbegin(), all->rend(), made);
  return found == all->rend() ? std::nullopt : std::optional(*found);
}

Result<Digest> Site::measured_on(const store::Release& release) {
  if (const std::optional<line::StepRecord> record = made_by(release)) {
    const auto manifest = record->inputs.find("manifest");
    if (manifest != record->inputs.end()) return manifest->second;
  }
  return Error{ErrorKind::not_found, "the step log no longer says which pictures this release was measured on"};
}

Result<std::string> Site::blob(const Digest& digest) const { return workspace_.blobs().get(digest); }

Result<Json> Site::json_blob(const Digest& digest, const std::string& what) const {
  SIGHTLINE_TRY(const std::string text, blob(digest));
  return parse_json(text, what);
}

Result<evaluation::Evaluation> Site::evaluation_of(const store::Release& release) const {
  SIGHTLINE_TRY(const Json json, json_blob(release.evaluation, "the evaluation of " + release.name));
  return struct_from_json<evaluation::Evaluation>(json);
}

Result<Reached> Site::reached(const Digest& evaluation) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = reached_.find(evaluation); found != reached_.end()) return found->second;
  }
  SIGHTLINE_TRY(const Json json, json_blob(evaluation, "an evaluation"));
  Reached read;
  if (json.contains("task")) SIGHTLINE_CHECK(from_json(json.at("task"), read.task, "task"));
  if (json.contains("intervals")) SIGHTLINE_CHECK(from_json(json.at("intervals"), read.intervals, "intervals"));
  const std::lock_guard lock(mutex_);
  return reached_.emplace(evaluation, std::move(read)).first->second;
}

Result<std::shared_ptr<const dataset::Manifest>> Site::manifest(const Digest& digest) {
  {
    const std::lock_guard lock(mutex_);
    for (auto each = manifests_.begin(); each != manifests_.end(); ++each) {
      if (each->first != digest) continue;
      manifests_.splice(manifests_.begin(), manifests_, each);
      return manifests_.front().second;
    }
  }
  SIGHTLINE_TRY(const std::string text, blob(digest));
  SIGHTLINE_TRY(dataset::Manifest read, dataset::parse_manifest(text, digest.substr(0, 12)));
  auto manifest = std::make_shared<const dataset::Manifest>(std::move(read));
  const std::lock_guard lock(mutex_);
  manifests_.emplace_front(digest, manifest);
  if (manifests_.size() > kManifests) manifests_.pop_back();
  return std::shared_ptr<const dataset::Manifest>(manifest);
}

Result<std::string> Site::package_folder(const store::Release& release) {
  const std::lock_guard lock(mutex_);
  return workspace_.ensure_release_folder(release);
}

Result<std::int64_t> number_of(const std::string& text, const std::string& name, std::int64_t least, std::int64_t otherwise) {
  if (text.empty()) return otherwise;
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size() || number < least)
    return Error{ErrorKind::usage, fmt::format("{} is a whole number of at least {}", name, least)};
  return number;
}

}  // namespace sightline::web
