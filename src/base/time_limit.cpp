#include "base/time_limit.h"

#include <utility>

namespace sightline {
namespace {
thread_local std::optional<TimeLimit::Moment> limit;
}  // namespace

TimeLimit::TimeLimit(Moment until) : outer_(std::exchange(limit, until)) {}
TimeLimit::~TimeLimit() { limit = outer_; }

bool time_is_up() { return limit && std::chrono::steady_clock::now() >= *limit; }

}  // namespace sightline
