// Data for tests of heads: classes as clouds, and a plain solution of linear systems to compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tensor/tensor.h"

namespace sightline::heads {

// Classes as clouds around random centres; `spread` against centres of unit deviation.
struct Clouds {
  Tensor features;
  std::vector<std::int32_t> labels;
};
inline Clouds make_clouds(std::int64_t count, std::int64_t dimensions, int classes, double spread, std::uint64_t seed) {
  Clouds clouds{Tensor(Dtype::f32, {count, dimensions}), {}};
  const auto values = clouds.features.values<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    Random random(seed, static_cast<std::uint64_t>(i));
    const auto label = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes)));
    clouds.labels.push_back(label);
    Random centre(seed + 1, static_cast<std::uint64_t>(label));
    for (std::int64_t j = 0; j < dimensions; ++j)
      values[static_cast<std::size_t>(i * dimensions + j)] = static_cast<float>(centre.normal() + spread * random.normal());
  }
  return clouds;
}

inline double accuracy(const Tensor& scores, const std::vector<std::int32_t>& labels) {
  const auto classes = static_cast<std::size_t>(scores.dim(1));
  const auto values = scores.values<float>();
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = values.subspan(i * classes, classes);
    right += std::max_element(row.begin(), row.end()) - row.begin() == labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

// x of A x = b by elimination with pivoting; A n×n.
inline std::vector<double> eliminate(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t pivot = i;
    for (std::size_t r = i + 1; r < n; ++r)
      if (std::abs(a[r * n + i]) > std::abs(a[pivot * n + i])) pivot = r;
    for (std::size_t c = 0; c < n; ++c) std::swap(a[i * n + c], a[pivot * n + c]);
    std::swap(b[i], b[pivot]);
    for (std::size_t r = i + 1; r < n; ++r) {
      const double factor = a[r * n + i] / a[i * n + i];
      for (std::size_t c = i; c < n; ++c) a[r * n + c] -= factor * a[i * n + c];
      b[r] -= factor * b[i];
    }
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t c = i + 1; c < n; ++c) b[i] -= a[i * n + c] * b[c];
    b[i] /= a[i * n + i];
  }
  return b;
}

}  // namespace sightline::heads
