#include "base/parallel.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/interrupt.h"

namespace sightline {
namespace {

TEST(ParallelFor, CallsEachOnce) {
  for (const int threads : {0, 1, 2, 7}) {
    for (const std::size_t block : {std::size_t{1}, std::size_t{3}, std::size_t{1'000}}) {
      std::vector<std::atomic<int>> calls(100);
      ASSERT_TRUE(parallel_for(
                      calls.size(),
                      [&](std::size_t i) -> Result<void> {
                        ++calls[i];
                        return {};
                      },
                      threads, block)
                      .ok());
      for (const std::atomic<int>& each : calls) EXPECT_EQ(each, 1);
    }
  }
  EXPECT_TRUE(parallel_for(0, [](std::size_t) -> Result<void> { return Error{}; }).ok());
}

TEST(ParallelFor, GivesTheErrorOfTheLowestThatFailed) {
  for (int round = 0; round < 20; ++round) {
    // 10 fails late, 11 at once: both are running by then.
    std::atomic<bool> slow_one_began{false};
    const auto status = parallel_for(
        100,
        [&](std::size_t i) -> Result<void> {
          if (i == 10) {
            slow_one_began = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            return Error{ErrorKind::io, "10"};
          }
          if (i == 11) {
            while (!slow_one_began) std::this_thread::yield();
            return Error{ErrorKind::io, "11"};
          }
          return {};
        },
        2);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "10");
  }
}

TEST(ParallelFor, StartsNoMoreAfterAnError) {
  std::atomic<int> calls{0};
  const auto status = parallel_for(
      1'000'000,
      [&](std::size_t) -> Result<void> {
        ++calls;
        return Error{ErrorKind::refused, "no"};
      },
      4);
  EXPECT_EQ(status.error().kind, ErrorKind::refused);
  EXPECT_LE(calls, 4);
}

TEST(ParallelFor, ExceptionsReachTheCaller) {
  EXPECT_THROW((void)parallel_for(
                   10,
                   [](std::size_t i) -> Result<void> {
                     if (i == 3) throw std::runtime_error("three");
                     return {};
                   },
                   3),
               std::runtime_error);
}

TEST(ParallelFor, StopsWhenInterrupted) {
  std::atomic<int> calls{0};
  const auto status = parallel_for(
      1'000'000,
      [&](std::size_t) -> Result<void> {
        if (++calls == 5) request_interrupt();
        return {};
      },
      2);
  clear_interrupt();
  EXPECT_EQ(status.error().kind, ErrorKind::interrupted);
  EXPECT_LT(calls, 1'000);
}

}  // namespace
}  // namespace sightline
