#include "heads/spectrum.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/interrupt.h"
#include "heads/blas.h"

namespace sightline::heads {
namespace {

constexpr double smallest_share = 1e-10;  // of the largest eigenvalue; the Gram matrix of doubles is good to about 1e-13
constexpr double softening = 0.3;         // docs/heads.md says what it was measured on

}  // namespace

double Spectrum::mean_value() const {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return sum > 0 ? sum / static_cast<double>(values.size()) : 1.0;
}

Coefficients Spectrum::to_rows(const Coefficients& fitted) const {
  const auto n = static_cast<std::size_t>(samples), d = static_cast<std::size_t>(dimensions), r = static_cast<std::size_t>(rank);
  const std::size_t k = fitted.bias.size();
  // The axes are centredᵀ · emphasis · coordinates / values.
  std::vector<double> divided = fitted.weight;
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t j = 0; j < r; ++j) divided[c * r + j] = values[j] > 0 ? divided[c * r + j] / values[j] : 0.0;
  std::vector<double> of_samples(k * n);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(k), static_cast<int>(n), static_cast<int>(r), 1.0, divided.data(),
              static_cast<int>(r), coordinates.data(), static_cast<int>(r), 0.0, of_samples.data(), static_cast<int>(n));
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t i = 0; i < n; ++i) of_samples[c * n + i] *= emphasis[i];
  Coefficients result{std::vector<double>(k * d), fitted.bias};
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(k), static_cast<int>(d), static_cast<int>(n), 1.0,
              of_samples.data(), static_cast<int>(n), centred.data(), static_cast<int>(d), 0.0, result.weight.data(), static_cast<int>(d));
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t j = 0; j < d; ++j) result.bias[c] -= result.weight[c * d + j] * mean[j];
  return result;
}

Result<Spectrum> spectrum_of(std::vector<double> rows, std::int64_t samples, std::int64_t dimensions, std::span<const double> emphasis) {
  SIGHTLINE_CHECK(check_interrupt());
  const auto n = static_cast<std::size_t>(samples), d = static_cast<std::size_t>(dimensions);
  Spectrum spectrum;
  spectrum.samples = samples;
  spectrum.dimensions = dimensions;
  spectrum.emphasis.assign(n, 1.0);
  if (!emphasis.empty()) std::copy(emphasis.begin(), emphasis.end(), spectrum.emphasis.begin());
  spectrum.total = std::accumulate(spectrum.emphasis.begin(), spectrum.emphasis.end(), 0.0);
  spectrum.mean.assign(d, 0.0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) spectrum.mean[j] += spectrum.emphasis[i] / spectrum.total * rows[i * d + j];
  std::vector<double> weighted(n * d);
  for (std::size_t i = 0; i < n; ++i) {
    const double root = std::sqrt(spectrum.emphasis[i]);
    for (std::size_t j = 0; j < d; ++j) {
      rows[i * d + j] -= spectrum.mean[j];
      weighted[i * d + j] = root * rows[i * d + j];
    }
  }
  const bool dual = n <= d;
  const std::size_t side = dual ? n : d;
  std::vector<double> products(side * side);
  cblas_dsyrk(CblasRowMajor, CblasLower, dual ? CblasNoTrans : CblasTrans, static_cast<int>(side), static_cast<int>(dual ? d : n), 1.0,
              weighted.data(), static_cast<int>(d), 0.0, products.data(), static_cast<int>(side));
  SIGHTLINE_TRY(const std::vector<double> ascending, eigen(products, static_cast<std::int64_t>(side)));  // vectors in rows
  SIGHTLINE_CHECK(check_interrupt());

  const double least = std::max(ascending.back(), 0.0) * smallest_share;
  std::size_t rank = 0;
  while (rank < side && ascending[side - 1 - rank] > least) ++rank;
  const bool nothing_varies = rank == 0;
  rank = std::max<std::size_t>(rank, 1);
  spectrum.rank = static_cast<std::int64_t>(rank);
  for (std::size_t j = 0; j < rank; ++j) spectrum.values.push_back(nothing_varies ? 0.0 : ascending[side - 1 - j]);
  spectrum.coordinates.assign(n * rank, 0.0);
  if (dual) {
    for (std::size_t j = 0; j < rank; ++j) {
      const double length = std::sqrt(spectrum.values[j]);
      const double* vector = products.data() + (side - 1 - j) * side;
      for (std::size_t i = 0; i < n; ++i) spectrum.coordinates[i * rank + j] = length * vector[i] / std::sqrt(spectrum.emphasis[i]);
    }
  } else if (!nothing_varies) {
    // Rows of `products` from the last backwards, so the product's columns come out reversed.
    std::vector<double> reversed(n * rank);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n), static_cast<int>(rank), static_cast<int>(d), 1.0, rows.data(),
                static_cast<int>(d), products.data() + (side - rank) * side, static_cast<int>(d), 0.0, reversed.data(),
                static_cast<int>(rank));
    for (std::size_t i = 0; i < n; ++i)
      std::reverse_copy(reversed.begin() + static_cast<std::ptrdiff_t>(i * rank),
                        reversed.begin() + static_cast<std::ptrdiff_t>((i + 1) * rank),
                        spectrum.coordinates.begin() + static_cast<std::ptrdiff_t>(i * rank));
  }
  spectrum.centred = std::move(rows);
  return spectrum;
}

