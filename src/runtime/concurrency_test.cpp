// Any number of threads on one session or several, sessions made and destroyed meanwhile: right answers, bounded threads and memory. Run
// under ThreadSanitizer as well (make thread-test).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/scheduler.h"
#include "runtime/session.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;

std::size_t threads_of_this_process() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

Tensor random_images(std::int64_t batch, std::int64_t side, std::uint64_t seed) {
  Random random(seed);
  Tensor images(Dtype::u8, {batch, side, side, 3});
  for (auto& v : images.values<std::uint8_t>()) v = static_cast<std::uint8_t>(random.below(256));
  return images;
}

// Work enough for two threads at batch 1 (some 50 MFLOP), over in a moment.
Graph small_network(std::uint64_t seed) {
  Builder b(seed);
  std::string x = b.image_input(32, 32, 3, {120, 110, 100}, {60, 61, 62});
  for (int i = 0; i < 3; ++i) x = b.relu(b.batch_norm(b.conv(x, 32, {.bias = true})));
  const std::string pooled = b.flatten(b.global_average_pool(x));
  auto graph = b.finish({b.softmax(b.linear(pooled, 10)), pooled}, {});
  EXPECT_TRUE(graph.ok());
  return *graph;
}

// Each of `callers` threads runs the session on inputs of all these batch sizes, `rounds` times, and holds the answers to those that
// one thread got before. Gives how many threads the process had at most.
std::size_t hammer(Session& session, int callers, int rounds, const std::vector<std::int64_t>& batches) {
  std::vector<Tensor> inputs;
  std::vector<std::vector<Tensor>> wanted;
  for (const std::int64_t batch : batches) {
    inputs.push_back(random_images(batch, 32, static_cast<std::uint64_t>(batch)));
    auto answer = session.run({&inputs.back(), 1});
    EXPECT_TRUE(answer.ok());
    wanted.push_back(*answer);
  }
  std::atomic<int> wrong{0};
  std::atomic<bool> over{false};
  std::size_t most = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < callers; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < rounds; ++i) {
        const std::size_t k = static_cast<std::size_t>(t + i) % inputs.size();
        const auto got = session.run({&inputs[k], 1});
        if (!got.ok() || !(*got)[0].same_as(wanted[k][0]) || !(*got)[1].same_as(wanted[k][1])) ++wrong;
      }
    });
  }
  std::thread counter([&] {
    while (!over) {
      most = std::max(most, threads_of_this_process());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (std::thread& thread : threads) thread.join();
  over = true;
  counter.join();
  EXPECT_EQ(wrong, 0);
  return most;
}

TEST(RuntimeConcurrency, TwoThreadsRunOneModel) {
  auto session = Session::create(small_network(1), {.threads = 2});
  ASSERT_TRUE(session.ok()) << session.error().message;
  hammer(*session, 2, 60, {1, 4, 3});
}

// Sixteen threads that call make sixteen threads, not thirty-two: none opens a pool of its own, and all have the same helpers.
TEST(RuntimeConcurrency, SixteenThreadsRunOneModelAndGrowNoPools) {
  auto session = Session::create(small_network(2), {.threads = 2});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const std::size_t before = threads_of_this_process();
  const std::size_t most = hammer(*session, 16, 25, {1, 1, 4, 1});
  // The callers, the one that counts, and the scheduler's helpers.
  const auto cores = static_cast<std::size_t>(std::max(Scheduler::shared().cores(), 2));
  EXPECT_LE(most, before + 16 + 1 + (cores - 1));
}

TEST(RuntimeConcurrency, ManyBatchSizesAtOnceKeepMemoryBounded) {
  auto session = Session::create(small_network(3), {.threads = 1});
  ASSERT_TRUE(session.ok()) << session.error().message;
  hammer(*session, 4, 30, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  // No more arenas than threads that computed at the same time, each no larger than the largest plan's.
  auto single = Session::create(small_network(3), {.threads = 1});
  ASSERT_TRUE(single.ok());
  const Tensor largest = random_images(12, 32, 1);
  ASSERT_TRUE(single->run({&largest, 1}).ok());
  EXPECT_LE(session->memory().arena, single->memory().arena * static_cast<std::size_t>(Scheduler::shared().cores()));
  EXPECT_LE(session->memory().weights, single->memory().weights * 2);
}

// Models come and go while others run.
TEST(RuntimeConcurrency, ModelsAreLoadedAndUnloadedUnderLoad) {
  auto steady = Session::create(small_network(4), {.threads = 2});
  ASSERT_TRUE(steady.ok());
  const Tensor image = random_images(1, 32, 5);
  const auto wanted = steady->run({&image, 1});
  ASSERT_TRUE(wanted.ok());
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0}, answers{0}, loaded{0};
  const std::size_t before = threads_of_this_process();
  std::size_t most = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      while (!over) {
        const auto got = steady->run({&image, 1});
        if (!got.ok() || !(*got)[0].same_as((*wanted)[0])) ++wrong;
        ++answers;
      }
    });
  }
  std::vector<std::thread> loaders;
  for (int t = 0; t < 2; ++t) {
    loaders.emplace_back([&, t] {
      for (int i = 0; i < 6; ++i) {
        auto other = Session::create(small_network(static_cast<std::uint64_t>(10 + t)), {.threads = 2});
        if (!other.ok()) {
          ++wrong;
          continue;
        }
        const auto got = other->run({&image, 1});
        if (!got.ok() || (*got)[0].same_as((*wanted)[0])) ++wrong;  // another model, another answer
      }
      ++loaded;
    });
  }
  while (!over) {
    most = std::max(most, threads_of_this_process());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    over = loaded == 2;
  }
  for (std::thread& loader : loaders) loader.join();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(answers, 0);
  // Planning opens no pools either.
  const auto cores = static_cast<std::size_t>(std::max(Scheduler::shared().cores(), 2));
  EXPECT_LE(most, before + 5 + (cores - 1));
}

}  // namespace
}  // namespace sightline::runtime
