// Who judges whom in cross-validation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sightline::heads {

// The fold of each sample, in [0, folds): samples of one non-negative group share a fold (groups may be empty), and each fold gets its
// share of every class. Some folds are empty when there are fewer groups than folds.
std::vector<int> assign_folds(std::span<const std::int32_t> labels, std::span<const std::int64_t> groups, int classes, int folds,
                              std::uint64_t seed);

// What is left out together and drawn together: samples of one non-negative group, or one sample. Numbers count from 0.
struct Units {
  std::vector<std::int32_t> of_sample;
  std::int32_t count = 0;
};
Units units_of(std::size_t samples, std::span<const std::int64_t> groups);

}  // namespace sightline::heads
