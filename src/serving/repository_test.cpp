#include "serving/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <thread>

#include "base/temporary_folder.h"
#include "serving/answers.h"
#include "serving/packages_for_test.h"

namespace sightline::serving {
namespace {

using ::testing::HasSubstr;

struct Folder {
  TemporaryFolder root;
  std::unique_ptr<Repository> repository;
  RepositoryOptions options;

  std::string at(const std::string& name) const { return root.path() + "/" + name; }
  void open() {
    auto opened = Repository::open(*folder_catalogue(root.path()), options);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    repository = *std::move(opened);
  }
  std::vector<float> ask(const std::string& name, std::int64_t version = 0, double draw = 1) const {
    const auto lease = repository->lease(name, version, draw);
    if (!lease.ok() || !*lease) return {};
    const Tensor answer = *(*lease)->model().probabilities((*lease)->model().prepare(test_picture()));
    return {answer.values<float>().begin(), answer.values<float>().end()};
  }
};

std::vector<float> alone(const std::string& folder) {
  package::Model model = *package::Model::open(folder);
  const Tensor answer = *model.probabilities(model.prepare(test_picture()));
  return {answer.values<float>().begin(), answer.values<float>().end()};
}

// Batches of other sizes may differ in the last bits.
bool alike(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::ranges::equal(a, b, [](float x, float y) { return std::abs(x - y) < 1e-5F; });
}

TEST(Repository, AnswersAsThePackageDoesAlone) {
  Folder folder;
  ASSERT_TRUE(write_test_package(folder.at("apparel"), "apparel").ok());
  folder.open();
  const auto got = folder.ask("apparel"), wanted = alone(folder.at("apparel"));
  ASSERT_EQ(got.size(), 3U);
  EXPECT_TRUE(alike(got, wanted));
  EXPECT_THAT(folder.repository->lease("aparel").error().message, HasSubstr("did you mean \"apparel\""));
  EXPECT_THAT(folder.repository->lease("apparel", 7).error().message, HasSubstr("no version 7"));
}

TEST(Repository, UnloadsByLeastUse) {
  Folder folder;
  for (const char* name : {"a", "b", "c", "d"})
    ASSERT_TRUE(write_test_package(folder.at(name), name, static_cast<std::uint64_t>(name[0]), 64).ok());
  folder.open();
  folder.ask("a");
  const std::size_t one = folder.repository->bytes();
  ASSERT_GT(one, 0U);
  folder.options.most_bytes = one * 5 / 2;
  folder.open();
  for (const char* name : {"a", "b", "a", "c", "a", "d"}) {
    EXPECT_EQ(folder.ask(name).size(), 3U);
    EXPECT_LE(folder.repository->bytes(), folder.options.most_bytes);
  }
  EXPECT_EQ(folder.repository->evictions(), 2U);  // b, c
  EXPECT_EQ(folder.repository->loads(), 4U);
  folder.options.most_bytes = one / 2;
  folder.open();
  EXPECT_EQ(folder.repository->lease("a").error().kind, ErrorKind::refused);
  EXPECT_EQ(folder.repository->bytes(), 0U);
}

TEST(Repository, ANewVersionTakesOverWhenItIsLoadedAndNothingFails) {
  Folder folder;
  ASSERT_TRUE(write_test_package(folder.at("m/1"), "m", 1).ok());
  folder.open();
  const auto first = folder.ask("m");
  ASSERT_EQ(first.size(), 3U);
  std::atomic<bool> ends = false;
  std::atomic<int> failed = 0, asked = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!ends) {
        failed += folder.ask("m").size() == 3 ? 0 : 1;
        ++asked;
      }
    });
  }
  ASSERT_TRUE(write_test_package(folder.at("m/2"), "m", 2).ok());
  ASSERT_TRUE(folder.repository->refresh().ok());
  const auto second = folder.ask("m");
  EXPECT_FALSE(alike(second, first));
  // A version that cannot be loaded does not take over.
  ASSERT_TRUE(write_test_package(folder.at("m/3"), "m", 3).ok());
  ASSERT_TRUE(write_file(folder.at("m/3/1/model.onnx"), "damaged").ok());
  ASSERT_TRUE(folder.repository->refresh().ok());
  EXPECT_TRUE(alike(folder.ask("m"), second));
  // What goes is followed by what there is.
  std::filesystem::remove_all(folder.at("m/3"));
  std::filesystem::remove_all(folder.at("m/2"));
  ASSERT_TRUE(folder.repository->refresh().ok());
  EXPECT_TRUE(alike(folder.ask("m"), first));
  ends = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(asked, 0);
}

