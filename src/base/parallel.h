// Splits independent work over the usable cores.
#pragma once

#include <cstddef>
#include <functional>

#include "base/result.h"

namespace sightline {

// Calls body(i) for every i in [0, count) on `threads` threads (0: usable_cores()), in blocks taken from a shared counter. Returns the
// error of the lowest i that failed, or interrupted; the rest is then not started. Exceptions of body reach the caller.
Result<void> parallel_for(std::size_t count, const std::function<Result<void>(std::size_t)>& body, int threads = 0, std::size_t block = 1);

}  // namespace sightline
