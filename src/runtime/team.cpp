#include "runtime/team.h"

#include <dlfcn.h>
#include <immintrin.h>

#include <algorithm>
#include <chrono>

// GCC's OpenMP interface as far as oneDNN 2.6 calls it. Defined here, in the program, they come before those of libgomp.so.1.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
void GOMP_barrier();
int omp_get_thread_num();
int omp_get_num_threads();
int omp_in_parallel();
int omp_get_max_threads();  // GCC's: we do not define it
}

namespace sightline::runtime {
namespace {

constexpr int most_threads = 128;  // the width of a region has 8 bits
constexpr std::uint32_t gone = ~std::uint32_t{0};
// How long who waits looks before sleeping. Steps of a net follow each other within microseconds; to be woken costs tens of them.
constexpr std::chrono::microseconds patience{100};

// Where the calling thread stands: in which share of which region.
struct Standing {
  Team* team = nullptr;  // null: in none
  int share = 0, width = 1;
};
thread_local Standing standing;
thread_local Team* led = nullptr;
thread_local bool shares_independent = false;

// True as soon as the value is another one; false after some patience.
bool changes(const std::atomic<std::uint32_t>& value, std::uint32_t from) {
  const auto until = std::chrono::steady_clock::now() + patience;
  do {
    for (int look = 0; look < 64; ++look) {
      if (value.load(std::memory_order_acquire) != from) return true;
      _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

void wait_for_change(std::atomic<std::uint32_t>& value, std::uint32_t from) {
  if (!changes(value, from)) value.wait(from, std::memory_order_acquire);
}

// The next definition after ours: GCC's.
template <class Function>
Function next_of(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

void stand_in(Team* team, int share, int width, Team::Body body, void* data) {
  const Standing before = standing;
  standing = {team, share, width};
  body(data);
  standing = before;
}

}  // namespace

Team::Team(int threads) : threads_(std::clamp(threads, 1, most_threads)) {}

Team::Leading::Leading(Team& team) : before_(led) {
  led = &team;
  shares_independent = false;
}
Team::Leading::~Leading() {
  led->close();
  led = before_;
  shares_independent = false;
}

void Team::set_shares_independent(bool independent) { shares_independent = independent; }

void Team::close() {
  word_.store(gone);
  word_.notify_all();
}

bool Team::take_one() {
  std::uint32_t word = word_.load(std::memory_order_acquire);
  while (word != gone) {
    const std::uint32_t next = word & 0xFFU, width = word >> 8U & 0xFFU;
    if (next >= width) return false;
    if (!word_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel)) continue;
    // The region cannot end before this share is done, so that body and data are this region's.
    stand_in(this, static_cast<int>(next), static_cast<int>(width), body_, data_);
    return true;
  }
  return false;
}

void Team::help() {
  while (true) {
    const std::uint32_t word = word_.load(std::memory_order_acquire);
    if (word == gone) return;
    if ((word & 0xFFU) >= (word >> 8U & 0xFFU)) {
      wait_for_change(word_, word);
    } else if (take_one()) {
      done_.fetch_add(1);
      done_.notify_one();
    }
  }
}

void Team::share(Body body, void* data, int width) {
  width_ = std::clamp(width, 1, threads_);
  if (width_ == 1) {
    stand_in(this, 0, 1, body, data);
    return;
  }
  body_ = body;
  data_ = data;
  done_.store(0, std::memory_order_relaxed);
  const std::uint32_t number = (word_.load(std::memory_order_relaxed) >> 16U) + 1;
  word_.store((number & 0x7FFFU) << 16U | static_cast<std::uint32_t>(width_) << 8U | 1U);  // the leader's own share is 0
  word_.notify_all();
  stand_in(this, 0, width_, body, data);
  int own = 1;
  if (shares_independent)
    while (take_one()) ++own;
  const auto others = static_cast<std::uint32_t>(width_ - own);
  for (std::uint32_t done = done_.load(std::memory_order_acquire); done != others; done = done_.load(std::memory_order_acquire))
    wait_for_change(done_, done);
}

void Team::meet() {
  const std::uint32_t meeting = meetings_.load(std::memory_order_acquire);
  if (met_.fetch_add(1) + 1 == static_cast<std::uint32_t>(width_)) {
    met_.store(0, std::memory_order_relaxed);
    meetings_.fetch_add(1);
    meetings_.notify_all();
    return;
  }
  while (meetings_.load(std::memory_order_acquire) == meeting) wait_for_change(meetings_, meeting);
}

void in_parallel(std::int64_t count, std::int64_t least, const std::function<void(std::int64_t, std::int64_t)>& part) {
  struct Work {
    std::int64_t count;
    const std::function<void(std::int64_t, std::int64_t)>& part;
  };
  const auto width = std::min<std::int64_t>(omp_get_max_threads(), std::max<std::int64_t>(count / least, 1));
  if (width <= 1) {
    part(0, count);
    return;
  }
  Work work{count, part};
  Team::set_shares_independent(true);
  GOMP_parallel(
      [](void* data) {
        const Work& shared = *static_cast<const Work*>(data);
        const std::int64_t width_now = omp_get_num_threads(), share = omp_get_thread_num();
        shared.part(shared.count * share / width_now, shared.count * (share + 1) / width_now);
      },
      &work, static_cast<unsigned>(width), 0);
}

}  // namespace sightline::runtime

using sightline::runtime::led;
using sightline::runtime::next_of;
using sightline::runtime::standing;

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  if (standing.team != nullptr) {
    // A region in a region is one thread's.
    sightline::runtime::stand_in(standing.team, 0, 1, body, data);
  } else if (led != nullptr) {
    led->share(body, data, threads == 0 ? omp_get_max_threads() : static_cast<int>(threads));
  } else {
    static const auto next = next_of<decltype(&GOMP_parallel)>("GOMP_parallel");
    next(body, data, threads, flags);
  }
}

void GOMP_barrier() {
  if (standing.team != nullptr) {
    if (standing.width > 1) standing.team->meet();
    return;
  }
  static const auto next = next_of<decltype(&GOMP_barrier)>("GOMP_barrier");
  next();
}

int omp_get_thread_num() {
  if (standing.team != nullptr) return standing.share;
  static const auto next = next_of<decltype(&omp_get_thread_num)>("omp_get_thread_num");
  return next();
}

int omp_get_num_threads() {
  if (standing.team != nullptr) return standing.width;
  static const auto next = next_of<decltype(&omp_get_num_threads)>("omp_get_num_threads");
  return next();
}

int omp_in_parallel() {
  if (standing.team != nullptr) return 1;
  static const auto next = next_of<decltype(&omp_in_parallel)>("omp_in_parallel");
  return next();
}
