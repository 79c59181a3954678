// fsck, garbage collection, backup and restore of a workspace.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <set>

#include "base/parallel.h"
#include "base/text.h"
#include "store/workspace.h"

namespace sightline::store {
namespace fs = std::filesystem;
namespace {

constexpr std::time_t young_seconds = 3600;
constexpr const char* made_again = "the next build makes it again";

std::string shortened(const Digest& digest) { return digest.substr(0, 12); }

// The digests with those that trees among them list. Error invalid_data when a tree cannot be trusted: what it lists must not be thrown
// away for that.
Result<std::set<Digest>> with_parts(const BlobStore& blobs, const std::vector<Digest>& digests) {
  std::set<Digest> all;
  for (const Digest& digest : digests) {
    if (digest.empty() || !all.insert(digest).second || !blobs.is_tree(digest)) continue;
    SIGHTLINE_CHECK(blobs.verify(digest));
    SIGHTLINE_TRY(const auto files, blobs.tree(digest));
    for (const auto& [path, part] : files) all.insert(part);
  }
  return all;
}

std::uint64_t bytes_below(const std::string& folder) {
  std::uint64_t bytes = 0;
  std::error_code code;
  for (fs::recursive_directory_iterator each(folder, code), end; !code && each != end; each.increment(code)) {
    std::error_code inner;
    if (each->is_regular_file(inner)) bytes += each->file_size(inner);
  }
  return bytes;
}

// Entries of a folder; none when it does not exist.
std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator each(folder, code), end; !code && each != end; each.increment(code))
    names.push_back(each->path().filename().string());
  return names;
}

class Checker {
 public:
  Checker(Workspace& workspace, bool repair) : workspace_(workspace), blobs_(workspace.blobs()), repair_(repair) {}
  std::vector<Problem> problems;

  Result<void> check_blobs() {
    SIGHTLINE_TRY(const std::vector<Digest> digests, blobs_.list());
    std::vector<Digest> bad;
    std::mutex mutex;
    SIGHTLINE_CHECK(parallel_for(digests.size(), [&](std::size_t i) -> Result<void> {
      const Result<void> status = blobs_.verify(digests[i]);
      if (status.ok() || !blobs_.contains(digests[i])) return {};  // gone since it was listed: references are checked below
      const std::lock_guard lock(mutex);
      bad.push_back(digests[i]);
      return {};
    }));
    std::sort(bad.begin(), bad.end());
    for (const Digest& digest : bad) {
      if (repair_) SIGHTLINE_CHECK(blobs_.quarantine(digest));
      add(fmt::format("the blob {} is damaged (its bytes no longer hash to its name)", shortened(digest)),
          repair_ ? fmt::format("set aside in quarantine/; {}", made_again) : "run `sightline fsck --repair`");
    }
    damaged_.insert(bad.begin(), bad.end());
    return {};
  }

  // Whether the blob, and every file of it when it is a tree, is there; damaged ones were reported before.
  void check_reference(const Digest& digest, const std::string& owner, const std::string& remedy) {
    if (damaged_.contains(digest)) return add(fmt::format("{} needs the damaged blob {}", owner, shortened(digest)), remedy);
    if (!blobs_.contains(digest)) return add(fmt::format("{} needs the blob {}, which is missing", owner, shortened(digest)), remedy);
    if (!blobs_.is_tree(digest)) return;
    const auto entries = blobs_.tree_entries(digest);
    if (!entries.ok()) return add(fmt::format("{}: {}", owner, entries.error().message), remedy);
    for (const auto& [path, entry] : *entries) {
      const Result<std::uint64_t> bytes = blobs_.bytes_of(entry.digest);
      if (damaged_.contains(entry.digest)) {
        add(fmt::format("{}: its file {} is the damaged blob {}", owner, path, shortened(entry.digest)), remedy);
      } else if (!bytes.ok() || *bytes != entry.bytes) {
        add(fmt::format("{}: its file {} (blob {}) is missing or of another size", owner, path, shortened(entry.digest)), remedy);
      }
    }
  }

  Result<void> check_release_folder(const Release& release) {
    const std::string folder = workspace_.release_folder(release.name, release.version);
    const auto entries = blobs_.tree_entries(release.package);
    if (!is_directory(folder) || !entries.ok()) return {};
    for (const auto& [path, entry] : *entries) {
      const std::string file = folder + "/" + path;
      struct stat linked {
      }, blob{};
      const bool there = ::lstat(file.c_str(), &linked) == 0 && S_ISREG(linked.st_mode);
      if (there && ::stat(blobs_.path_of(entry.digest).c_str(), &blob) == 0 && blob.st_ino == linked.st_ino && blob.st_dev == linked.st_dev)
        continue;
      if (there) {
        const Result<Digest> actual = sha256_of_file(file);
        if (actual.ok() && *actual == entry.digest) continue;
      }
      if (repair_) SIGHTLINE_CHECK(remove_all(folder));
      add(fmt::format("{} is {}", file, there ? "altered" : "missing"),
          repair_ ? "the folder was removed; it is written again when it is used" : "run `sightline fsck --repair`");
      return {};
    }
    return {};
  }

