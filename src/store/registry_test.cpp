#include "store/registry.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/random.h"
#include "base/testing.h"

namespace sightline::store {
namespace {
namespace fs = std::filesystem;

Release release_of(const std::string& name, const std::string& content) {
  Release release;
  release.name = name;
  release.package = sha256_of(content);
  release.evaluation = sha256_of("evaluation");
  release.report = sha256_of("report");
  release.in_force = true;
  release.figures = {{"top1", 0.93}};
  release.lineage = {{"seed", 7}, {"data", "größe"}};
  return release;
}

class RegistryTest : public ::testing::Test {
 protected:
  Registry open() {
    auto registry = Registry::open(path);
    EXPECT_TRUE(registry.ok()) << registry.error().message;
    return *std::move(registry);
  }
  TemporaryFolder folder;
  std::string path = folder / "registry.db";
};

TEST_F(RegistryTest, Runs) {
  Registry registry = open();
  const std::int64_t first = *registry.begin_run("apparel");
  const std::int64_t second = *registry.begin_run("shoes");
  EXPECT_NE(first, second);
  ASSERT_TRUE(registry.end_run(first, "released", "top1 0.93 reaches 0.92").ok());
  EXPECT_EQ(registry.end_run(99, "failed", "").error().kind, ErrorKind::not_found);
  const auto all = *registry.runs();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].outcome, "released");
  EXPECT_EQ(all[0].sentence, "top1 0.93 reaches 0.92");
  EXPECT_FALSE(all[0].finished.empty());
  EXPECT_EQ(all[1].outcome, "running");
  EXPECT_TRUE(all[1].finished.empty());
  EXPECT_EQ(registry.runs("shoes")->size(), 1U);
  EXPECT_EQ(registry.runs("x' OR '1'='1")->size(), 0U);
}

TEST_F(RegistryTest, Backbones) {
  Registry registry = open();
  const Backbone eyes{.name = "eyes", .tree = sha256_of("a"), .created = {}, .about = {{"licence", "MIT"}}, .figures = {{"features", 32}}};
  ASSERT_TRUE(registry.put_backbone(eyes).ok());
  ASSERT_TRUE(registry.put_backbone({.name = "brows", .tree = sha256_of("b"), .created = {}, .about = {}, .figures = {}}).ok());
  auto all = *registry.backbones();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "brows");
  EXPECT_EQ(all[1].about.at("licence"), "MIT");
  EXPECT_EQ(all[1].figures.at("features"), 32);
  EXPECT_FALSE(all[1].created.empty());
  ASSERT_TRUE(registry.put_backbone({.name = "eyes", .tree = sha256_of("c"), .created = {}, .about = {}, .figures = {}}).ok());  // replaced
  EXPECT_EQ((*registry.backbone("eyes"))->tree, sha256_of("c"));
  EXPECT_FALSE(registry.backbone("ears")->has_value());
  ASSERT_TRUE(registry.remove_backbone("eyes").ok());
  EXPECT_EQ(registry.remove_backbone("eyes").error().kind, ErrorKind::not_found);
  EXPECT_EQ(registry.put_backbone({.name = "../x", .tree = sha256_of("c"), .created = {}, .about = {}, .figures = {}}).error().kind,
            ErrorKind::usage);
  EXPECT_EQ(registry.put_backbone({.name = "x", .tree = "no digest", .created = {}, .about = {}, .figures = {}}).error().kind,
            ErrorKind::internal);
}

TEST_F(RegistryTest, Releases) {
  Registry registry = open();
  EXPECT_FALSE(registry.release("apparel")->has_value());
  EXPECT_EQ(*registry.add_release(release_of("apparel", "one")), 1);
  EXPECT_EQ(*registry.add_release(release_of("apparel", "one")), 1);  // the same package again
  EXPECT_EQ(*registry.add_release(release_of("apparel", "two")), 2);
  EXPECT_EQ(*registry.add_release(release_of("shoes", "two")), 1);
  Release waiting = release_of("apparel", "three");
  waiting.in_force = false;
  EXPECT_EQ(*registry.add_release(waiting), 3);

  EXPECT_EQ(registry.releases()->size(), 4U);
  ASSERT_EQ(registry.releases("apparel")->size(), 3U);
  Release in_force = **registry.release("apparel");
  EXPECT_EQ(in_force.version, 2);
  EXPECT_EQ(in_force.package, sha256_of("two"));
  EXPECT_EQ(in_force.figures["top1"], 0.93);
  EXPECT_EQ(in_force.lineage["data"], "größe");
  EXPECT_EQ((**registry.release("apparel", 1)).in_force, false);

  ASSERT_TRUE(registry.set_in_force("apparel", 1).ok());
  EXPECT_EQ((**registry.release("apparel")).version, 1);
  EXPECT_EQ(registry.set_in_force("apparel", 9).error().kind, ErrorKind::not_found);
  EXPECT_EQ((**registry.release("apparel")).version, 1);  // the failed change left nothing
  EXPECT_EQ(registry.remove_release("apparel", 1).error().kind, ErrorKind::refused);
  ASSERT_TRUE(registry.remove_release("apparel", 3).ok());
  EXPECT_EQ(registry.remove_release("apparel", 3).error().kind, ErrorKind::not_found);
  EXPECT_EQ(*registry.add_release(release_of("apparel", "four")), 4);  // 3 is not used twice
  EXPECT_TRUE(registry.check().ok());
}

