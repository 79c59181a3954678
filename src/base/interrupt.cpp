#include "base/interrupt.h"

#include <signal.h>

#include <atomic>

#include "base/time_limit.h"

namespace sightline {
namespace {
std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal_number) {
  if (requested.exchange(true)) {
    ::signal(signal_number, SIG_DFL);
    ::raise(signal_number);
  }
}
}  // namespace

void install_interrupt_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool interrupt_requested() { return requested.load(std::memory_order_relaxed); }
void request_interrupt() { requested = true; }
void clear_interrupt() { requested = false; }

Result<void> check_interrupt() {
  if (interrupt_requested()) return Error{ErrorKind::interrupted, "interrupted; run the same command again to go on from here"};
  if (time_is_up()) return Error{ErrorKind::refused, "the time was up"};
  return {};
}

}  // namespace sightline
