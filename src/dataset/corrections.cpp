#include "dataset/corrections.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "dataset/json_lines.h"

namespace sightline::dataset {
namespace {

std::string text_of(const std::vector<Correction>& revisions) {
  std::string text;
  for (const Correction& each : revisions) append_json_line(text, each);
  return text;
}

Result<FileLock> lock_for_writing(const std::string& path) {
  SIGHTLINE_CHECK(make_directories(std::filesystem::path(path).parent_path().string()));
  return FileLock::acquire(path + ".lock");
}

}  // namespace

std::string corrections_path(const std::string& workspace_root, const std::string& demand) {
  return fmt::format("{}/corrections/{}.jsonl", workspace_root, demand);
}

Result<std::vector<Correction>> read_corrections(const std::string& path) {
  if (!path_exists(path)) return std::vector<Correction>();
  SIGHTLINE_TRY(const std::string text, read_file(path));
  std::vector<Correction> revisions;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    Correction correction;
    const Result<void> read = parse_json_line(std::string_view(text).substr(begin, end - begin), correction);
    const std::string place = fmt::format("{}:{}", path, revisions.size() + 1);
    if (!read.ok()) return read.error().in(place);
    if (correction.revision != static_cast<std::int64_t>(revisions.size()) + 1)
      return Error{ErrorKind::invalid_data, fmt::format("{}: revision {} stands where {} belongs; put the lines back in their order", place,
                                                        correction.revision, revisions.size() + 1)};
    if (correction.undoes < 0 || correction.undoes >= correction.revision)
      return Error{ErrorKind::invalid_data, fmt::format("{}: revision {} cannot undo {}", place, correction.revision, correction.undoes)};
    revisions.push_back(std::move(correction));
    begin = end + 1;
  }
  return revisions;
}

std::vector<Correction> corrections_in_force(const std::vector<Correction>& revisions) {
  std::set<std::int64_t> undone;
  for (const Correction& each : revisions)
    if (each.undoes > 0) undone.insert(each.undoes);
  std::map<std::string, const Correction*> last;
  for (const Correction& each : revisions)
    if (each.undoes == 0 && !undone.contains(each.revision)) last[each.path] = &each;
  std::vector<Correction> in_force;
  for (const auto& [path, correction] : last) in_force.push_back(*correction);
  return in_force;
}

Digest digest_of_corrections(const std::vector<Correction>& in_force) {
  if (in_force.empty()) return "";
  Sha256 hash;
  for (const Correction& each : in_force)  // not when and by whom: what comes of it is the same
    hash.add_field(each.path).add_field(each.digest).add_field(each.from).add_field(each.to);
  return hash.finish();
}

Result<Correction> add_correction(const std::string& path, Correction correction) {
  SIGHTLINE_TRY(const FileLock lock, lock_for_writing(path));
  SIGHTLINE_TRY(std::vector<Correction> revisions, read_corrections(path));
  // Who corrects again sees the corrected label; what the data say is what the first correction saw.
  for (const Correction& each : corrections_in_force(revisions))
    if (each.path == correction.path && each.digest == correction.digest) correction.from = each.from;
  correction.revision = static_cast<std::int64_t>(revisions.size()) + 1;
  correction.when = utc_now();
  correction.undoes = 0;
  revisions.push_back(correction);
  SIGHTLINE_CHECK(write_file(path, text_of(revisions)));
  return correction;
}

Result<Correction> undo_correction(const std::string& path, const std::string& who, std::int64_t revision) {
  SIGHTLINE_TRY(const FileLock lock, lock_for_writing(path));
  SIGHTLINE_TRY(std::vector<Correction> revisions, read_corrections(path));
  const std::vector<Correction> in_force = corrections_in_force(revisions);
  const auto wanted = revision > 0 ? std::ranges::find(in_force, revision, &Correction::revision)
                                   : std::ranges::max_element(in_force, {}, &Correction::revision);
  if (wanted == in_force.end())
    return Error{ErrorKind::not_found,
                 revision > 0 ? fmt::format("revision {} is no correction that is in force", revision) : "there is no correction to undo"};
  Correction undoing = *wanted;
  undoing.undoes = wanted->revision;
  undoing.revision = static_cast<std::int64_t>(revisions.size()) + 1;
  undoing.when = utc_now();
  undoing.who = who;
  revisions.push_back(undoing);
  SIGHTLINE_CHECK(write_file(path, text_of(revisions)));
  return undoing;
}

Corrected apply_corrections(const std::vector<Correction>& in_force, Manifest& manifest) {
  Corrected corrected;
  const auto leave = [&](const Correction& each, const std::string& why) {
    corrected.left_out.push_back(fmt::format("{} (revision {}): {}", each.path, each.revision, why));
  };
  const bool labels = one_class_each(manifest);
  std::map<std::string, Sample*> samples;
  if (labels && !in_force.empty())
    for (Sample& sample : manifest.samples) samples[sample.path] = &sample;
  std::map<std::string, int> classes;
  for (std::size_t i = 0; i < manifest.classes.size(); ++i) classes[manifest.classes[i]] = static_cast<int>(i);
  for (const Correction& each : in_force) {
    const auto sample = samples.find(each.path);
    const auto to = classes.find(each.to);
    if (!labels) {
      leave(each, "its pictures do not have one class each");
    } else if (sample == samples.end()) {
      leave(each, "there is no such picture any more");
    } else if (sample->second->digest != each.digest) {
      leave(each, "it is another picture now");
    } else if (to == classes.end()) {
      leave(each, fmt::format("there is no class \"{}\"", each.to));
    } else if (const std::string& now = manifest.classes[static_cast<std::size_t>(sample->second->label)];
               now != each.from && now != each.to) {
      leave(each, fmt::format("the data say \"{}\" now, not \"{}\"", now, each.from));
    } else {
      corrected.changed += sample->second->label == to->second ? 0 : 1;
      sample->second->label = to->second;
    }
  }
  return corrected;
}

}  // namespace sightline::dataset
