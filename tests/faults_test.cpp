// What disks, people and other programs do to a build: clear errors, nothing lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/files.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

// A small file system of its own; needs root.
class SmallDisk {
 public:
  SmallDisk(std::string path, const char* size) : path_(std::move(path)) {
    fs::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool grow(const char* size) const {
    return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, (std::string("size=") + size).c_str()) == 0;
  }
  bool read_only() const { return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0; }

 private:
  std::string path_;
  bool mounted_ = false;
};

struct Faults : testing::Test {
  TemporaryFolder folder;
  void SetUp() override {
    draw_shapes(folder / "images", 2, 24, 16, 8);
    write_text(folder / "d.yaml", shapes_demand("fault", "images", 2));
  }
  Outcome run(const std::vector<std::string>& words) { return sightline(words, {.folder = folder.path()}); }
  Outcome build(const std::string& workspace = "ws") { return run({"build", "d.yaml", "--json", "--workspace", workspace}); }
  // Every blob file of a workspace, largest first.
  std::vector<std::string> blobs(const std::string& workspace) {
    std::vector<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder / (workspace + "/blobs"))) {
      if (entry.is_regular_file()) paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end(),
              [](const std::string& a, const std::string& b) { return std::pair(fs::file_size(b), a) < std::pair(fs::file_size(a), b); });
    return paths;
  }
};