  void add(std::string what, std::string remedy) { problems.push_back({std::move(what), std::move(remedy)}); }

 private:
  Workspace& workspace_;
  BlobStore& blobs_;
  bool repair_;
  std::set<Digest> damaged_;
};

// Copies or links one blob into another workspace's blobs/, hashed on the way.
Result<void> carry_blob(const BlobStore& from, BlobStore& to, const Digest& digest) {
  if (to.contains(digest)) return {};
  SIGHTLINE_CHECK(from.verify(digest));
  const std::string target = to.path_of(digest);
  SIGHTLINE_CHECK(make_directories(fs::path(target).parent_path().string()));
  if (::link(from.path_of(digest).c_str(), target.c_str()) == 0) return {};
  SIGHTLINE_TRY(const Digest copied, to.put_file(from.path_of(digest)));
  if (copied != digest) return from.verify(digest);
  return {};
}

Result<void> carry_blobs(const BlobStore& from, const std::string& target) {
  SIGHTLINE_TRY(BlobStore to, BlobStore::open(target));
  SIGHTLINE_TRY(const std::vector<Digest> digests, from.list());
  SIGHTLINE_CHECK(parallel_for(digests.size(), [&](std::size_t i) { return carry_blob(from, to, digests[i]); }));
  for (const std::string& shelf : entries_of(target + "/blobs")) SIGHTLINE_CHECK(sync_directory(target + "/blobs/" + shelf));
  return sync_directory(target + "/blobs");
}

Result<void> carry_file(const std::string& from, const std::string& to) {
  if (!path_exists(from)) return {};
  SIGHTLINE_TRY(const std::string content, read_file(from));
  return write_file(to, content);
}

// What people corrected can be made again by nobody.
Result<void> carry_corrections(const std::string& from, const std::string& to) {
  const std::string folder = from + "/corrections";
  if (!is_directory(folder)) return {};
  SIGHTLINE_CHECK(make_directories(to + "/corrections"));
  for (const std::string& name : entries_of(folder))
    if (name.ends_with(".jsonl")) SIGHTLINE_CHECK(carry_file(folder + "/" + name, to + "/corrections/" + name));
  return {};
}

Result<void> must_be_free(const std::string& folder, const char* what) {
  std::error_code code;
  if (fs::symlink_status(folder, code).type() == fs::file_type::not_found) return {};
  if (is_directory(folder) && entries_of(folder).empty()) return {};
  return Error{ErrorKind::conflict, fmt::format("{} is not empty; a {} needs a new or empty folder", folder, what)};
}

// Fills a folder beside `target` and puts it into place whole.
template <class Fill>
Result<void> make_folder(const std::string& target, Fill&& fill) {
  std::string place = absolute_path(target);
  while (place.size() > 1 && place.ends_with('/')) place.pop_back();
  SIGHTLINE_CHECK(make_directories(fs::path(place).parent_path().string()));
  std::string partial = place + ".partial-XXXXXX";
  if (::mkdtemp(partial.data()) == nullptr) return system_error("cannot create a folder beside", place);
  Result<void> done =
      ::chmod(partial.c_str(), 0755) == 0 ? fill(partial) : Result<void>(system_error("cannot change the mode of", partial));
  if (done.ok()) done = rename_path(partial, place);
  if (!done.ok()) (void)remove_all(partial);
  return done;
}

}  // namespace

Result<std::vector<Problem>> fsck(Workspace& workspace, const std::vector<Digest>& referenced_by_steps, bool quarantine_bad) {
  Checker checker(workspace, quarantine_bad);
  if (const auto status = workspace.registry().check(); !status.ok())
    checker.add(status.error().message, "`sightline restore` from a backup");
  SIGHTLINE_CHECK(checker.check_blobs());
  const auto releases = workspace.registry().releases();
  if (releases.ok()) {
    for (const Release& release : *releases) {
      const std::string owner = fmt::format("release {} version {}", release.name, release.version);
      for (const Digest& digest : {release.package, release.evaluation, release.report}) {
        if (!digest.empty()) checker.check_reference(digest, owner, std::string(made_again) + ", or `sightline restore` from a backup");
      }
      SIGHTLINE_CHECK(checker.check_release_folder(release));
    }
  }
  if (const auto backbones = workspace.registry().backbones(); backbones.ok()) {
    for (const Backbone& backbone : *backbones)
      checker.check_reference(backbone.tree, "backbone " + backbone.name, "import it again (`sightline backbone import`)");
  }
  std::set<Digest> seen;
  for (const Digest& digest : referenced_by_steps) {
    if (seen.insert(digest).second) checker.check_reference(digest, "a finished step", "that step runs again at the next build");
  }
  if (quarantine_bad) SIGHTLINE_CHECK(workspace.blobs().remove_stale_temporaries());
  return std::move(checker.problems);
}