TEST_F(RegistryTest, BadReleasesAreRefused) {
  Registry registry = open();
  for (const char* name : {"", "..", ".hidden", "a/b", "../x", "a b", "größe", "a\nb"}) {
    EXPECT_EQ(registry.add_release(release_of(name, "x")).error().kind, ErrorKind::usage) << name;
  }
  EXPECT_EQ(registry.add_release(release_of(std::string(65, 'a'), "x")).error().kind, ErrorKind::usage);
  EXPECT_TRUE(registry.add_release(release_of(std::string(64, 'a'), "x")).ok());
  EXPECT_TRUE(registry.add_release(release_of("Model-2_b.1", "x")).ok());
  Release bad = release_of("apparel", "x");
  bad.package = "../../etc";
  EXPECT_FALSE(registry.add_release(bad).ok());
  bad = release_of("apparel", "x");
  bad.run = 77;  // no such run
  EXPECT_FALSE(registry.add_release(bad).ok());
  EXPECT_TRUE(registry.releases("apparel")->empty());
}

TEST_F(RegistryTest, AKilledRunIsClosedByTheNext) {
  { open(); }
  EXPECT_EQ(testing::in_child([&] {
              Registry registry = open();
              return registry.begin_run("killed").ok() ? 0 : 1;
            }),
            0);
  Registry registry = open();
  EXPECT_EQ((*registry.runs("killed"))[0].outcome, "running");
  const std::int64_t mine = *registry.begin_run("mine");
  EXPECT_EQ((*registry.runs("killed"))[0].outcome, "interrupted");
  ASSERT_TRUE(registry.begin_run("another").ok());
  EXPECT_EQ((*registry.runs("mine"))[0].outcome, "running");  // its process lives
  EXPECT_TRUE(registry.end_run(mine, "released", "").ok());
  EXPECT_TRUE(registry.check().ok());
}