TEST_F(Faults, AFullDiskIsSaidInWordsAndTheBuildGoesOnWhenThereIsRoom) {
  const SmallDisk disk(folder / "ws", "200k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root";
  const Outcome full = build();
  EXPECT_EQ(full.exit_code, 6) << full.out << full.err;
  EXPECT_THAT(full.out, HasSubstr("disk is full"));
  ASSERT_TRUE(disk.grow("64m"));
  const Outcome after = build();
  EXPECT_EQ(after.exit_code, 0) << after.out << after.err;
  EXPECT_EQ(run({"fsck", "--workspace", "ws"}).exit_code, 0);
}

TEST_F(Faults, AReadOnlyWorkspaceAnswersButDoesNotBuild) {
  const SmallDisk disk(folder / "ws", "64m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root";
  ASSERT_EQ(build().exit_code, 0);
  ASSERT_TRUE(disk.read_only());
  EXPECT_EQ(run({"predict", "fault", "images/circle/000.png", "--workspace", "ws"}).exit_code, 0);
  write_text(folder / "d.yaml", shapes_demand("fault", "images", 3));
  const Outcome refused = build();
  EXPECT_EQ(refused.exit_code, 6) << refused.out << refused.err;
  EXPECT_THAT(refused.out, AnyOf(HasSubstr("read-only"), HasSubstr("Read-only")));
}

TEST_F(Faults, ATruncatedOrAlteredBlobIsFoundPutAsideAndMadeAgain) {
  const Json first = build().json();
  ASSERT_NE(first, nullptr);
  const std::vector<std::string> paths = blobs("ws");
  ASSERT_GE(paths.size(), 4U);
  ::chmod(paths[0].c_str(), 0644);
  fs::resize_file(paths[0], fs::file_size(paths[0]) / 2);
  ::chmod(paths[1].c_str(), 0644);
  std::string content = read_text(paths[1]);
  content[content.size() / 2] ^= 1;
  write_text(paths[1], content);
  const Outcome found = run({"fsck", "--workspace", "ws"});
  EXPECT_EQ(found.exit_code, 3) << found.out;
  EXPECT_THAT(found.out, AllOf(HasSubstr(fs::path(paths[0]).filename().string().substr(0, 12)),
                               HasSubstr(fs::path(paths[1]).filename().string().substr(0, 12))));
  EXPECT_EQ(run({"fsck", "--repair", "--workspace", "ws"}).exit_code, 3);
  const Outcome again = build();
  ASSERT_EQ(again.exit_code, 0) << again.out << again.err;
  EXPECT_EQ(again.json().at("package"), first.at("package"));
  EXPECT_EQ(run({"fsck", "--workspace", "ws"}).exit_code, 0);
}

TEST_F(Faults, ACorruptRegistryIsSaidWithTheRemedy) {
  ASSERT_EQ(build().exit_code, 0);
  for (const char* name : {"registry.db-wal", "registry.db-shm"}) fs::remove(folder / (std::string("ws/") + name));
  write_text(folder / "ws/registry.db", std::string(8192, 'x'));
  const Outcome outcome = run({"list", "--workspace", "ws"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("registry"));
}

TEST_F(Faults, ATornStepLogLosesAtMostItsLastStep) {
  const Json first = build().json();
  const std::string log = folder / "ws/steps.log";
  fs::resize_file(log, fs::file_size(log) - 20);
  const Outcome again = build();
  ASSERT_EQ(again.exit_code, 0) << again.out << again.err;
  EXPECT_EQ(again.json().at("package"), first.at("package"));
}

TEST_F(Faults, TwoBuildsAtOnceDoNotHarmEachOther) {
  Outcome outcomes[2];
  std::thread other([&] { outcomes[1] = build(); });
  outcomes[0] = build();
  other.join();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(outcomes[0].json().at("package"), outcomes[1].json().at("package"));
  EXPECT_EQ(run({"list", "--json", "--workspace", "ws"}).json().at("releases").size(), 1U);
  EXPECT_EQ(run({"fsck", "--workspace", "ws"}).exit_code, 0);
}

TEST_F(Faults, MalformedImagesAreListedAndTooManyStopTheBuild) {
  const std::string picture = read_text(folder / "images/cross/000.png");
  write_text(folder / "images/cross/truncated.png", picture.substr(0, picture.size() / 2));
  write_text(folder / "images/cross/text.jpg", "hello");
  write_text(folder / "images/cross/empty.png", "");
  const Outcome stopped = build();
  EXPECT_EQ(stopped.exit_code, 3) << stopped.out << stopped.err;
  EXPECT_THAT(stopped.out, HasSubstr("truncated.png"));
  const Json checked = run({"data", "check", "images", "--json"}).json();
  ASSERT_NE(checked, nullptr);
  EXPECT_EQ(checked.at("rejected").size(), 3U) << checked.at("rejected").dump();
  write_text(folder / "d.yaml",
             "name: fault\ntask: classify\ndata: {path: images, max_rejected: 0.1}\nbudget: {epochs: 2}\nrecipe: {backbone: resnet-xs, "
             "side: 16, batch: 16}\n");
  EXPECT_EQ(build().exit_code, 0);
}

TEST_F(Faults, ZeroImagesOneClassAndOneImagePerClass) {
  fs::create_directories(folder / "none/a");
  write_text(folder / "zero.yaml", shapes_demand("zero", "none", 1));
  const Outcome zero = run({"build", "zero.yaml"});
  EXPECT_EQ(zero.exit_code, 3) << zero.out << zero.err;
  EXPECT_THAT(zero.err, HasSubstr("holds no files"));

  draw_shapes(folder / "one", 1, 10, 16, 1);
  write_text(folder / "one.yaml", shapes_demand("one", "one", 1));
  const Outcome one = run({"build", "one.yaml"});
  EXPECT_EQ(one.exit_code, 3) << one.out << one.err;
  EXPECT_THAT(one.err, HasSubstr("one class"));

  draw_shapes(folder / "single", 3, 1, 16, 1);
  write_text(folder / "single.yaml", shapes_demand("single", "single", 1));
  const Outcome single = run({"build", "single.yaml"});
  EXPECT_EQ(single.exit_code, 3) << single.out << single.err;
  EXPECT_FALSE(single.err.empty());
}

TEST_F(Faults, OddNamesAndSymbolicLinkLoops) {
  const std::string odd = folder / "images/cross/";
  fs::copy_file(folder / "images/cross/000.png", odd + "猫 é \"quoted\" 'name'.png");
  fs::copy_file(folder / "images/cross/001.png", odd + std::string(240, 'n') + ".png");
  fs::create_directory_symlink(folder / "images", folder / "images/cross/loop");
  const Json checked = run({"data", "check", "images", "--json"}).json();
  ASSERT_NE(checked, nullptr);
  EXPECT_EQ(checked.at("images"), 50);
  EXPECT_THAT(checked.at("rejected").dump(), HasSubstr("loop"));
  const Outcome outcome = run({"predict", "--help"});
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(Faults, WrongPathsAndWordsAreUserErrors) {
  EXPECT_EQ(run({"build", "missing.yaml"}).exit_code, 4);
  EXPECT_THAT(run({"buidl", "d.yaml"}).err, HasSubstr("build"));
  EXPECT_EQ(run({"buidl", "d.yaml"}).exit_code, 2);
  EXPECT_EQ(run({"predict", "nobody", "images"}).exit_code, 4);
  EXPECT_EQ(run({"show", "fault:0"}).exit_code, 4) << "no workspace yet";
  write_text(folder / "bad.yaml", "name: a\ntask: classify\ndata: {path: images}\ntarget: {at_lest: 0.9}\n");
  const Outcome bad = run({"build", "bad.yaml"});
  EXPECT_EQ(bad.exit_code, 3);
  EXPECT_THAT(bad.err, AllOf(HasSubstr("bad.yaml:4"), HasSubstr("at_least")));
}

}  // namespace
}  // namespace sightline::scenario
