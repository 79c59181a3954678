#include "heads/gram.h"

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "heads/blas.h"

namespace sightline::heads {
namespace {

constexpr std::int64_t block_rows = 2048;

Scaling scaling_of(const Tensor& features, bool unit_variance) {
  const std::int64_t count = features.dim(0);
  const auto dimensions = static_cast<std::size_t>(features.dim(1));
  std::vector<double> sum(dimensions), squares(dimensions);
  const float* row = features.values<float>().data();
  // Around the first row, so that a large common offset does not swallow the differences.
  const std::vector<float> origin(row, row + (count > 0 ? dimensions : 0));
  for (std::int64_t i = 0; i < count; ++i, row += dimensions) {
    for (std::size_t j = 0; j < dimensions; ++j) {
      const double value = static_cast<double>(row[j]) - origin[j];
      sum[j] += value;
      squares[j] += value * value;
    }
  }
  Scaling scaling{std::vector<float>(dimensions), std::vector<float>(dimensions, 1.0F)};
  const double n = std::max<double>(1, static_cast<double>(count));
  for (std::size_t j = 0; j < dimensions && count > 0; ++j) {
    scaling.mean[j] = static_cast<float>(origin[j] + sum[j] / n);
    if (!unit_variance) continue;
    const double variance = std::max(0.0, squares[j] / n - (sum[j] / n) * (sum[j] / n));
    const double magnitude = std::abs(origin[j] + sum[j] / n);
    const bool constant = variance <= 1e-12 * magnitude * magnitude || variance <= 1e-30;
    scaling.scale[j] = constant ? 0.0F : static_cast<float>(1 / std::sqrt(variance));
  }
  return scaling;
}

}  // namespace

Scaling centring(const Tensor& features) { return scaling_of(features, false); }
Scaling standardisation(const Tensor& features) { return scaling_of(features, true); }

Result<void> for_blocks(const Tensor& features, const Scaling& scaling, std::span<const std::int64_t> rows,
                        const std::function<void(const float*, std::span<const std::int64_t>)>& visit) {
  const auto dimensions = static_cast<std::size_t>(features.dim(1));
  const auto all = features.values<float>();
  std::vector<float> block(std::min<std::size_t>(rows.size(), block_rows) * dimensions);
  for (std::size_t begin = 0; begin < rows.size(); begin += block_rows) {
    SIGHTLINE_CHECK(check_interrupt());
    const auto part = rows.subspan(begin, std::min<std::size_t>(block_rows, rows.size() - begin));
    for (std::size_t r = 0; r < part.size(); ++r) {
      const float* source = all.data() + static_cast<std::size_t>(part[r]) * dimensions;
      float* target = block.data() + r * dimensions;
      for (std::size_t j = 0; j < dimensions; ++j) target[j] = (source[j] - scaling.mean[j]) * scaling.scale[j];
    }
    visit(block.data(), part);
  }
  return {};
}

Result<Moments> moments_of(const Tensor& features, const Scaling& scaling, std::span<const std::int64_t> rows,
                           std::span<const std::int32_t> labels, int classes) {
  const auto d = static_cast<std::size_t>(features.dim(1));
  const auto k = static_cast<std::size_t>(classes);
  Moments moments{.dimensions = features.dim(1),
                  .classes = classes,
                  .count = static_cast<double>(rows.size()),
                  .gram = {},
                  .cross = {},
                  .sum = {},
                  .class_sum = {}};
  moments.gram.resize(d * d);
  moments.cross.resize(k * d);
  moments.sum.resize(d);
  moments.class_sum.resize(k);
  SIGHTLINE_CHECK(for_blocks(features, scaling, rows, [&](const float* block, std::span<const std::int64_t> part) {
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, static_cast<int>(d), static_cast<int>(part.size()), 1.0F, block, static_cast<int>(d),
                1.0F, moments.gram.data(), static_cast<int>(d));
    for (std::size_t r = 0; r < part.size(); ++r) {
      const auto label = static_cast<std::size_t>(labels[static_cast<std::size_t>(part[r])]);
      const float* row = block + r * d;
      double* cross = moments.cross.data() + label * d;
      for (std::size_t j = 0; j < d; ++j) cross[j] += row[j];
      moments.class_sum[label] += 1;
    }
  }));
  for (std::size_t c = 0; c < k; ++c) {
    for (std::size_t j = 0; j < d; ++j) moments.sum[j] += moments.cross[c * d + j];
  }
  return moments;
}

Result<RidgeSolution> solve_ridge(std::vector<double> gram, const Moments& moments, double lambda) {
  const auto d = static_cast<std::size_t>(moments.dimensions);
  const auto k = static_cast<std::size_t>(moments.classes);
  const double n = std::max(1.0, moments.count);
  double trace = 0;
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j) gram[i * d + j] -= moments.sum[i] * moments.sum[j] / n;
    trace += gram[i * d + i];
  }
  // All features constant: any positive ridge gives zero weights and the class shares as intercepts.
  const double ridge = trace > 0 ? lambda * trace / static_cast<double>(d) : 1.0;
  // Features that are constant among these rows leave a zero on the diagonal, or a trifle below it by rounding.
  const double floor = trace > 0 ? 1e-6 * trace / static_cast<double>(d) : 0.0;
  for (std::size_t i = 0; i < d; ++i) gram[i * d + i] += std::max(ridge, floor);
  SIGHTLINE_CHECK(factor(gram, moments.dimensions));
  RidgeSolution solution{moments.cross, std::vector<double>(k)};
  for (std::size_t c = 0; c < k; ++c) {
    for (std::size_t j = 0; j < d; ++j) solution.weight[c * d + j] -= moments.class_sum[c] * moments.sum[j] / n;
  }
  solve(gram, moments.dimensions, solution.weight, moments.classes);
  for (std::size_t c = 0; c < k; ++c) {
    double at_mean = 0;
    for (std::size_t j = 0; j < d; ++j) at_mean += solution.weight[c * d + j] * moments.sum[j] / n;
    solution.bias[c] = moments.class_sum[c] / n - at_mean;
  }
  return solution;
}

}  // namespace sightline::heads
