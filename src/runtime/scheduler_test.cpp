#include "runtime/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runtime/onednn.h"

namespace sightline::runtime {
namespace {

TEST(Scheduler, RunsEveryPieceOnceOnOneThreadEach) {
  Scheduler scheduler(4);
  for (std::size_t pieces : {0, 1, 3, 50}) {
    std::vector<std::atomic<int>> runs(pieces);
    std::atomic<int> wide{0};
    scheduler.side_by_side(pieces, [&](std::size_t i) {
      ++runs[i];
      if (ThreadScope::current() != 1) ++wide;
    });
    for (const auto& count : runs) EXPECT_EQ(count, 1);
    EXPECT_EQ(wide, 0);
  }
}

TEST(Scheduler, OneThreadIsTheCallers) {
  Scheduler scheduler(2);
  std::thread::id at;
  const int before = ThreadScope::current();
  scheduler.together(1, [&] {
    at = std::this_thread::get_id();
    EXPECT_EQ(ThreadScope::current(), 1);
  });
  EXPECT_EQ(at, std::this_thread::get_id());
  EXPECT_EQ(ThreadScope::current(), before);
}

// Places bound how much runs at the same time, whoever asks.
TEST(Scheduler, NeverMoreAtOnceThanPlaces) {
  Scheduler scheduler(3);
  std::atomic<int> now{0}, most{0}, runs{0};
  const auto work = [&](int places) {
    const int all = now += places;
    for (int seen = most; seen < all && !most.compare_exchange_weak(seen, all);) {
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    now -= places;
    ++runs;
  };
  std::vector<std::thread> callers;
  for (int t = 0; t < 12; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        if (t % 3 == 0) scheduler.together(3, [&] { work(3); });
        if (t % 3 == 1) scheduler.together(1, [&] { work(1); });
        if (t % 3 == 2) scheduler.side_by_side(4, [&](std::size_t) { work(1); });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(runs, 4 * 20 + 4 * 20 + 4 * 20 * 4);
  EXPECT_LE(most, 3);
  EXPECT_FALSE(scheduler.crowded());
  EXPECT_EQ(scheduler.begun(), 12U * 20);
}

// Whoever asks, work runs in the thread that brings it, and helpers come to it.
TEST(Scheduler, WorkOfSeveralThreadsIsNotHandedOver) {
  Scheduler scheduler(2);
  std::atomic<int> elsewhere{0}, narrow{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 20; ++i)
        scheduler.together(2, [&, caller = std::this_thread::get_id()] {
          if (std::this_thread::get_id() != caller) ++elsewhere;
          if (ThreadScope::current() != 2) ++narrow;
        });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(narrow, 0);
}

TEST(Scheduler, IdleCoresAreTakenWithoutWaiting) {
  Scheduler scheduler(2);
  scheduler.with_idle_cores(5, [] { EXPECT_EQ(ThreadScope::current(), 2); });
  std::atomic<bool> begun{false}, done{false};
  std::thread busy([&] {
    scheduler.together(2, [&] {
      begun = true;
      while (!done) std::this_thread::yield();
    });
  });
  while (!begun) std::this_thread::yield();
  scheduler.with_idle_cores(2, [] { EXPECT_EQ(ThreadScope::current(), 1); });
  done = true;
  busy.join();
  EXPECT_FALSE(scheduler.crowded());
}

TEST(Scheduler, WhatBodiesThrowReachesTheCaller) {
  Scheduler scheduler(2);
  const auto fails = [] { throw std::runtime_error("no"); };
  EXPECT_THROW(scheduler.together(1, fails), std::runtime_error);
  EXPECT_THROW(scheduler.together(2, fails), std::runtime_error);
  std::thread([&] { EXPECT_THROW(scheduler.together(2, fails), std::runtime_error); }).join();
  std::atomic<int> runs{0};
  EXPECT_THROW(scheduler.side_by_side(5,
                                      [&](std::size_t i) {
                                        ++runs;
                                        if (i == 3) throw std::runtime_error("no");
                                      }),
               std::runtime_error);
  EXPECT_EQ(runs, 5);
  EXPECT_FALSE(scheduler.crowded());
}

}  // namespace
}  // namespace sightline::runtime
