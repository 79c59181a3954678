#include "search/front.h"

#include <algorithm>
#include <tuple>

namespace sightline::search {

std::vector<std::size_t> pareto_front(std::span<const Place> places) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Place& a = places[i];
    bool beaten = false;
    for (std::size_t j = 0; j < places.size() && !beaten; ++j) {
      const Place& b = places[j];
      const bool as_good = b.value >= a.value && b.latency_ms <= a.latency_ms && b.size_mb <= a.size_mb;
      const bool better = b.value > a.value || b.latency_ms < a.latency_ms || b.size_mb < a.size_mb;
      beaten = as_good && (better || j < i);
    }
    if (!beaten) front.push_back(i);
  }
  std::stable_sort(front.begin(), front.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(places[a].latency_ms, places[a].size_mb) < std::tuple(places[b].latency_ms, places[b].size_mb);
  });
  return front;
}

}  // namespace sightline::search