TEST_F(RegistryTest, ProcessesThatOpenAndWriteAtOnceGetDistinctVersions) {
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    children.push_back(testing::start_child([&, child] {
      auto registry = Registry::open(path);
      if (!registry.ok()) return 1;
      for (int i = 0; i < 10; ++i) {
        const auto run = registry->begin_run("apparel");
        if (!run.ok()) return 2;
        if (!registry->add_release(release_of("apparel", fmt::format("{} {}", child, i))).ok()) return 3;
        if (!registry->end_run(*run, "released", "").ok()) return 4;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(testing::wait_for(child), 0);
  Registry registry = open();
  std::set<std::int64_t> versions;
  int in_force = 0;
  for (const Release& release : *registry.releases("apparel")) {
    versions.insert(release.version);
    in_force += release.in_force ? 1 : 0;
  }
  EXPECT_EQ(versions.size(), 40U);
  EXPECT_EQ(*versions.rbegin(), 40);
  EXPECT_EQ(in_force, 1);
  EXPECT_EQ(registry.runs()->size(), 40U);
  EXPECT_TRUE(registry.check().ok());
}

// One of them makes the tables while the others look whose database it is.
TEST_F(RegistryTest, ProcessesThatOpenANewOneAtOnceAllSucceed) {
  for (int round = 0; round < 40; ++round) {
    path = folder / fmt::format("registry{}.db", round);
    std::vector<pid_t> children;
    for (int child = 0; child < 4; ++child) children.push_back(testing::start_child([&] { return Registry::open(path).ok() ? 0 : 1; }));
    for (const pid_t child : children) EXPECT_EQ(testing::wait_for(child), 0);
  }
}

TEST_F(RegistryTest, AKillWhileWritingHarmsNothing) {
  for (int round = 0; round < 8; ++round) {
    const pid_t child = testing::start_child([&] {
      auto registry = Registry::open(path);
      for (int i = 0; registry.ok(); ++i) {
        if (!registry->add_release(release_of("apparel", fmt::format("{} {}", round, i))).ok()) return 1;
      }
      return 2;
    });
    ::usleep(static_cast<useconds_t>(3'000 * round));
    ::kill(child, SIGKILL);
    EXPECT_EQ(testing::wait_for(child), -SIGKILL);
    Registry registry = open();
    const auto status = registry.check();
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
}

TEST_F(RegistryTest, WhatIsNoRegistryIsRefused) {
  std::ofstream(path) << std::string(5'000, 'x');
  EXPECT_EQ(Registry::open(path).error().kind, ErrorKind::invalid_data);
  fs::remove(path);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE somebody_elses (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_EQ(Registry::open(path).error().kind, ErrorKind::invalid_data);
}

TEST_F(RegistryTest, ANewerFormatIsRefused) {
  { open(); }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  const auto refused = Registry::open(path);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_NE(refused.error().message.find("upgrade"), std::string::npos);
}

TEST_F(RegistryTest, DamageIsAnErrorAndNeverACrash) {
  {
    Registry registry = open();
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(registry.add_release(release_of("apparel", std::to_string(i))).ok());
  }
  std::string whole = *read_file(path);
  Random random(5);
  int found = 0;
  for (int round = 0; round < 30; ++round) {
    std::string damaged = whole;
    if (round % 3 == 0) {
      damaged.resize(1 + random.below(whole.size() - 1));
    } else {
      for (int i = 0; i < 200; ++i) damaged[random.below(damaged.size())] ^= static_cast<char>(1U << random.below(8));
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    auto registry = Registry::open(path);
    if (!registry.ok()) {
      ++found;
      continue;
    }
    const auto status = registry->check();
    found += status.ok() ? 0 : 1;
    (void)registry->releases();
    (void)registry->add_release(release_of("shoes", "x"));
    if (!status.ok()) {
      EXPECT_NE(status.error().message.find("restore"), std::string::npos) << status.error().message;
    }
  }
  EXPECT_GE(found, 25);
}

TEST_F(RegistryTest, BackupWhileOthersWrite) {
  { open(); }
  const pid_t child = testing::start_child([&] {
    auto registry = Registry::open(path);
    for (int i = 0; registry.ok() && i < 100; ++i) {
      if (!registry->add_release(release_of("apparel", std::to_string(i))).ok()) return 1;
    }
    return 0;
  });
  Registry registry = open();
  for (int i = 0; i < 5; ++i) {
    const std::string copy = folder / fmt::format("copy{}.db", i);
    const auto made = registry.backup_to(copy);
    ASSERT_TRUE(made.ok()) << made.error().message;
    auto opened = Registry::open(copy);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_TRUE(opened->check().ok());
  }
  EXPECT_EQ(testing::wait_for(child), 0);
  EXPECT_EQ(registry.backup_to(folder / "copy0.db").error().kind, ErrorKind::conflict);
}

TEST(RegistryFaults, ReadOnlyFileSystem) {
  for (const bool killed : {false, true}) {  // a killed writer leaves a -wal file that must still be read
    testing::SmallFileSystem small("size=8m");
    SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
    EXPECT_EQ(testing::in_child([&] {
                auto registry = std::make_unique<Registry>(*Registry::open(small / "registry.db"));
                if (!registry->add_release(release_of("apparel", "one")).ok()) return 1;
                if (killed) (void)registry.release();
                return 0;
              }),
              0);
    EXPECT_EQ(path_exists(small / "registry.db-wal"), killed);
    ASSERT_TRUE(small.make_read_only());
    auto registry = Registry::open(small / "registry.db");
    ASSERT_TRUE(registry.ok()) << registry.error().message;
    EXPECT_EQ((**registry->release("apparel")).package, sha256_of("one"));
    EXPECT_TRUE(registry->check().ok());
    const auto refused = registry->add_release(release_of("apparel", "two"));
    EXPECT_EQ(refused.error().kind, ErrorKind::io);
    EXPECT_NE(refused.error().message.find("read-only"), std::string::npos) << refused.error().message;
  }
}

TEST(RegistryFaults, FullDisk) {
  const testing::SmallFileSystem small("size=256k");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  auto registry = Registry::open(small / "registry.db");
  ASSERT_TRUE(registry.ok()) << registry.error().message;
  Result<std::int64_t> version = 0;
  int added = 0;
  while ((version = registry->add_release(release_of("apparel", std::to_string(added)))).ok()) ++added;
  EXPECT_EQ(version.error().kind, ErrorKind::io);
  EXPECT_NE(version.error().message.find("disk is full"), std::string::npos) << version.error().message;
  EXPECT_EQ(static_cast<int>(registry->releases()->size()), added);
}

}  // namespace
}  // namespace sightline::store