TEST(Repository, SharesTrafficBetweenVersions) {
  Folder folder;
  for (int version = 1; version <= 3; ++version)
    ASSERT_TRUE(write_test_package(folder.at("m/" + std::to_string(version)), "m", static_cast<std::uint64_t>(version)).ok());
  folder.open();
  const auto first = folder.ask("m", 1), second = folder.ask("m", 2), third = folder.ask("m", 3);
  EXPECT_EQ(folder.ask("m"), third);
  ASSERT_TRUE(folder.repository->set_traffic("m", {.pinned = 1, .canary = 2, .share = 0.25, .shadow = 3}).ok());
  EXPECT_EQ(folder.ask("m", 0, 0.1), second);
  EXPECT_EQ(folder.ask("m", 0, 0.3), first);
  ASSERT_TRUE(folder.repository->shadow_of("m").has_value());
  EXPECT_EQ(folder.repository->shadow_of("m")->loaded().version, 3);
  EXPECT_EQ(folder.repository->set_traffic("m", {.canary = 9}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(folder.repository->set_traffic("m", {.share = 2}).error().kind, ErrorKind::usage);
  ASSERT_TRUE(folder.repository->set_traffic("m", {}).ok());
  EXPECT_EQ(folder.ask("m", 0, 0.1), third);
}

TEST(Repository, UnloadsOnRequestAndLimitsWhatIsUnderWay) {
  Folder folder;
  ASSERT_TRUE(write_test_package(folder.at("m"), "m").ok());
  folder.options.most_at_once = 2;
  folder.open();
  {
    const auto one = folder.repository->lease("m"), two = folder.repository->lease("m"), three = folder.repository->lease("m");
    ASSERT_TRUE(one.ok() && two.ok() && three.ok());
    EXPECT_TRUE(*one && *two);
    EXPECT_FALSE(*three);
    // What is being answered lives on.
    ASSERT_TRUE(folder.repository->unload("m").ok());
    EXPECT_TRUE((*one)->model().probabilities((*one)->model().prepare(test_picture())).ok());
  }
  EXPECT_EQ(folder.repository->bytes(), 0U);
  EXPECT_THAT(folder.repository->lease("m").error().message, HasSubstr("unloaded"));
  EXPECT_FALSE(folder.repository->ready("m"));
  ASSERT_TRUE(folder.repository->load("m").ok());
  EXPECT_EQ(folder.ask("m").size(), 3U);
  EXPECT_EQ(folder.repository->unload("x").error().kind, ErrorKind::not_found);
}

TEST(Repository, ADamagedPackageHarmsNoOther) {
  Folder folder;
  ASSERT_TRUE(write_test_package(folder.at("good"), "good").ok());
  ASSERT_TRUE(write_test_package(folder.at("bad"), "bad").ok());
  std::filesystem::resize_file(folder.at("bad/1/model.onnx"), 200);
  folder.open();
  EXPECT_FALSE(folder.repository->lease("bad").ok());
  EXPECT_EQ(folder.ask("good").size(), 3U);
  for (const Repository::Status& status : folder.repository->index()) {
    EXPECT_EQ(status.state, status.name == "bad" ? Repository::State::failed : Repository::State::ready);
    EXPECT_EQ(status.reason.empty(), status.name == "good");
  }
  EXPECT_FALSE(folder.repository->ready("bad"));
}

}  // namespace
}  // namespace sightline::serving
