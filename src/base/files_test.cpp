#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/testing.h"

namespace sightline {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
 protected:
  void touch(const std::string& name) {
    ASSERT_TRUE(make_directories(fs::path(folder / name).parent_path().string()).ok());
    ASSERT_TRUE(write_file(folder / name, name).ok());
  }
  std::vector<std::string> list(const std::string& root) {
    problems.clear();
    const auto files = list_files(root, [this](const std::string& path, const std::string& why) { problems.push_back(path + ": " + why); });
    EXPECT_TRUE(files.ok()) << files.error().message;
    return files.ok() ? *files : std::vector<std::string>();
  }
  TemporaryFolder folder;
  std::vector<std::string> problems;
};

TEST_F(FilesTest, WritesWholeFiles) {
  const std::string path = folder / "größe.txt";
  ASSERT_TRUE(write_file(path, "first").ok());
  ASSERT_TRUE(write_file(path, std::string("se\0cond", 7)).ok());
  EXPECT_EQ(*read_file(path), std::string("se\0cond", 7));
  ASSERT_TRUE(write_file(path, "").ok());
  EXPECT_EQ(*read_file(path), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST_F(FilesTest, AWriteThatFailsLeavesTheOldContent) {
  const testing::SmallFileSystem small("size=64k");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  ASSERT_TRUE(write_file(small / "a", "old").ok());
  const auto refused = write_file(small / "a", std::string(200'000, 'x'));
  EXPECT_EQ(refused.error().kind, ErrorKind::io);
  EXPECT_THAT(refused.error().message, HasSubstr("disk is full"));
  EXPECT_EQ(*read_file(small / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(small.path()), fs::directory_iterator()), 1);
}

TEST_F(FilesTest, AKillWhileWritingLeavesOldOrNew) {
  const std::string path = folder / "a", first(100'000, '1'), second(100'000, '2');
  ASSERT_TRUE(write_file(path, first).ok());
  for (int round = 0; round < 8; ++round) {
    const pid_t child = testing::start_child([&] {
      while (write_file(path, second).ok() && write_file(path, first).ok()) {
      }
      return 1;
    });
    ::usleep(static_cast<useconds_t>(3'000 + 1'700 * round));
    ::kill(child, SIGKILL);
    EXPECT_EQ(testing::wait_for(child), -SIGKILL);
    const std::string now = *read_file(path);
    EXPECT_TRUE(now == first || now == second);
  }
}

TEST_F(FilesTest, ErrorsSayWhatAndWhere) {
  EXPECT_EQ(read_file(folder / "none").error().kind, ErrorKind::not_found);
  EXPECT_THAT(read_file(folder / "none").error().message, HasSubstr("none"));
  EXPECT_EQ(read_file(folder.path()).error().kind, ErrorKind::io);
  EXPECT_FALSE(write_file(folder / "no/such/folder", "x").ok());
  EXPECT_EQ(list_files(folder / "none", {}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(MappedFile::open(folder / "none").error().kind, ErrorKind::not_found);
}

TEST_F(FilesTest, ListsInBytewiseOrderWithoutHiddenFiles) {
  for (const char* name : {"b/2.png", "b/10.png", "a.png", "größe/ü 1.png", ".hidden", "b/.git/x", "B.png"}) touch(name);
  EXPECT_THAT(list(folder.path()), ElementsAre("B.png", "a.png", "b/10.png", "b/2.png", "größe/ü 1.png"));
  EXPECT_TRUE(problems.empty());
}

TEST_F(FilesTest, NamesThatAreNotUtf8AreListedAsTheyAre) {
  const std::string odd = "\xFF\xFE.png";
  std::ofstream(folder / odd) << "x";
  EXPECT_THAT(list(folder.path()), ElementsAre(odd));
}

TEST_F(FilesTest, LinksAreFollowedAndLoopsReported) {
  touch("real/a.png");
  fs::create_directory_symlink(folder / "real", folder / "again");
  fs::create_directory_symlink(folder.path(), folder / "real/loop");
  fs::create_directory_symlink("self", folder / "self");
  fs::create_symlink("nowhere", folder / "dangling");
  fs::create_symlink(folder / "real/a.png", folder / "link.png");
  EXPECT_THAT(list(folder.path()), ElementsAre("again/a.png", "link.png", "real/a.png"));
  EXPECT_THAT(problems,
              ::testing::UnorderedElementsAre(HasSubstr("again/loop: symbolic link loop"), HasSubstr("real/loop: symbolic link loop"),
                                              HasSubstr("self: "), HasSubstr("dangling: dangling symbolic link")));
}

TEST_F(FilesTest, DevicesAreReported) {
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(list(folder.path()).empty());
  EXPECT_THAT(problems, ElementsAre("pipe: not a regular file"));
}

TEST_F(FilesTest, VeryDeepFolders) {
  std::string path = folder.path();
  for (int i = 0; i < 300; ++i) path += "/d";
  ASSERT_TRUE(make_directories(path).ok());
  ASSERT_TRUE(write_file(path + "/a", "x").ok());
  EXPECT_EQ(list(folder.path()).size(), 1U);
}

TEST_F(FilesTest, MapsFiles) {
  touch("a");
  auto mapped = MappedFile::open(folder / "a");
  ASSERT_TRUE(mapped.ok());
  MappedFile moved = *std::move(mapped);
  EXPECT_EQ(moved.bytes().size(), 1U);
  EXPECT_EQ(static_cast<char>(moved.bytes()[0]), 'a');
  ASSERT_TRUE(write_file(folder / "empty", "").ok());
  EXPECT_TRUE(MappedFile::open(folder / "empty")->bytes().empty());
}

TEST_F(FilesTest, LocksExcludeAndShare) {
  const std::string path = folder / "lock";
  {
    const auto held = FileLock::acquire(path);
    ASSERT_TRUE(held.ok());
    EXPECT_EQ(FileLock::acquire(path, false).error().kind, ErrorKind::conflict);
    EXPECT_EQ(FileLock::acquire(path, false, FileLock::Mode::shared).error().kind, ErrorKind::conflict);
  }
  const auto first = FileLock::acquire(path, false, FileLock::Mode::shared);
  EXPECT_TRUE(first.ok());
  EXPECT_TRUE(FileLock::acquire(path, false, FileLock::Mode::shared).ok());
  EXPECT_EQ(FileLock::acquire(path, false).error().kind, ErrorKind::conflict);
}

TEST_F(FilesTest, ALockGoesWithItsProcess) {
  const std::string path = folder / "lock";
  const pid_t child = testing::start_child([&] {
    const auto held = FileLock::acquire(path);
    ::kill(::getpid(), SIGKILL);
    return held.ok() ? 0 : 1;
  });
  EXPECT_EQ(testing::wait_for(child), -SIGKILL);
  EXPECT_TRUE(FileLock::acquire(path, false).ok());
}

TEST_F(FilesTest, ALockFileMayBeRemovedByItsHolder) {
  // Each round takes the lock, checks that nobody else is inside, and removes the file, as steps do.
  const std::string path = folder / "lock", inside = folder / "inside";
  const auto work = [&] {
    for (int i = 0; i < 200; ++i) {
      const auto lock = FileLock::acquire(path);
      if (!lock.ok()) return 1;
      if (::mkdir(inside.c_str(), 0700) != 0) return 2;
      if (::rmdir(inside.c_str()) != 0) return 3;
      ::unlink(path.c_str());
    }
    return 0;
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) children.push_back(testing::start_child(work));
  for (const pid_t child : children) EXPECT_EQ(testing::wait_for(child), 0);
}

}  // namespace
}  // namespace sightline
