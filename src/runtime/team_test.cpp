#include "runtime/team.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "runtime/onednn.h"

// What oneDNN calls. In this program they are team.cpp's.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
void GOMP_barrier();
int omp_get_thread_num();
int omp_get_num_threads();
int omp_in_parallel();
}

namespace sightline::runtime {
namespace {

constexpr int most = 8;
struct Seen {
  std::array<std::atomic<int>, most> shares{};  // how often each was done
  std::atomic<int> width{0}, inside{0};
};

void look(void* data) {
  auto& seen = *static_cast<Seen*>(data);
  ++seen.shares[static_cast<std::size_t>(omp_get_thread_num())];
  seen.width = omp_get_num_threads();
  seen.inside += omp_in_parallel();
}

// Threads that help the team while they live.
class Helpers {
 public:
  Helpers(Team& team, int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([&team] { team.help(); });
  }
  ~Helpers() {
    for (std::thread& thread : threads_) thread.join();
  }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

 private:
  std::vector<std::thread> threads_;
};

TEST(Team, EveryShareIsDoneOnce) {
  for (const int helpers : {0, 1, 3}) {
    Team team(4);
    const Helpers threads(team, helpers);
    const Team::Leading leading(team);
    Team::set_shares_independent(true);
    for (int region = 0; region < 2000; ++region) {
      Seen seen;
      GOMP_parallel(look, &seen, 4, 0);
      for (std::size_t share = 0; share < 4; ++share) ASSERT_EQ(seen.shares[share], 1) << helpers << " helpers, region " << region;
      ASSERT_EQ(seen.width, 4);
      ASSERT_EQ(seen.inside, 4);
    }
    EXPECT_EQ(omp_in_parallel(), 0);
    EXPECT_EQ(omp_get_num_threads(), 1);
  }
}

// What the leader's share waits for is done by another thread.
TEST(Team, SharesThatWaitForEachOtherHaveThreadsOfTheirOwn) {
  struct Meeting {
    std::atomic<int> here{0}, early{0};
  };
  Team team(3);
  const Helpers threads(team, 2);
  const Team::Leading leading(team);
  for (int region = 0; region < 200; ++region) {
    Meeting meeting;
    GOMP_parallel(
        [](void* data) {
          auto& met = *static_cast<Meeting*>(data);
          ++met.here;
          GOMP_barrier();
          if (met.here < 3) ++met.early;
          GOMP_barrier();
          --met.here;
        },
        &meeting, 3, 0);
    ASSERT_EQ(meeting.early, 0);
    ASSERT_EQ(meeting.here, 0);
  }
}

TEST(Team, ARegionInARegionIsOneThreads) {
  Team team(2);
  const Helpers threads(team, 1);
  const Team::Leading leading(team);
  struct Both {
    Seen outer, inner;
  } both;
  GOMP_parallel(
      [](void* data) {
        auto& seen = *static_cast<Both*>(data);
        look(&seen.outer);
        GOMP_parallel(look, &seen.inner, 2, 0);
        GOMP_barrier();
      },
      &both, 2, 0);
  EXPECT_EQ(both.outer.shares[0], 1);
  EXPECT_EQ(both.outer.shares[1], 1);
  EXPECT_EQ(both.inner.shares[0], 2);
  EXPECT_EQ(both.inner.width, 1);
}

TEST(Team, AHelperThatComesLateFindsNothing) {
  Team team(2);
  {
    const Team::Leading leading(team);
    Team::set_shares_independent(true);
    Seen seen;
    GOMP_parallel(look, &seen, 2, 0);
    EXPECT_EQ(seen.shares[1], 1);
  }
  team.help();  // comes back
}

// LibTorch and everybody else who leads no team has GCC's threads.
TEST(Team, OthersHaveTheirOwnThreads) {
  Seen seen;
  GOMP_parallel(look, &seen, 2, 0);
  EXPECT_EQ(seen.shares[0] + seen.shares[1], seen.width);
  EXPECT_EQ(omp_in_parallel(), 0);
}

// in_parallel: every element once, in as many pieces as there are threads, but none smaller than asked for.
TEST(Team, StepsOfOurOwnAreCutIntoShares) {
  Team team(4);
  const Helpers threads(team, 2);
  const Team::Leading leading(team);
  const ThreadScope scope(4);
  for (const auto& [count, least, pieces] : {std::array<std::int64_t, 3>{1000, 1, 4}, {1000, 400, 2}, {1000, 2000, 1}, {0, 1, 1}}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
    std::atomic<int> calls{0};
    in_parallel(count, least, [&](std::int64_t first, std::int64_t last) {
      ++calls;
      for (std::int64_t i = first; i < last; ++i) ++seen[static_cast<std::size_t>(i)];
    });
    EXPECT_EQ(calls, pieces);
    for (const auto& each : seen) ASSERT_EQ(each, 1);
  }
}

}  // namespace
}  // namespace sightline::runtime
