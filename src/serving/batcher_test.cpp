#include "serving/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <set>
#include <thread>

namespace sightline::serving {
namespace {

// Each model adds its number to every element; batches that it saw are kept.
struct Adder {
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::int64_t> seen;
  bool held = false;  // until released

  Batcher::Execute execute() {
    return [this](std::span<const Tensor> inputs, std::span<const std::string> models) -> Result<std::vector<std::vector<Tensor>>> {
      {
        std::unique_lock lock(mutex);
        seen.push_back(inputs[0].dim(0));
        wake.notify_all();
        wake.wait(lock, [&] { return !held; });
      }
      std::vector<std::vector<Tensor>> outputs;
      for (const std::string& model : models) {
        if (model == "broken") return Error{ErrorKind::invalid_data, "broken"};
        Tensor out = inputs[0].copy();
        for (float& value : out.values<float>()) value += std::stof(model);
        outputs.push_back({out});
      }
      return outputs;
    };
  }
  void release() {
    const std::scoped_lock lock(mutex);
    held = false;
    wake.notify_all();
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return seen.size() >= count; });
  }
};

Tensor row(float value, std::int64_t rows = 1) {
  Tensor tensor(Dtype::f32, {rows, 2});
  for (float& each : tensor.values<float>()) each = value;
  return tensor;
}

void wait_until_waiting(const Batcher& batcher, std::size_t count) {
  while (batcher.waiting() < count) std::this_thread::yield();
}

TEST(Batcher, AnswersEachRequestWithItsOwnRows) {
  Adder adder;
  Batcher batcher({.rows = 8, .at_once = 2}, true, adder.execute());
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::int64_t rows = 1 + (t + i) % 11;  // more than a batch holds, too
        const std::string model = std::to_string(t % 3);
        const Tensor input = row(static_cast<float>(1000 * t + i), rows);
        const auto outputs = batcher.run(model, std::span(&input, 1));
        if (!outputs.ok() || (*outputs)[0].shape() != Shape({rows, 2})) {
          ++wrong;
          continue;
        }
        for (const float value : (*outputs)[0].values<float>()) wrong += value == static_cast<float>(1000 * t + i + t % 3) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  for (const std::int64_t rows : adder.seen) EXPECT_TRUE(rows == 1 || rows == 2 || rows == 4 || rows == 8) << rows;
}

TEST(Batcher, PutsTogetherWhatWaits) {
  Adder adder;
  adder.held = true;
  Batcher batcher({.rows = 8, .at_once = 1}, true, adder.execute());
  std::vector<std::thread> threads;
  const auto ask = [&](float value) {
    threads.emplace_back([&, value] {
      const Tensor input = row(value);
      EXPECT_TRUE(batcher.run("1", std::span(&input, 1)).ok());
    });
  };
  ask(0);
  adder.wait_for(1);
  for (int i = 0; i < 6; ++i) ask(static_cast<float>(i));
  wait_until_waiting(batcher, 6);
  adder.release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(adder.seen, ::testing::ElementsAre(1, 4, 2));
  EXPECT_EQ(batcher.batches().at(6), 1U);
}

TEST(Batcher, TakesTheUrgentFirstAndForgetsTheLate) {
  Adder adder;
  adder.held = true;
  Batcher batcher({.rows = 1, .at_once = 1}, true, adder.execute());
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<int> order;
  const auto ask = [&](int priority, int name, std::chrono::milliseconds limit = std::chrono::milliseconds(0)) {
    threads.emplace_back([&, priority, name, limit] {
      passage() = {.priority = priority};
      if (limit.count() > 0) passage().deadline = std::chrono::steady_clock::now() + limit;
      const Tensor input = row(1);
      const auto outputs = batcher.run("1", std::span(&input, 1));
      const std::scoped_lock lock(mutex);
      order.push_back(outputs.ok() ? name : -name);
      if (!outputs.ok()) {
        EXPECT_EQ(outputs.error().kind, ErrorKind::interrupted);
      }
    });
  };
  ask(1, 1);
  adder.wait_for(1);
  ask(5, 2);
  wait_until_waiting(batcher, 1);
  ask(1, 3);
  wait_until_waiting(batcher, 2);
  ask(0, 4, std::chrono::milliseconds(20));
  while (true) {
    const std::scoped_lock lock(mutex);
    if (!order.empty()) break;
  }
  adder.release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order[0], -4);
  EXPECT_LT(std::ranges::find(order, 3) - order.begin(), std::ranges::find(order, 2) - order.begin());
}

TEST(Batcher, AnErrorReachesWhoAskedAndNobodyElse) {
  Adder adder;
  Batcher batcher({.rows = 8}, true, adder.execute());
  const Tensor input = row(1);
  EXPECT_EQ(batcher.run("broken", std::span(&input, 1)).error().message, "broken");
  EXPECT_TRUE(batcher.run("1", std::span(&input, 1)).ok());
  const Tensor none(Dtype::f32, {0, 2});
  EXPECT_EQ(batcher.run("1", std::span(&none, 1)).error().kind, ErrorKind::usage);
}

TEST(Batcher, RunsWholeWhatHasNoRows) {
  Adder adder;
  adder.held = true;
  Batcher batcher({.rows = 8, .at_once = 1}, false, adder.execute());
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const Tensor input = row(1, 3);
      EXPECT_TRUE(batcher.run("1", std::span(&input, 1)).ok());
    });
  }
  adder.wait_for(1);
  wait_until_waiting(batcher, 2);
  adder.release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(adder.seen, ::testing::ElementsAre(3, 3, 3));
}

}  // namespace
}  // namespace sightline::serving
