#include "runtime/scheduler.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/machine.h"
#include "runtime/onednn.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

// Places to compute, given out first come, first served: who needs many is not overtaken for ever by those who need one.
class Places {
 public:
  explicit Places(int count) : all_(count), free_(count) {}

  // Waits for `least`, then takes up to `most` if nobody else waits. Gives how many it took.
  int take(int least, int most) {
    std::unique_lock lock(mutex_);
    ++begun_;
    if (line_.empty() && free_ >= least) {
      free_ -= least;
    } else {
      Waiter waiter{.wanted = least};
      line_.push_back(&waiter);
      waiter.ready.wait(lock, [&] { return waiter.served; });
    }
    const int more = line_.empty() ? std::min(free_, most - least) : 0;
    free_ -= more;
    return least + more;
  }
  // Takes what is free now and nobody waits for.
  int take_free(int most) {
    const std::lock_guard lock(mutex_);
    const int taken = line_.empty() ? std::min(free_, most) : 0;
    free_ -= taken;
    return taken;
  }
  void give_back(int count) {
    const std::lock_guard lock(mutex_);
    free_ += count;
    while (!line_.empty() && line_.front()->wanted <= free_) {
      Waiter& first = *line_.front();
      line_.pop_front();
      free_ -= first.wanted;
      first.served = true;
      first.ready.notify_one();  // under the lock: the waiter is gone soon after
    }
  }
  bool in_use() const {
    const std::lock_guard lock(mutex_);
    return free_ < all_ || !line_.empty();
  }
  std::uint64_t begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  struct Waiter {
    int wanted = 1;
    bool served = false;
    std::condition_variable ready;
  };
  mutable std::mutex mutex_;
  std::deque<Waiter*> line_;
  int all_, free_;
  std::uint64_t begun_ = 0;
};

// Threads that wait for tasks; one is started when a task comes and none waits, up to a number. Before they sleep they look about for a
// while: the next task often comes within microseconds, and to be woken costs tens of them.
class Crew {
 public:
  ~Crew() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      ++posted_;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  // most: threads that there may be for this task to find one.
  void post(std::size_t most, std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (tasks_.size() > idle_ && threads_.size() < most) threads_.emplace_back([this] { work(); });
    ++posted_;
    wake_.notify_one();
  }

 private:
  void work() {
    constexpr std::chrono::microseconds patience{100};
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      if (tasks_.empty() && !closing_) {
        const std::uint32_t seen = posted_;
        lock.unlock();
        const auto until = std::chrono::steady_clock::now() + patience;
        while (posted_ == seen && std::chrono::steady_clock::now() < until) _mm_pause();
        lock.lock();
      }
      wake_.wait(lock, [&] { return closing_ || !tasks_.empty(); });
      --idle_;
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  std::atomic<std::uint32_t> posted_{0};
  std::size_t idle_ = 0;
  bool closing_ = false;
};

// What is done by several threads: pieces taken from a counter, and the first thing that was thrown. Each helper comes with a place.
struct Job {
  Job(const std::function<void(std::size_t)>& each, std::size_t count, Places& of) : body(each), pieces(count), places(of) {}

  void take_part() {
    const ThreadScope scope(1);
    for (std::size_t piece = next.fetch_add(1); piece < pieces; piece = next.fetch_add(1)) {
      try {
        body(piece);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!exception) exception = std::current_exception();
      }
    }
  }
  void help() {
    {
      const std::lock_guard lock(mutex);
      if (closed) return;  // too late: all pieces were taken, and the place given back
      --coming;
      ++at_work;
    }
    take_part();
    places.give_back(1);
    const std::lock_guard lock(mutex);
    if (--at_work == 0) finished.notify_all();
  }
  // The caller's part when there are no pieces left to take: waits for those that others have taken.
  void close() {
    std::unique_lock lock(mutex);
    closed = true;
    if (coming > 0) places.give_back(coming);
    finished.wait(lock, [&] { return at_work == 0; });
    if (exception) std::rethrow_exception(exception);
  }

  const std::function<void(std::size_t)>& body;  // the caller's: not touched after close()
  const std::size_t pieces;
  Places& places;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::condition_variable finished;
  bool closed = false;
  int coming = 0, at_work = 0;  // helpers
  std::exception_ptr exception;
};

// Gives places back however the body ends.
class Held {
 public:
  Held(Places& places, int count) : places_(places), count_(count) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { places_.give_back(count_); }
  int count() const { return count_; }

 private:
  Places& places_;
  int count_;
};

}  // namespace

struct Scheduler::State {
  explicit State(int count) : cores(count), places(count) {}
  const int cores;
  Places places;
  Crew helpers;  // all places but the callers' may be theirs

  void lead(int threads, const std::function<void()>& body) {
    const ThreadScope scope(std::max(threads, 1));
    if (threads <= 1) {
      body();
      return;
    }
    const auto team = std::make_shared<Team>(threads);
    const Team::Leading leading(*team);
    // Where more threads are wanted than there are cores, they are given: some regions need them all.
    const auto most = static_cast<std::size_t>(std::max(cores, threads) - 1);
    for (int helper = 1; helper < team->threads(); ++helper) helpers.post(most, [team] { team->help(); });
    body();
  }
};

Scheduler& Scheduler::shared() {
  // Never destroyed: sessions in static storage may outlive everything else.
  static auto* scheduler = new Scheduler(usable_cores());
  return *scheduler;
}

Scheduler::Scheduler(int cores) : state_(std::make_unique<State>(std::max(cores, 1))) {}
Scheduler::~Scheduler() = default;

int Scheduler::cores() const { return state_->cores; }
bool Scheduler::crowded() const { return state_->places.in_use(); }
std::uint64_t Scheduler::begun() const { return state_->places.begun(); }

void Scheduler::together(int threads, const std::function<void()>& body) {
  const int wanted = std::clamp(threads, 1, state_->cores);
  const Held held(state_->places, state_->places.take(wanted, wanted));
  state_->lead(threads, body);
}

void Scheduler::with_idle_cores(int threads, const std::function<void()>& body) {
  const Held held(state_->places, state_->places.take_free(std::min(threads, state_->cores)));
  state_->lead(held.count(), body);
}

void Scheduler::side_by_side(std::size_t pieces, const std::function<void(std::size_t)>& body) {
  if (pieces == 0) return;
  const int most = static_cast<int>(std::min<std::size_t>(pieces, static_cast<std::size_t>(state_->cores)));
  const int taken = state_->places.take(1, most);
  const Held own(state_->places, 1);
  const auto job = std::make_shared<Job>(body, pieces, state_->places);
  job->coming = taken - 1;
  for (int helper = 1; helper < taken; ++helper) state_->helpers.post(static_cast<std::size_t>(state_->cores - 1), [job] { job->help(); });
  job->take_part();
  job->close();
}

}  // namespace sightline::runtime
