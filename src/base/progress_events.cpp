#include "base/progress_events.h"

#include <atomic>
#include <mutex>
#include <utility>

namespace sightline {
namespace {

std::mutex listener_mutex;
ProgressListener current_listener;
std::atomic<bool> heard{false};

}  // namespace

void set_progress_listener(ProgressListener listener) {
  const std::lock_guard lock(listener_mutex);
  heard = static_cast<bool>(listener);
  current_listener = std::move(listener);
}

bool progress_is_heard() { return heard; }

void tell_progress(const std::string& kind, const Json& data) {
  if (!heard) return;
  const std::lock_guard lock(listener_mutex);
  if (current_listener) current_listener(kind, data);
}

}  // namespace sightline
