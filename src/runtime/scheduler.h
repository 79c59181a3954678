// Who computes, and on which threads. oneDNN is built on OpenMP, and every thread that opens a parallel region grows a pool of helpers of
// its own: sixteen request threads would make thirty-two. So all that runs oneDNN asks here first. There are as many places as the
// process has cores; a piece of work takes one or several of them, whoever finds none waits in line, first come, first served. Work
// of one thread runs in the thread that brings it (nothing is handed over) and opens no region; work that is to be shared by
// OpenMP threads runs where a pool is: in the first caller that asked for one, for as long as that thread lives, else in a thread
// of the scheduler's.
//
// Threads: every function may be called from any thread. Bodies must not call the scheduler. What a body throws reaches the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace sightline::runtime {

class Scheduler {
 public:
  static Scheduler& shared();  // of this process: usable_cores() places
  explicit Scheduler(int cores);
  ~Scheduler();  // waits for its threads; no work may be under way
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  int cores() const;

  // Runs body() once; oneDNN has `threads` OpenMP threads in it. Takes as many places (at most all).
  void together(int threads, const std::function<void()>& body);
  // Runs body(0) … body(pieces - 1), each with one OpenMP thread, on as many threads as there are places to be had now; the caller's is
  // one of them.
  void side_by_side(std::size_t pieces, const std::function<void(std::size_t)>& body);

  // Whether others compute or wait for it now.
  bool crowded() const;
  // How many pieces of work have begun so far: when it rose by one only, nobody disturbed what ran meanwhile.
  std::uint64_t begun() const;
  // Whether the calling thread may open a parallel region with several threads (it becomes the one that may, when nobody is).
  bool owns_pool();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sightline::runtime
