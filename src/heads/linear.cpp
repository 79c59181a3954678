#include "heads/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "heads/blas.h"
#include "heads/checks.h"
#include "heads/gram.h"

namespace sightline::heads {

Result<void> check_training_data(const Tensor& features, std::span<const std::int32_t> labels, int classes) {
  if (features.rank() != 2 || features.dtype() != Dtype::f32 || features.dim(0) == 0 || features.dim(1) == 0) {
    return Error{ErrorKind::invalid_data, fmt::format("a head wants features f32 N×D with N and D above 0, but got {} {}",
                                                      name_of(features.dtype()), to_string(features.shape()))};
  }
  if (features.dim(1) > most_dimensions) {
    return Error{ErrorKind::unsupported, fmt::format("{} features are too many for the normal equations; reduce them to {} at most",
                                                     features.dim(1), most_dimensions)};
  }
  if (static_cast<std::int64_t>(labels.size()) != features.dim(0)) {
    return Error{ErrorKind::invalid_data, fmt::format("{} labels for {} rows of features", labels.size(), features.dim(0))};
  }
  if (classes < 1) return Error{ErrorKind::usage, fmt::format("a head wants at least one class, not {}", classes)};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      return Error{ErrorKind::invalid_data, fmt::format("label {} of row {} is outside [0, {})", labels[i], i, classes)};
    }
  }
  const auto dimensions = static_cast<std::size_t>(features.dim(1));
  const auto values = features.values<float>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    float sum = 0;  // times zero: finite values leave 0, any other leaves a NaN
    for (std::size_t j = 0; j < dimensions; ++j) sum += values[i * dimensions + j] * 0.0F;
    if (!(sum == 0))
      return Error{ErrorKind::invalid_data, fmt::format("row {} of the features holds a value that is not a finite number", i)};
  }
  return {};
}

Tensor scores_of(const LinearHead& head, const Tensor& features) {
  const std::int64_t count = features.dim(0), dimensions = features.dim(1), classes = head.weight.dim(0);
  assert(head.weight.dim(1) == dimensions && head.bias.count() == classes);
  Tensor scores(Dtype::f32, {count, classes});
  const auto out = scores.values<float>();
  const auto bias = head.bias.values<float>();
  for (std::int64_t i = 0; i < count; ++i) std::copy(bias.begin(), bias.end(), out.begin() + i * classes);
  if (count == 0) return scores;
  const BlasThreads threads;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(count), static_cast<int>(classes), static_cast<int>(dimensions),
              1.0F, features.values<float>().data(), static_cast<int>(dimensions), head.weight.values<float>().data(),
              static_cast<int>(dimensions), 1.0F, out.data(), static_cast<int>(classes));
  return scores;
}

Result<LinearHead> fit_ridge(const Tensor& features, std::span<const std::int32_t> labels, int classes, double lambda) {
  SIGHTLINE_CHECK(check_training_data(features, labels, classes));
  if (!(lambda >= 0) || !std::isfinite(lambda))
    return Error{ErrorKind::usage, fmt::format("lambda must not be negative, but is {}", lambda)};
  const BlasThreads threads;
  const Scaling scaling = centring(features);
  std::vector<std::int64_t> rows(labels.size());
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  SIGHTLINE_TRY(const Moments moments, moments_of(features, scaling, rows, labels, classes));
  SIGHTLINE_TRY(const RidgeSolution solution, solve_ridge({moments.gram.begin(), moments.gram.end()}, moments, lambda));
  const auto d = static_cast<std::size_t>(features.dim(1));
  LinearHead head{Tensor(Dtype::f32, {classes, features.dim(1)}), Tensor(Dtype::f32, {classes})};
  const auto weight = head.weight.values<float>();
  const auto bias = head.bias.values<float>();
  for (std::size_t k = 0; k < static_cast<std::size_t>(classes); ++k) {
    double intercept = solution.bias[k];
    for (std::size_t j = 0; j < d; ++j) {
      weight[k * d + j] = static_cast<float>(solution.weight[k * d + j]);
      intercept -= solution.weight[k * d + j] * scaling.mean[j];
    }
    bias[k] = static_cast<float>(intercept);
  }
  return head;
}

}  // namespace sightline::heads
