#include "runtime/scheduler.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/machine.h"
#include "runtime/onednn.h"

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

// At most so many threads that wait for tasks; one is started when a task comes and none waits.
class Crew {
 public:
  explicit Crew(int most) : most_(static_cast<std::size_t>(std::max(most, 1))) {}
  ~Crew() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (tasks_.size() > idle_ && threads_.size() < most_) threads_.emplace_back([this] { work(); });
    wake_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
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
  std::size_t most_, idle_ = 0;
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

// The one calling thread that has an OpenMP pool gives that right back when it ends: libgomp ends the pool with it.
std::atomic<bool> pool_is_owned{false};
struct Ownership {
  bool owns = false;        // the caller's right
  bool is_of_crew = false;  // a thread of the scheduler's that is there for this
  ~Ownership() {
    if (owns) pool_is_owned = false;
  }
};
thread_local Ownership ownership;

// Gives places back however the body ends.
class Held {
 public:
  Held(Places& places, int count) : places_(places), count_(count) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { places_.give_back(count_); }

 private:
  Places& places_;
  int count_;
};

}  // namespace

struct Scheduler::State {
  explicit State(int count) : cores(count), places(count), helpers(count - 1), masters(count / 2) {}
  const int cores;
  Places places;
  Crew helpers;  // run pieces: all places but the caller's may be theirs
  Crew masters;  // run what OpenMP threads share: each has a pool, and takes at least two places
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

bool Scheduler::owns_pool() {
  if (ownership.owns || ownership.is_of_crew) return true;
  bool nobody = false;
  ownership.owns = pool_is_owned.compare_exchange_strong(nobody, true);
  return ownership.owns;
}

void Scheduler::together(int threads, const std::function<void()>& body) {
  const int wanted = std::clamp(threads, 1, state_->cores);
  const Held held(state_->places, state_->places.take(wanted, wanted));
  if (threads <= 1 || owns_pool()) {
    const ThreadScope scope(std::max(threads, 1));
    body();
    return;
  }
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  std::exception_ptr exception;
  state_->masters.post([&] {
    ownership.is_of_crew = true;
    std::exception_ptr thrown;
    try {
      const ThreadScope scope(threads);
      body();
    } catch (...) {
      thrown = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    exception = thrown;
    done = true;
    finished.notify_one();  // under the lock: the caller's frame ends soon after
  });
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
  if (exception) std::rethrow_exception(exception);
}

void Scheduler::side_by_side(std::size_t pieces, const std::function<void(std::size_t)>& body) {
  if (pieces == 0) return;
  const int most = static_cast<int>(std::min<std::size_t>(pieces, static_cast<std::size_t>(state_->cores)));
  const int taken = state_->places.take(1, most);
  const Held own(state_->places, 1);
  const auto job = std::make_shared<Job>(body, pieces, state_->places);
  job->coming = taken - 1;
  for (int helper = 1; helper < taken; ++helper) state_->helpers.post([job] { job->help(); });
  job->take_part();
  job->close();
}

}  // namespace sightline::runtime
