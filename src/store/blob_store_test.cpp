#include "store/blob_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "base/random.h"
#include "base/testing.h"

namespace sightline::store {
namespace {
namespace fs = std::filesystem;
using sightline::testing::SmallFileSystem;

std::string noise(std::size_t bytes, std::uint64_t seed) {
  Random random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

std::size_t files_in(const std::string& folder) {
  std::size_t count = 0;
  for (const auto& each : fs::recursive_directory_iterator(folder)) count += each.is_regular_file() ? 1 : 0;
  return count;
}

void overwrite(const std::string& path, const std::string& content) {
  ::chmod(path.c_str(), 0644);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class BlobStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = BlobStore::open(folder / "w");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store = *std::move(opened);
  }
  Digest put(std::string_view bytes) {
    auto digest = store.put(bytes);
    EXPECT_TRUE(digest.ok()) << digest.error().message;
    return digest.ok() ? *digest : "";
  }
  TemporaryFolder folder;
  BlobStore store;
};

TEST_F(BlobStoreTest, GivesBackWhatWasPut) {
  for (const std::string& bytes : {std::string(), std::string("hello"), noise(3'000'000, 1)}) {
    const Digest digest = put(bytes);
    EXPECT_EQ(digest, sha256_of(bytes));
    EXPECT_EQ(*store.get(digest), bytes);
    EXPECT_TRUE(store.contains(digest));
    EXPECT_TRUE(store.verify(digest).ok());
    EXPECT_EQ(*store.bytes_of(digest), bytes.size());
    EXPECT_EQ(fs::status(store.path_of(digest)).permissions(), fs::perms(0444));
  }
  EXPECT_EQ(store.list()->size(), 3U);
  EXPECT_EQ(files_in(folder / "w/tmp"), 0U);
}

TEST_F(BlobStoreTest, PutsFilesByCopyAndByMove) {
  ASSERT_TRUE(write_file(folder / "a", "one").ok());
  EXPECT_EQ(*store.put_file(folder / "a"), sha256_of("one"));
  EXPECT_TRUE(path_exists(folder / "a"));
  ASSERT_TRUE(write_file(folder / "b", "two").ok());
  EXPECT_EQ(*store.adopt_file(folder / "b"), sha256_of("two"));
  EXPECT_FALSE(path_exists(folder / "b"));
  EXPECT_EQ(*store.get(sha256_of("two")), "two");
  ASSERT_TRUE(write_file(folder / "b", "two").ok());
  EXPECT_TRUE(store.adopt_file(folder / "b").ok());  // was there already
  EXPECT_FALSE(path_exists(folder / "b"));
  EXPECT_EQ(store.put_file(folder / "none").error().kind, ErrorKind::not_found);
}

TEST_F(BlobStoreTest, DoesNotAdoptAFileThatHasAnotherName) {
  ASSERT_TRUE(write_file(folder / "a", "shared").ok());
  fs::create_hard_link(folder / "a", folder / "b");
  ASSERT_TRUE(store.adopt_file(folder / "a").ok());
  std::ofstream(folder / "b") << "altered";
  EXPECT_TRUE(store.verify(sha256_of("shared")).ok());
}

TEST_F(BlobStoreTest, AdoptsAcrossFileSystems) {
  const SmallFileSystem other("size=1m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(other);
  ASSERT_TRUE(write_file(other / "a", "far").ok());
  EXPECT_EQ(*store.adopt_file(other / "a"), sha256_of("far"));
  EXPECT_FALSE(path_exists(other / "a"));
}

TEST_F(BlobStoreTest, FindsDamage) {
  const std::string bytes = noise(10'000, 2);
  const Digest digest = put(bytes);
  std::string flipped = bytes;
  flipped[5'000] = static_cast<char>(flipped[5'000] ^ 1);
  overwrite(store.path_of(digest), flipped);
  EXPECT_EQ(store.verify(digest).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(store.missing_part(digest, bytes.size()), std::nullopt);  // the size is right: only hashing can tell
  EXPECT_EQ(store.damaged_part(digest), digest);
  overwrite(store.path_of(digest), bytes.substr(0, 9'999));
  EXPECT_EQ(store.verify(digest).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(store.missing_part(digest, bytes.size()), digest);
  put(bytes);  // a blob of the wrong size is not trusted but written again
  EXPECT_TRUE(store.verify(digest).ok());
  ASSERT_TRUE(store.remove(digest).ok());
  EXPECT_EQ(store.verify(digest).error().kind, ErrorKind::not_found);
  EXPECT_EQ(store.get(digest).error().kind, ErrorKind::not_found);
  EXPECT_NE(store.get(digest).error().message.find(digest.substr(0, 12)), std::string::npos);
}

TEST_F(BlobStoreTest, QuarantineMakesRoom) {
  const Digest digest = put("bad");
  ASSERT_TRUE(store.quarantine(digest).ok());
  EXPECT_FALSE(store.contains(digest));
  EXPECT_TRUE(path_exists(folder / "w/quarantine/" + digest));
}

TEST_F(BlobStoreTest, WhatIsNoDigestIsNotFound) {
  for (const std::string& text :
       {std::string(), std::string("ab"), std::string("../../etc/passwd"), std::string(64, 'A'), std::string(64, '/')}) {
    EXPECT_FALSE(store.contains(text));
    EXPECT_EQ(store.get(text).error().kind, ErrorKind::not_found);
    EXPECT_FALSE(store.remove(text).ok());
    EXPECT_FALSE(store.quarantine(text).ok());
    EXPECT_FALSE(store.materialize(text, folder / "out").ok());
  }
}

TEST_F(BlobStoreTest, FoldersComeBackWhole) {
  const std::string source = folder / "model";
  ASSERT_TRUE(make_directories(source + "/1/golden").ok());
  ASSERT_TRUE(write_file(source + "/config.pbtxt", "config").ok());
  ASSERT_TRUE(write_file(source + "/1/.hidden", "hidden").ok());
  ASSERT_TRUE(write_file(source + "/1/golden/größe 1.bin", noise(5'000, 3)).ok());
  const auto tree = store.put_tree(source);
  ASSERT_TRUE(tree.ok()) << tree.error().message;
  EXPECT_EQ(*store.put_tree(source), *tree);
  EXPECT_TRUE(store.is_tree(*tree));
  EXPECT_EQ(store.tree(*tree)->size(), 3U);
  for (const auto links : {BlobStore::Links::allowed, BlobStore::Links::never}) {
    const std::string target = folder / "out/a/b/" + std::to_string(static_cast<int>(links));
    const auto made = store.materialize(*tree, target, links);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(*store.put_tree(target), *tree);
    EXPECT_EQ(store.materialize(*tree, target).error().kind, ErrorKind::conflict);
    struct stat info {};
    ASSERT_EQ(::stat((target + "/config.pbtxt").c_str(), &info), 0);
    EXPECT_EQ(info.st_nlink > 1, links == BlobStore::Links::allowed);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "out/a/b"), fs::directory_iterator()), 2);  // no partial folders
}

TEST_F(BlobStoreTest, MissingPartsOfAFolderAreSeen) {
  const std::string source = folder / "model";
  ASSERT_TRUE(make_directories(source).ok());
  ASSERT_TRUE(write_file(source + "/a", "first").ok());
  ASSERT_TRUE(write_file(source + "/b", "second").ok());
  const Digest tree = *store.put_tree(source);
  const std::uint64_t bytes = *store.bytes_of(tree);
  EXPECT_EQ(store.missing_part(tree, bytes), std::nullopt);
  EXPECT_EQ(store.damaged_part(tree), std::nullopt);
  overwrite(store.path_of(sha256_of("second")), "sEcond");
  EXPECT_EQ(store.missing_part(tree, bytes), std::nullopt);
  EXPECT_EQ(store.damaged_part(tree), sha256_of("second"));
  EXPECT_EQ(store.materialize(tree, folder / "copy", BlobStore::Links::never).error().kind, ErrorKind::invalid_data);
  overwrite(store.path_of(sha256_of("second")), "sec");
  EXPECT_EQ(store.missing_part(tree, bytes), sha256_of("second"));
  EXPECT_EQ(store.materialize(tree, folder / "out").error().kind, ErrorKind::invalid_data);
  ASSERT_TRUE(store.remove(sha256_of("second")).ok());
  EXPECT_EQ(store.missing_part(tree, bytes), sha256_of("second"));
  const auto missing = store.materialize(tree, folder / "out");
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_FALSE(path_exists(folder / "out"));
  EXPECT_EQ(files_in(folder.path()), 4U);  // model/a, model/b, the tree, "first": nothing half made
}

TEST_F(BlobStoreTest, FoldersWithOddEntriesAreRefused) {
  const std::string source = folder / "model";
  ASSERT_TRUE(make_directories(source).ok());
  fs::create_symlink("/etc/passwd", source + "/link");
  EXPECT_EQ(store.put_tree(source).error().kind, ErrorKind::invalid_data);
  fs::remove(source + "/link");
  ASSERT_TRUE(write_file(source + "/new\nline", "x").ok());
  EXPECT_EQ(store.put_tree(source).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(store.put_tree(folder / "none").error().kind, ErrorKind::not_found);
}

TEST_F(BlobStoreTest, HostileTreesAreRefused) {
  const Digest file = put("content");
  const auto tree_of = [&](const std::string& path) {
    return fmt::format(R"({{"sightline_tree":1,"files":{{"{}":{{"bytes":7,"sha256":"{}"}}}}}})", path, file);
  };
  ASSERT_TRUE(store.materialize(put(tree_of("good/file")), folder / "good").ok());
  for (const char* path : {"../escape", "a/../../escape", "/etc/escape", "a//b", "a/./b", "", ".", "..", "a/", "a\\\\b", "a\\u0000b",
                           "a\\nb", "\xC3", "\xED\xA0\x80", "\xC0\xAF"}) {
    const auto made = store.materialize(put(tree_of(path)), folder / "out");
    ASSERT_FALSE(made.ok()) << path;
    EXPECT_EQ(made.error().kind, ErrorKind::invalid_data) << path;
    EXPECT_FALSE(path_exists(folder / "out"));
  }
  EXPECT_FALSE(store.materialize(put(tree_of(std::string(300, 'x'))), folder / "out").ok());
  EXPECT_FALSE(store.tree(put("{\"sightline_tree\":1,")).ok());
  EXPECT_FALSE(store.tree(put("{\"sightline_tree\":1,\"files\":[]}")).ok());
  EXPECT_FALSE(store.tree(put("{\"sightline_tree\":1,\"files\":{\"a\":{\"bytes\":-1,\"sha256\":\"\"}}}")).ok());
  EXPECT_FALSE(store.tree(put("{\"sightline_tree\":1,\"files\":" + std::string(100'000, '[') + "}")).ok());
  EXPECT_FALSE(store.tree(file).ok());
  // A file where another path wants a folder.
  const std::string both =
      fmt::format(R"({{"sightline_tree":1,"files":{{"a":{{"bytes":7,"sha256":"{0}"}},"a/b":{{"bytes":7,"sha256":"{0}"}}}}}})", file);
  EXPECT_FALSE(store.materialize(put(both), folder / "out").ok());
  EXPECT_FALSE(path_exists(folder / "out"));
  EXPECT_FALSE(path_exists(folder / "escape"));
}

TEST_F(BlobStoreTest, TwoProcessesPutTheSame) {
  const auto work = [&](std::uint64_t seed) {
    for (std::uint64_t i = 0; i < 60; ++i) {
      if (!store.put(noise(20'000, i)).ok()) return 1;
      if (!store.put(noise(1'000, 1'000 * seed + i)).ok()) return 2;
    }
    return 0;
  };
  const pid_t first = testing::start_child([&] { return work(1); });
  const pid_t second = testing::start_child([&] { return work(2); });
  EXPECT_EQ(testing::wait_for(first), 0);
  EXPECT_EQ(testing::wait_for(second), 0);
  const std::vector<Digest> all = *store.list();
  EXPECT_EQ(all.size(), 60U + 2 * 60U);
  for (const Digest& digest : all) EXPECT_TRUE(store.verify(digest).ok());
  EXPECT_EQ(files_in(folder / "w/tmp"), 0U);
}

TEST_F(BlobStoreTest, AKilledWriterLeavesNothingThatCounts) {
  for (int round = 0; round < 10; ++round) {
    const pid_t child = testing::start_child([&] {
      for (std::uint64_t i = 0;; ++i) {
        if (!store.put(noise(300'000, 77 + i)).ok()) return 1;
      }
    });
    ::usleep(static_cast<useconds_t>(2'000 + 3'000 * round));
    ::kill(child, SIGKILL);
    EXPECT_EQ(testing::wait_for(child), -SIGKILL);
  }
  for (const Digest& digest : *store.list()) EXPECT_TRUE(store.verify(digest).ok());
  ASSERT_TRUE(store.remove_stale_temporaries().ok());
  EXPECT_EQ(files_in(folder / "w/tmp"), 0U);
}

TEST_F(BlobStoreTest, CleaningLeavesLivingWritersAlone) {
  // A writer that is as slow as its source: a pipe.
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const pid_t child = testing::start_child([&] { return store.put_file(fifo).ok() ? 0 : 1; });
  {
    std::ofstream feed(fifo);
    feed << "begin " << std::flush;
    while (files_in(folder / "w/tmp") == 0) ::usleep(1'000);
    EXPECT_EQ(*store.remove_stale_temporaries(), 0U);
    feed << "end";
  }
  EXPECT_EQ(testing::wait_for(child), 0);
  EXPECT_EQ(*store.get(sha256_of("begin end")), "begin end");
}

TEST(BlobStoreFaults, FullDisk) {
  const SmallFileSystem small("size=1m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  auto store = BlobStore::open(small / "w");
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(store->put(noise(400'000, 1)).ok());
  const auto refused = store->put(noise(900'000, 2));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::io);
  EXPECT_NE(refused.error().message.find("disk is full"), std::string::npos) << refused.error().message;
  EXPECT_EQ(files_in(small / "w/tmp"), 0U);
  EXPECT_EQ(store->list()->size(), 1U);
  EXPECT_TRUE(store->put(noise(300'000, 3)).ok());  // what fits is stored
  // A folder that does not fit into place leaves nothing either.
  const TemporaryFolder elsewhere;
  ASSERT_TRUE(make_directories(elsewhere / "tree").ok());
  ASSERT_TRUE(write_file(elsewhere / "tree/a", noise(600'000, 1)).ok());
  auto big = BlobStore::open(elsewhere / "w");
  const Digest tree = *big->put_tree(elsewhere / "tree");
  EXPECT_EQ(big->materialize(tree, small / "out").error().kind, ErrorKind::io);
  EXPECT_EQ(std::distance(fs::directory_iterator(small.path()), fs::directory_iterator()), 1);
}

TEST(BlobStoreFaults, ReadOnlyFileSystem) {
  SmallFileSystem small("size=1m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  Digest digest;
  {
    auto store = BlobStore::open(small / "w");
    digest = *store->put("kept");
  }
  ASSERT_TRUE(small.make_read_only());
  auto store = BlobStore::open(small / "w");
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ(*store->get(digest), "kept");
  EXPECT_EQ(*store->put("kept"), digest);  // nothing to write
  const auto refused = store->put("new");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::io);
  EXPECT_NE(refused.error().message.find("read-only"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace sightline::store
