// Threads that share the parallel regions of one caller. oneDNN 2.6 is built on OpenMP: every region that it opens is a call into GCC's
// library, which would give each caller a pool of threads of its own, let them spin for milliseconds, and have the caller wait for a thread
// that other work keeps from its core although the thread has not even begun. Here these calls are answered by us while the calling thread
// leads a team (team.cpp defines GOMP_parallel and the few other functions that oneDNN calls, and hands them on to GCC's library for
// everybody else: LibTorch keeps its own pools). A team has no threads of its own: the scheduler's come to help. What none of them has
// begun when the leader is done with its share, the leader does as well, so that a helper that comes late, or never, costs no more than its
// work.
//
// Threads: one leads; any number may be in help().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace sightline::runtime {

class Team {
 public:
  explicit Team(int threads);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  int threads() const { return threads_; }

  // While it lives, the calling thread leads the team. After that helpers go.
  class Leading {
   public:
    explicit Leading(Team& team);
    Leading(const Leading&) = delete;
    Leading& operator=(const Leading&) = delete;
    ~Leading();

   private:
    Team* before_;
  };

  // A helper's part: takes shares of the leader's regions until the leader has gone.
  void help();

  // Whether the shares of the regions that the calling thread opens from now on may be done one after the other. Where they wait for each
  // other (GEMM drivers, reductions) each must have a thread of its own, and the leader waits for helpers. False at first.
  static void set_shares_independent(bool independent);

  // body(data) by `width` threads, at most threads(), each of which knows its number (omp_get_thread_num). For the leader.
  using Body = void (*)(void*);
  void share(Body body, void* data, int width);
  // For those that are in a region: waits for the others.
  void meet();

 private:
  bool take_one();  // a share that nobody has begun
  void close();

  const int threads_;
  Body body_ = nullptr;
  void* data_ = nullptr;
  int width_ = 1;
  // What helpers look at: a number that changes with each region, the region's width, and the next share to be taken, in 16, 8 and 8 bits.
  alignas(64) std::atomic<std::uint32_t> word_{0};
  alignas(64) std::atomic<std::uint32_t> done_{0};  // shares of helpers that are finished
  alignas(64) std::atomic<std::uint32_t> met_{0}, meetings_{0};
};

// For steps of our own between oneDNN's: calls part(first, last) for pieces that make up [0, count), each of at least `least` unless there
// is less, shared as oneDNN's work is. part must not throw.
void in_parallel(std::int64_t count, std::int64_t least, const std::function<void(std::int64_t, std::int64_t)>& part);

}  // namespace sightline::runtime
