#include "store/workspace.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/testing.h"

namespace sightline::store {
namespace {
namespace fs = std::filesystem;

void overwrite(const std::string& path, const std::string& content) {
  ::chmod(path.c_str(), 0644);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

void age(const std::string& path) { fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(2)); }

class WorkspaceTest : public ::testing::Test {
 protected:
  static Workspace open(const std::string& at) {
    auto workspace = Workspace::open(at);
    EXPECT_TRUE(workspace.ok()) << workspace.error().message;
    return *std::move(workspace);
  }
  // A released package of two files, with evaluation and report.
  static Release add_release(Workspace& workspace, const std::string& name, const std::string& content) {
    const TemporaryFolder scratch;
    EXPECT_TRUE(make_directories(scratch / "p/1").ok());
    EXPECT_TRUE(write_file(scratch / "p/1/model.onnx", "model " + content).ok());
    EXPECT_TRUE(write_file(scratch / "p/config.pbtxt", "config").ok());
    Release release;
    release.name = name;
    release.package = *workspace.blobs().put_tree(scratch / "p");
    release.evaluation = *workspace.blobs().put("evaluation " + content);
    release.report = *workspace.blobs().put("report " + content);
    release.in_force = true;
    release.version = *workspace.registry().add_release(release);
    return release;
  }
  static std::string list(const std::vector<Problem>& problems) {
    std::string text;
    for (const Problem& problem : problems) text += problem.what + " → " + problem.remedy + "\n";
    return text;
  }
  TemporaryFolder folder;
  std::string root = folder / "deep/.sightline";
};

TEST_F(WorkspaceTest, IsMadeOnlyWhenAsked) {
  EXPECT_EQ(Workspace::open(root, false).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(path_exists(root));
  { open(root); }
  EXPECT_TRUE(Workspace::open(root, false).ok());
  EXPECT_EQ(*read_file(root + "/format"), "{\"workspace\":1}\n");
}

TEST_F(WorkspaceTest, OtherFoldersAndFormatsAreRefused) {
  ASSERT_TRUE(write_file(folder / "letter.txt", "mine").ok());
  EXPECT_EQ(Workspace::open(folder.path()).error().kind, ErrorKind::conflict);
  { open(root); }
  ASSERT_TRUE(write_file(root + "/format", R"({"workspace": 2, "later": true})").ok());
  EXPECT_EQ(Workspace::open(root).error().kind, ErrorKind::conflict);
  for (const char* text : {"", "{", "[]", R"({"workspace": 0})", R"({"workspace": "1"})", R"({"workspace": 1, "x": 2})"}) {
    ASSERT_TRUE(write_file(root + "/format", text).ok());
    EXPECT_EQ(Workspace::open(root).error().kind, ErrorKind::invalid_data) << text;
  }
}

TEST_F(WorkspaceTest, AnEmptiedRegistryIsNotTakenForANewOne) {
  { open(root); }
  overwrite(root + "/registry.db", "");
  const auto refused = Workspace::open(root);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid_data);
  EXPECT_NE(refused.error().message.find("restore"), std::string::npos);
}

TEST_F(WorkspaceTest, ReleaseFolders) {
  Workspace workspace = open(root);
  const Release release = add_release(workspace, "apparel", "one");
  const auto made = workspace.ensure_release_folder(release);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(*made, workspace.root() + "/releases/apparel/1");
  EXPECT_EQ(*read_file(*made + "/1/model.onnx"), "model one");
  EXPECT_EQ(*workspace.ensure_release_folder(release), *made);
  for (const char* name : {"..", "../..", "a/b", ".x", ""}) {
    Release bad = release;
    bad.name = name;
    EXPECT_EQ(workspace.ensure_release_folder(bad).error().kind, ErrorKind::usage);
    EXPECT_EQ(workspace.release_folder(name, 1), workspace.root() + "/releases/.impossible");
  }
}

TEST_F(WorkspaceTest, FsckFindsAndSetsAside) {
  Workspace workspace = open(root);
  const Release first = add_release(workspace, "apparel", "one");
  const Release second = add_release(workspace, "apparel", "two");
  const std::string folder_of_first = *workspace.ensure_release_folder(first);
  const Digest output = *workspace.blobs().put("output of a step");
  EXPECT_EQ(list(*fsck(workspace, {output}, false)), "");

  const Digest model = sha256_of("model one");
  overwrite(workspace.blobs().path_of(model), "model onE");
  ASSERT_TRUE(workspace.blobs().remove(second.report).ok());
  ASSERT_TRUE(workspace.blobs().remove(output).ok());
  const auto problems = *fsck(workspace, {output}, false);
  const std::string text = list(problems);
  EXPECT_EQ(problems.size(), 4U) << text;
  EXPECT_NE(text.find(model.substr(0, 12) + " is damaged"), std::string::npos) << text;
  EXPECT_NE(text.find("release apparel version 1: its file 1/model.onnx"), std::string::npos) << text;
  EXPECT_NE(text.find("release apparel version 2 needs the blob " + second.report.substr(0, 12)), std::string::npos) << text;
  EXPECT_NE(text.find("a finished step needs the blob"), std::string::npos) << text;
  EXPECT_TRUE(workspace.blobs().contains(model));

  EXPECT_FALSE(fsck(workspace, {}, true)->empty());
  EXPECT_FALSE(workspace.blobs().contains(model));
  EXPECT_FALSE(is_directory(folder_of_first));  // its file was the same damaged one
  EXPECT_TRUE(path_exists(root + "/quarantine/" + model));
  (void)add_release(workspace, "apparel", "one");  // what a build would put again
  (void)add_release(workspace, "apparel", "two");
  ASSERT_TRUE(workspace.blobs().put("output of a step").ok());
  EXPECT_EQ(list(*fsck(workspace, {output}, false)), "");
}

TEST_F(WorkspaceTest, GarbageIsWhatNobodyRefersTo) {
  Workspace workspace = open(root);
  const Release first = add_release(workspace, "apparel", "one");
  const Release second = add_release(workspace, "apparel", "two");
  (void)*workspace.ensure_release_folder(first);
  const Digest kept = *workspace.blobs().put("kept"), old = *workspace.blobs().put("old garbage"),
               young = *workspace.blobs().put("young garbage");
  age(workspace.blobs().path_of(old));
  ASSERT_TRUE(make_directories(workspace.work_folder(sha256_of("key"))).ok());
  ASSERT_TRUE(write_file(workspace.work_folder(sha256_of("key")) + "/checkpoint", "12345").ok());

  EXPECT_EQ(*collect_garbage(workspace, {kept}, true), 11U + 5U);
  EXPECT_TRUE(workspace.blobs().contains(old));
  EXPECT_EQ(*collect_garbage(workspace, {kept}, false), 11U + 5U);
  EXPECT_FALSE(workspace.blobs().contains(old));
  EXPECT_FALSE(path_exists(workspace.work_folder(sha256_of("key"))));
  EXPECT_TRUE(workspace.blobs().contains(young));
  EXPECT_TRUE(workspace.blobs().contains(kept));
  {
    const auto lock = workspace.lock_for_cleaning();
    ASSERT_TRUE(lock.ok());
    EXPECT_EQ(*collect_garbage(workspace, {kept}, false, &*lock), 13U);
  }
  EXPECT_FALSE(workspace.blobs().contains(young));
  EXPECT_EQ(list(*fsck(workspace, {kept}, false)), "");

  ASSERT_TRUE(workspace.registry().remove_release("apparel", 1).ok());
  const auto lock = workspace.lock_for_cleaning();
  EXPECT_GT(*collect_garbage(workspace, {kept}, false, &*lock), 0U);
  EXPECT_FALSE(workspace.blobs().contains(first.package));
  EXPECT_FALSE(is_directory(workspace.release_folder("apparel", 1)));
  EXPECT_TRUE(workspace.ensure_release_folder(second).ok());
}

TEST_F(WorkspaceTest, GarbageIsNotCollectedUnderABuild) {
  Workspace workspace = open(root);
  const Digest fresh = *workspace.blobs().put("fresh");
  age(workspace.blobs().path_of(fresh));
  {
    const auto first = workspace.lock_for_building(), second = workspace.lock_for_building();
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(collect_garbage(workspace, {}, false).error().kind, ErrorKind::conflict);
    EXPECT_TRUE(collect_garbage(workspace, {}, true).ok());
  }
  EXPECT_TRUE(workspace.blobs().contains(fresh));
  const auto cleaning = workspace.lock_for_cleaning();
  EXPECT_EQ(workspace.lock_for_building().error().kind, ErrorKind::conflict);
}

TEST_F(WorkspaceTest, ADamagedListDoesNotCostItsFiles) {
  Workspace workspace = open(root);
  const Release release = add_release(workspace, "apparel", "one");
  const auto files = workspace.blobs().tree(release.package);
  overwrite(workspace.blobs().path_of(release.package), "xxxx");
  const auto lock = workspace.lock_for_cleaning();
  EXPECT_EQ(collect_garbage(workspace, {}, false, &*lock).error().kind, ErrorKind::invalid_data);
  for (const auto& [path, digest] : *files) EXPECT_TRUE(workspace.blobs().contains(digest));
}

TEST_F(WorkspaceTest, BackupAndRestore) {
  Workspace workspace = open(root);
  const Release release = add_release(workspace, "apparel", "one");
  ASSERT_TRUE(write_file(workspace.step_log_path(), "").ok());
  ASSERT_TRUE(make_directories(root + "/corrections").ok());
  ASSERT_TRUE(write_file(root + "/corrections/apparel.jsonl", "what people said\n").ok());
  const std::string copy = folder / "backup";
  const auto saved = backup(workspace, copy);
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  EXPECT_EQ(backup(workspace, copy).error().kind, ErrorKind::conflict);
  (void)add_release(workspace, "apparel", "later");

  EXPECT_EQ(restore(copy, root).error().kind, ErrorKind::conflict);  // not over a workspace that is there
  EXPECT_EQ(restore(folder.path(), folder / "x").error().kind, ErrorKind::invalid_data);
  ASSERT_TRUE(make_directories(folder / "new").ok());  // an empty folder is fine
  const auto restored = restore(copy, folder / "new");
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  Workspace again = open(folder / "new");
  EXPECT_EQ(list(*fsck(again, {}, false)), "");
  EXPECT_EQ(*read_file(folder / "new/corrections/apparel.jsonl"), "what people said\n");
  EXPECT_EQ(again.registry().releases()->size(), 1U);
  EXPECT_EQ((**again.registry().release("apparel")).package, release.package);
  EXPECT_TRUE(again.ensure_release_folder(release).ok());
}

TEST_F(WorkspaceTest, ADamagedBlobIsNotBackedUp) {
  Workspace workspace = open(root);
  const Digest digest = *workspace.blobs().put("good");
  overwrite(workspace.blobs().path_of(digest), "evil");
  EXPECT_EQ(backup(workspace, folder / "backup").error().kind, ErrorKind::invalid_data);
  EXPECT_FALSE(path_exists(folder / "backup"));
}

TEST_F(WorkspaceTest, BackupAcrossFileSystems) {
  const testing::SmallFileSystem other("size=4m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(other);
  Workspace workspace = open(root);
  (void)add_release(workspace, "apparel", "one");
  const auto saved = backup(workspace, other / "backup");
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  Workspace copy = open(other / "backup");
  EXPECT_EQ(list(*fsck(copy, {}, false)), "");
}

TEST(WorkspaceFaults, ReadOnly) {
  testing::SmallFileSystem small("size=4m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  Digest digest;
  {
    auto workspace = Workspace::open(small / "w");
    ASSERT_TRUE(workspace.ok()) << workspace.error().message;
    digest = *workspace->blobs().put("kept");
  }
  ASSERT_TRUE(small.make_read_only());
  auto workspace = Workspace::open(small / "w");
  ASSERT_TRUE(workspace.ok()) << workspace.error().message;
  EXPECT_EQ(*workspace->blobs().get(digest), "kept");
  EXPECT_TRUE(workspace->registry().releases().ok());
  EXPECT_EQ(workspace->registry().begin_run("x").error().kind, ErrorKind::io);
  EXPECT_TRUE(fsck(*workspace, {}, false)->empty());
  const TemporaryFolder elsewhere;
  EXPECT_TRUE(backup(*workspace, elsewhere / "backup").ok());
  EXPECT_EQ(Workspace::open(small / "other").error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace sightline::store
