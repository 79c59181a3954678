// What is worth keeping of what a search found: models that no other one beats in accuracy, latency and size at once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sightline::search {

struct Place {
  double value = 0;       // larger is better
  double latency_ms = 0;  // smaller is better, as the next
  double size_mb = 0;
};

// The places that no other is at least as good as in everything and better in something, by rising latency, then size. Of equal ones the
// first is kept.
std::vector<std::size_t> pareto_front(std::span<const Place> places);

}  // namespace sightline::search
