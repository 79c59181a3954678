// Who computes, and on which threads. There are as many places as the process has cores; a piece of work takes one or several of them,
// whoever finds none waits in line, first come, first served. Work runs in the thread that brings it: nothing is handed over. Helpers, one
// fewer than cores, are the scheduler's: they take pieces of a batch, or shares of oneDNN's parallel regions (team.h), so that oneDNN,
// which is built on OpenMP, grows no pool of threads for anyone.
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

  // Runs body() once; oneDNN's regions in it are shared by `threads` threads. Takes as many places (at most all).
  void together(int threads, const std::function<void()>& body);
  // The same with as many threads as there are places to be had now, at most `threads`; without waiting for any: with one thread at least.
  void with_idle_cores(int threads, const std::function<void()>& body);
  // Runs body(0) … body(pieces - 1), each with one OpenMP thread, on as many threads as there are places to be had now; the caller's is
  // one of them.
  void side_by_side(std::size_t pieces, const std::function<void(std::size_t)>& body);

  // Whether others compute or wait for it now.
  bool crowded() const;
  // How many pieces of work have begun so far: when it rose by one only, nobody disturbed what ran meanwhile.
  std::uint64_t begun() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sightline::runtime