FeatureScaling scaling_for_fit(const Tensor& features, std::span<const std::int64_t> cut_widths) {
  const auto n = static_cast<std::size_t>(features.dim(0)), d = static_cast<std::size_t>(features.dim(1));
  const auto values = features.values<float>();
  FeatureScaling scaling{std::vector<double>(d), std::vector<double>(d)};
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) scaling.mean[j] += values[i * d + j];
  for (double& mean : scaling.mean) mean /= static_cast<double>(n);
  std::vector<double> variance(d);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      const double off = values[i * d + j] - scaling.mean[j];
      variance[j] += off * off / static_cast<double>(n);
    }
  }
  const std::vector<std::int64_t> one_cut{features.dim(1)};
  const std::span<const std::int64_t> widths = cut_widths.empty() ? std::span<const std::int64_t>(one_cut) : cut_widths;
  std::size_t begin = 0;
  for (const std::int64_t width : widths) {
    const std::size_t end = begin + static_cast<std::size_t>(width);
    double mean_variance = 0;
    for (std::size_t j = begin; j < end; ++j) {
      // What rounding leaves of a constant is no variation.
      if (variance[j] <= 1e-12 * scaling.mean[j] * scaling.mean[j]) variance[j] = 0;
      mean_variance += variance[j] / static_cast<double>(width);
    }
    double spread = 0;
    for (std::size_t j = begin; j < end; ++j) {
      if (variance[j] > 0) scaling.scale[j] = 1 / std::sqrt(variance[j] + softening * mean_variance);
      spread += variance[j] * scaling.scale[j] * scaling.scale[j];
    }
    // All cuts together have D features of unit variance, each cut the same part of them.
    const double part = static_cast<double>(d) / static_cast<double>(widths.size());
    for (std::size_t j = begin; j < end && spread > 0; ++j) scaling.scale[j] *= std::sqrt(part / spread);
    begin = end;
  }
  return scaling;
}

std::vector<double> scaled_rows(const Tensor& features, const FeatureScaling& scaling) {
  const auto n = static_cast<std::size_t>(features.dim(0)), d = static_cast<std::size_t>(features.dim(1));
  const auto values = features.values<float>();
  std::vector<double> rows(n * d);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) rows[i * d + j] = (values[i * d + j] - scaling.mean[j]) * scaling.scale[j];
  return rows;
}

LinearHead to_features(const Coefficients& scaled, const FeatureScaling& scaling) {
  const std::size_t k = scaled.bias.size(), d = scaling.mean.size();
  LinearHead head{Tensor(Dtype::f32, {static_cast<std::int64_t>(k), static_cast<std::int64_t>(d)}),
                  Tensor(Dtype::f32, {static_cast<std::int64_t>(k)})};
  for (std::size_t c = 0; c < k; ++c) {
    double intercept = scaled.bias[c];
    for (std::size_t j = 0; j < d; ++j) {
      const double raw = scaled.weight[c * d + j] * scaling.scale[j];
      head.weight.values<float>()[c * d + j] = static_cast<float>(raw);
      intercept -= raw * scaling.mean[j];
    }
    head.bias.values<float>()[c] = static_cast<float>(intercept);
  }
  return head;
}

}  // namespace sightline::heads
