// links: line store
// Names and paths that come from outside: release names, keys, digests, the list of a stored folder, lines of the step log. Nothing may
// crash, and nothing may be written outside of the workspace.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "line/step_log.h"
#include "store/workspace.h"

namespace {

namespace fs = std::filesystem;
using sightline::Digest;

struct World {
  sightline::TemporaryFolder folder;
  std::unique_ptr<sightline::store::Workspace> workspace;
  Digest content;

  World() {
    auto opened = sightline::store::Workspace::open(folder / "w/.sightline");
    if (!opened.ok()) std::abort();
    workspace = std::make_unique<sightline::store::Workspace>(*std::move(opened));
    content = *workspace->blobs().put("content");
  }
};

void require(bool holds) {
  if (!holds) std::abort();
}

// "#" in the text stands for the digest of a blob that is there, so that the fuzzer need not guess SHA-256.
std::string with_digests(std::string_view text, const Digest& digest) {
  std::string full;
  for (const char c : text) c == '#' ? full += digest : full += c;
  return full;
}

void try_name(World& world, const std::string& name) {
  const std::string inside = world.workspace->root() + "/releases/";
  require(world.workspace->release_folder(name, 1).starts_with(inside));
  require(fs::path(world.workspace->release_folder(name, 1)).lexically_normal().string().starts_with(inside));
  require(fs::path(world.workspace->work_folder(name)).lexically_normal().string().starts_with(world.workspace->root() + "/work/"));
  require(fs::path(world.workspace->blobs().path_of(name)).lexically_normal().string().starts_with(world.workspace->root() + "/blobs/"));
  (void)world.workspace->blobs().get(name);
  sightline::store::Release release;
  release.name = name;
  release.version = 1;
  release.package = world.content;  // no tree: nothing is made, whatever the name
  require(!world.workspace->ensure_release_folder(release).ok());
  if (sightline::store::check_release_name(name).ok())
    require(name.find('/') == std::string::npos && name.front() != '.' && name.size() <= 64);
}

void try_tree(World& world, const std::string& text) {
  const auto parsed = sightline::store::parse_tree(text, "the input");
  if (!parsed.ok()) return;
  for (const auto& [path, entry] : *parsed) require(sightline::store::is_tree_path(path) && sightline::is_digest(entry.digest));
  const std::string out = world.folder / "out/deep/folder";
  const auto tree = world.workspace->blobs().put(text);
  require(tree.ok());
  if (world.workspace->blobs().materialize(*tree, out).ok()) require(sightline::is_directory(out));
  require(sightline::remove_all(world.folder / "out").ok());
  require(world.workspace->blobs().remove(*tree).ok());
  for (const auto& each : fs::directory_iterator(world.folder.path())) require(each.path().filename() == "w");
}

void try_log(World& world, const std::string& text) {
  const std::string path = world.folder / "w/steps.log";
  require(sightline::write_file(path, text).ok());
  auto log = sightline::line::StepLog::open(path);
  if (!log.ok()) {
    require(sightline::line::StepLog::repair(path).ok());
    log = sightline::line::StepLog::open(path);
    require(log.ok());
    require(sightline::remove_all(path + ".bad").ok());
  }
  (void)log->records();
  (void)log->current_outputs();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string text = with_digests(input, world.content);
  switch (data[0] % 3) {
    case 0: try_name(world, text); break;
    case 1: try_tree(world, data[0] < 128 ? "{\"sightline_tree\":1,\"files\":{\"" + text : text); break;
    default: try_log(world, text); break;
  }
  return 0;
}