Result<std::uint64_t> collect_garbage(Workspace& workspace, const std::vector<Digest>& keep, bool dry_run, const FileLock* held) {
  FileLock own;
  if (held == nullptr && !dry_run) {
    SIGHTLINE_TRY(own, workspace.lock_for_cleaning());
  }
  BlobStore& blobs = workspace.blobs();
  SIGHTLINE_TRY(const std::vector<Release> releases, workspace.registry().releases());
  std::vector<Digest> wanted;
  for (const Release& release : releases) {
    // A package whose list lost its first bytes would not be taken for a tree.
    if (blobs.contains(release.package)) SIGHTLINE_CHECK(blobs.verify(release.package));
    wanted.insert(wanted.end(), {release.package, release.evaluation, release.report});
  }
  SIGHTLINE_TRY(const std::vector<Backbone> backbones, workspace.registry().backbones());
  for (const Backbone& backbone : backbones) wanted.push_back(backbone.tree);
  wanted.insert(wanted.end(), keep.begin(), keep.end());
  SIGHTLINE_TRY(const std::set<Digest> kept, with_parts(blobs, wanted));
  SIGHTLINE_TRY(const std::vector<Digest> all, blobs.list());
  const std::time_t now = std::time(nullptr);
  std::uint64_t freed = 0;
  for (const Digest& digest : all) {
    struct stat info {};
    if (kept.contains(digest) || ::stat(blobs.path_of(digest).c_str(), &info) != 0) continue;
    if (held == nullptr && now - info.st_mtime < young_seconds) continue;
    if (!dry_run) SIGHTLINE_CHECK(blobs.remove(digest));
    freed += static_cast<std::uint64_t>(info.st_size);
  }
  for (const char* scratch : {"/work", "/locks", "/quarantine"}) {
    freed += bytes_below(workspace.root() + scratch);
    if (!dry_run) SIGHTLINE_CHECK(remove_all(workspace.root() + scratch));
  }
  // Folders of backbones that are gone.
  for (const std::string& name : entries_of(workspace.root() + "/backbones")) {
    const bool there = std::any_of(backbones.begin(), backbones.end(), [&](const Backbone& each) { return each.tree == name; });
    if (!there && !dry_run) SIGHTLINE_CHECK(remove_all(workspace.root() + "/backbones/" + name));
  }
  // Folders of releases that are gone, and those whose writer was killed.
  for (const std::string& name : entries_of(workspace.root() + "/releases")) {
    const std::string folder = workspace.root() + "/releases/" + name;
    for (const std::string& version : entries_of(folder)) {
      const bool number = !version.empty() && version.size() < 18 &&
                          std::all_of(version.begin(), version.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (number) {
        SIGHTLINE_TRY(const auto release, workspace.registry().release(name, std::stoll(version)));
        if (release) continue;
      }
      if (!dry_run) SIGHTLINE_CHECK(remove_all(folder + "/" + version));
    }
  }
  if (!dry_run) SIGHTLINE_CHECK(blobs.remove_stale_temporaries());
  return freed;
}

// Registry and log first, blobs after: whatever the copied rows refer to was stored before them.
Result<void> backup(const Workspace& workspace, const std::string& target) {
  SIGHTLINE_CHECK(must_be_free(target, "backup"));
  SIGHTLINE_TRY(const FileLock lock, workspace.lock_for_building());
  return make_folder(target, [&](const std::string& folder) -> Result<void> {
    SIGHTLINE_CHECK(workspace.registry().backup_to(folder + "/registry.db"));
    SIGHTLINE_CHECK(carry_file(workspace.step_log_path(), folder + "/steps.log"));
    SIGHTLINE_CHECK(carry_corrections(workspace.root(), folder));
    SIGHTLINE_CHECK(carry_blobs(workspace.blobs(), folder));
    SIGHTLINE_CHECK(remove_all(folder + "/tmp"));
    return carry_file(workspace.root() + "/format", folder + "/format");
  });
}

Result<void> restore(const std::string& backup, const std::string& workspace_root) {
  if (!path_exists(backup + "/format")) return Error{ErrorKind::invalid_data, backup + " is no backup (it holds no file `format`)"};
  SIGHTLINE_CHECK(must_be_free(workspace_root, "restored workspace"));
  SIGHTLINE_TRY(const Workspace source, Workspace::open(backup, false));
  SIGHTLINE_CHECK(source.registry().check());
  return make_folder(workspace_root, [&](const std::string& folder) -> Result<void> {
    SIGHTLINE_CHECK(source.registry().backup_to(folder + "/registry.db"));
    SIGHTLINE_CHECK(carry_file(source.step_log_path(), folder + "/steps.log"));
    SIGHTLINE_CHECK(carry_corrections(source.root(), folder));
    SIGHTLINE_CHECK(carry_blobs(source.blobs(), folder));
    return carry_file(source.root() + "/format", folder + "/format");
  });
}

}  // namespace sightline::store
