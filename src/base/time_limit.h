// Work that must end in time: while a limit lives, check_interrupt() (interrupt.h) on this thread gives error refused once the time is up,
// so that whatever looks for Ctrl-C between its parts looks at the clock as well. The inner one of two counts.
#pragma once

#include <chrono>
#include <optional>

namespace sightline {

class TimeLimit {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  explicit TimeLimit(Moment until);
  ~TimeLimit();
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

 private:
  std::optional<Moment> outer_;
};

// Whether there is a limit on this thread and it has passed.
bool time_is_up();

}  // namespace sightline
