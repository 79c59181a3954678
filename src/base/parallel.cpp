#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/interrupt.h"
#include "base/machine.h"

namespace sightline {

Result<void> parallel_for(std::size_t count, const std::function<Result<void>(std::size_t)>& body, int threads, std::size_t block) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first;
  std::size_t first_index = 0;
  std::exception_ptr exception;
  std::atomic<bool> stop{false};

  const auto work = [&] {
    try {
      while (!stop.load(std::memory_order_relaxed)) {
        const std::size_t begin = next.fetch_add(block);
        if (begin >= count) return;
        for (std::size_t i = begin; i < std::min(count, begin + block) && !stop.load(std::memory_order_relaxed); ++i) {
          Result<void> status = body(i);
          if (status.ok()) status = check_interrupt();
          if (status.ok()) continue;
          const std::lock_guard lock(mutex);
          if (!first || i < first_index) {
            first = status.error();
            first_index = i;
          }
          stop = true;
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!exception) exception = std::current_exception();
      stop = true;
    }
  };

  const std::size_t wanted = static_cast<std::size_t>(threads > 0 ? threads : usable_cores());
  const std::size_t helpers = std::min(wanted, (count + block - 1) / std::max<std::size_t>(block, 1));
  std::vector<std::thread> pool;
  for (std::size_t t = 1; t < helpers; ++t) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  if (exception) std::rethrow_exception(exception);
  if (first) return *first;
  return {};
}

}  // namespace sightline
