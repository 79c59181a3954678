#include "heads/folds.h"

#include <algorithm>
#include <map>

#include "base/random.h"

namespace sightline::heads {

std::vector<int> assign_folds(std::span<const std::int32_t> labels, std::span<const std::int64_t> groups, int classes, int folds,
                              std::uint64_t seed) {
  std::map<std::int64_t, std::vector<std::size_t>> together;
  std::vector<std::vector<std::size_t>> units;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!groups.empty() && groups[i] >= 0) {
      together[groups[i]].push_back(i);
    } else {
      units.push_back({i});
    }
  }
  for (auto& [group, members] : together) units.push_back(std::move(members));
  Random(seed, 0x666f6c64ULL).shuffle(units);
  std::stable_sort(units.begin(), units.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  std::vector<std::vector<std::int64_t>> count(static_cast<std::size_t>(folds),
                                               std::vector<std::int64_t>(static_cast<std::size_t>(classes)));
  std::vector<std::int64_t> size(static_cast<std::size_t>(folds));
  std::vector<int> fold_of(labels.size());
  for (const auto& unit : units) {
    int best = 0;
    std::int64_t least = -1;
    for (int f = 0; f < folds; ++f) {
      std::int64_t crowd = 0;  // how many of the same class the fold holds already; its size breaks ties
      for (std::size_t i : unit) crowd += count[static_cast<std::size_t>(f)][static_cast<std::size_t>(labels[i])];
      crowd = crowd * static_cast<std::int64_t>(labels.size() + 1) + size[static_cast<std::size_t>(f)];
      if (least < 0 || crowd < least) {
        least = crowd;
        best = f;
      }
    }
    for (std::size_t i : unit) {
      fold_of[i] = best;
      count[static_cast<std::size_t>(best)][static_cast<std::size_t>(labels[i])]++;
    }
    size[static_cast<std::size_t>(best)] += static_cast<std::int64_t>(unit.size());
  }
  return fold_of;
}

Units units_of(std::size_t samples, std::span<const std::int64_t> groups) {
  Units units;
  units.of_sample.resize(samples);
  std::map<std::int64_t, std::int32_t> known;
  for (std::size_t i = 0; i < samples; ++i) {
    if (groups.empty() || groups[i] < 0) {
      units.of_sample[i] = units.count++;
      continue;
    }
    const auto [entry, is_new] = known.emplace(groups[i], units.count);
    if (is_new) ++units.count;
    units.of_sample[i] = entry->second;
  }
  return units;
}

}  // namespace sightline::heads
