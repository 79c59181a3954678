#include "heads/closed_form.h"

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "heads/blas.h"

namespace sightline::heads {
namespace {

double dot(const double* a, const double* b, std::size_t count) { return cblas_ddot(static_cast<int>(count), a, 1, b, 1); }

}  // namespace

RidgePath::RidgePath(const Spectrum& spectrum, std::span<const std::int32_t> labels, int classes)
    : spectrum_(spectrum), labels_(labels), classes_(static_cast<std::size_t>(classes)), share_(classes_) {
  const auto r = static_cast<std::size_t>(spectrum.rank);
  cross_.assign(classes_ * r, 0.0);
  std::vector<double> all(r);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    const double weight = spectrum.emphasis[i];
    share_[label] += weight / spectrum.total;
    cblas_daxpy(static_cast<int>(r), weight, spectrum.coordinates.data() + i * r, 1, cross_.data() + label * r, 1);
    cblas_daxpy(static_cast<int>(r), weight, spectrum.coordinates.data() + i * r, 1, all.data(), 1);
  }
  for (std::size_t c = 0; c < classes_; ++c) cblas_daxpy(static_cast<int>(r), -share_[c], all.data(), 1, cross_.data() + c * r, 1);
}

Coefficients RidgePath::fit(double alpha) const {
  const auto r = static_cast<std::size_t>(spectrum_.rank);
  Coefficients fitted{cross_, share_};
  for (std::size_t c = 0; c < classes_; ++c)
    for (std::size_t j = 0; j < r; ++j) fitted.weight[c * r + j] /= spectrum_.values[j] + alpha;
  return fitted;
}

std::vector<double> RidgePath::leave_one_out_residuals(double alpha) const {
  const auto r = static_cast<std::size_t>(spectrum_.rank);
  const auto n = static_cast<std::size_t>(spectrum_.samples);
  const Coefficients fitted = fit(alpha);
  std::vector<double> residuals(n * classes_);
  for (std::size_t i = 0; i < n; ++i) {
    const double* x = spectrum_.coordinates.data() + i * r;
    double leverage = 1 / spectrum_.total;
    for (std::size_t j = 0; j < r; ++j) leverage += x[j] * x[j] / (spectrum_.values[j] + alpha);
    // One sample that is all the emphasis there is has no other to be judged by.
    const double left = std::max(1 - spectrum_.emphasis[i] * leverage, 1e-12);
    for (std::size_t c = 0; c < classes_; ++c) {
      const double target = static_cast<std::size_t>(labels_[i]) == c ? 1 : 0;
      residuals[i * classes_ + c] = (target - fitted.bias[c] - dot(fitted.weight.data() + c * r, x, r)) / left;
    }
  }
  return residuals;
}

Result<std::vector<Coefficients>> RidgePath::without(std::span<const std::int64_t> held_out, std::span<const double> alphas) const {
  SIGHTLINE_CHECK(check_interrupt());
  const auto r = static_cast<std::size_t>(spectrum_.rank);
  const std::size_t f = held_out.size(), wide = r + 1;
  // The fold's rows, with a last column for the intercept, so that H = rows · diag(1 / (values + alpha), 1 / total) · rowsᵀ.
  std::vector<double> rows(f * wide);
  for (std::size_t i = 0; i < f; ++i) {
    const auto row = static_cast<std::size_t>(held_out[i]);
    const double root = std::sqrt(spectrum_.emphasis[row]);
    for (std::size_t j = 0; j < r; ++j) rows[i * wide + j] = root * spectrum_.coordinates[row * r + j];
    rows[i * wide + r] = root;
  }
  const bool narrow = f > wide;  // (I - P Pᵀ)⁻¹ = I + P (I - Pᵀ P)⁻¹ Pᵀ: the smaller of both is solved
  const std::size_t side = narrow ? wide : f;
  std::vector<double> scaled(f * wide), root(wide), system(side * side), products;
  if (narrow) {
    products.resize(side * side);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, static_cast<int>(side), static_cast<int>(f), 1.0, rows.data(),
                static_cast<int>(wide), 0.0, products.data(), static_cast<int>(side));
  }
  std::vector<Coefficients> result;
  for (const double alpha : alphas) {
    Coefficients fitted = fit(alpha);
    if (f == 0) {
      result.push_back(std::move(fitted));
      continue;
    }
    // K×F, times √emphasis: residuals of the fit on everything.
    std::vector<double> errors(classes_ * f), extended(classes_ * wide);
    for (std::size_t c = 0; c < classes_; ++c) {
      std::copy_n(fitted.weight.begin() + static_cast<std::ptrdiff_t>(c * r), r, extended.begin() + static_cast<std::ptrdiff_t>(c * wide));
      extended[c * wide + r] = fitted.bias[c];
    }
    for (std::size_t i = 0; i < f; ++i)
      errors[static_cast<std::size_t>(labels_[static_cast<std::size_t>(held_out[i])]) * f + i] = rows[i * wide + r];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(classes_), static_cast<int>(f), static_cast<int>(wide), -1.0,
                extended.data(), static_cast<int>(wide), rows.data(), static_cast<int>(wide), 1.0, errors.data(), static_cast<int>(f));
    for (std::size_t j = 0; j < r; ++j) root[j] = 1 / std::sqrt(spectrum_.values[j] + alpha);
    root[r] = 1 / std::sqrt(spectrum_.total);
    for (std::size_t i = 0; i < f; ++i)
      for (std::size_t j = 0; j < wide; ++j) scaled[i * wide + j] = rows[i * wide + j] * root[j];
    if (narrow) {
      for (std::size_t i = 0; i < side; ++i)
        for (std::size_t j = 0; j <= i; ++j) system[i * side + j] = -root[i] * root[j] * products[i * side + j];
    } else {
      cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, static_cast<int>(side), static_cast<int>(wide), -1.0, scaled.data(),
                  static_cast<int>(wide), 0.0, system.data(), static_cast<int>(side));
    }
    for (std::size_t i = 0; i < side; ++i) system[i * side + i] += 1;
    SIGHTLINE_CHECK(factor(system, static_cast<std::int64_t>(side)));
    if (narrow) {
      std::vector<double> inner(classes_ * wide);
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(classes_), static_cast<int>(wide), static_cast<int>(f), 1.0,
                  errors.data(), static_cast<int>(f), scaled.data(), static_cast<int>(wide), 0.0, inner.data(), static_cast<int>(wide));
      solve(system, static_cast<std::int64_t>(side), inner, static_cast<std::int64_t>(classes_));
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(classes_), static_cast<int>(f), static_cast<int>(wide), 1.0,
                  inner.data(), static_cast<int>(wide), scaled.data(), static_cast<int>(wide), 1.0, errors.data(), static_cast<int>(f));
    } else {
      solve(system, static_cast<std::int64_t>(side), errors, static_cast<std::int64_t>(classes_));
    }
    // Leaving samples out is the same as giving them the targets that the rest predicts for them.
    std::vector<double> change(classes_ * wide);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(classes_), static_cast<int>(wide), static_cast<int>(f), 1.0,
                errors.data(), static_cast<int>(f), rows.data(), static_cast<int>(wide), 0.0, change.data(), static_cast<int>(wide));
    for (std::size_t c = 0; c < classes_; ++c) {
      for (std::size_t j = 0; j < r; ++j) fitted.weight[c * r + j] -= change[c * wide + j] / (spectrum_.values[j] + alpha);
      fitted.bias[c] -= change[c * wide + r] / spectrum_.total;
    }
    result.push_back(std::move(fitted));
  }
  return result;
}

ClassSums class_sums(const Spectrum& spectrum, std::span<const std::int32_t> labels, int classes, std::span<const std::int64_t> held_out) {
  const auto r = static_cast<std::size_t>(spectrum.rank), k = static_cast<std::size_t>(classes);
  std::vector<bool> out(labels.size());
  for (const std::int64_t row : held_out) out[static_cast<std::size_t>(row)] = true;
  ClassSums sums{0, std::vector<double>(k), std::vector<double>(r), std::vector<double>(k * r)};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (out[i]) continue;
    const auto label = static_cast<std::size_t>(labels[i]);
    sums.count += 1;
    sums.class_count[label] += 1;
    cblas_daxpy(static_cast<int>(r), 1.0, spectrum.coordinates.data() + i * r, 1, sums.sum.data() + label * r, 1);
  }
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t j = 0; j < r; ++j) sums.mean[j] += sums.sum[c * r + j] / sums.count;
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t j = 0; j < r; ++j) sums.sum[c * r + j] -= sums.class_count[c] * sums.mean[j];
  return sums;
}

Result<Coefficients> discriminant(const ClassSums& sums, const Coefficients& ridge, bool equal_priors) {
  const std::size_t k = sums.class_count.size(), r = sums.mean.size();
  std::vector<std::size_t> present;
  for (std::size_t c = 0; c < k; ++c)
    if (sums.class_count[c] > 0) present.push_back(c);
  const std::size_t p = present.size();
  // With A the total scatter plus alpha, M the class sums, N the counts, B = A⁻¹ M: (A - M N⁻¹ Mᵀ)⁻¹ M N⁻¹ = B N^-½ (I - N^-½ G N^-½)⁻¹
  // N^-½, where G = Mᵀ B.
  std::vector<double> product(p * p), system(p * p);
  for (std::size_t a = 0; a < p; ++a)
    for (std::size_t b = 0; b < p; ++b) product[a * p + b] = dot(sums.sum.data() + present[a] * r, ridge.weight.data() + present[b] * r, r);
  for (std::size_t a = 0; a < p; ++a)
    for (std::size_t b = 0; b <= a; ++b)
      system[a * p + b] = (a == b ? 1 : 0) - 0.5 * (product[a * p + b] + product[b * p + a]) /
                                                 std::sqrt(sums.class_count[present[a]] * sums.class_count[present[b]]);
  for (std::size_t a = 0; a < p; ++a) system[a * p + a] += 1e-13;  // classes of one point each leave a zero within rounding
  SIGHTLINE_CHECK(factor(system, static_cast<std::int64_t>(p)));
  std::vector<double> mix(p * p);  // N^-½ (...)⁻¹ N^-½, symmetric
  for (std::size_t a = 0; a < p; ++a) mix[a * p + a] = 1 / std::sqrt(sums.class_count[present[a]]);
  solve(system, static_cast<std::int64_t>(p), mix, static_cast<std::int64_t>(p));
  for (std::size_t a = 0; a < p; ++a)
    for (std::size_t b = 0; b < p; ++b) mix[a * p + b] /= std::sqrt(sums.class_count[present[b]]);

  const double freedom = std::max(1.0, sums.count - static_cast<double>(p));
  Coefficients fitted{std::vector<double>(k * r), std::vector<double>(k)};
  double lowest = 0;
  for (std::size_t a = 0; a < p; ++a) {
    const std::size_t c = present[a];
    double* weight = fitted.weight.data() + c * r;
    double length = 0;  // of the class mean about the common mean, in the metric of the covariance
    for (std::size_t b = 0; b < p; ++b) {
      cblas_daxpy(static_cast<int>(r), freedom * mix[a * p + b], ridge.weight.data() + present[b] * r, 1, weight, 1);
      length += freedom * mix[a * p + b] * product[a * p + b] / sums.class_count[c];
    }
    const double prior = equal_priors ? 1 / static_cast<double>(p) : sums.class_count[c] / sums.count;
    const double at_mean = std::log(prior) - 0.5 * length;
    lowest = std::min(lowest, at_mean);
    fitted.bias[c] = at_mean - dot(weight, sums.mean.data(), r);
  }
  // The weights of the classes, times their counts, sum to zero: wherever a sample lies, some class is at least `lowest`.
  for (std::size_t c = 0; c < k; ++c)
    if (sums.class_count[c] <= 0) fitted.bias[c] = lowest - (std::abs(lowest) + 10);
  return fitted;
}

Coefficients nearest_mean(const ClassSums& sums, bool cosine) {
  const std::size_t k = sums.class_count.size(), r = sums.mean.size();
  Coefficients fitted{sums.sum, std::vector<double>(k)};
  double lowest = 0, longest = 0;
  for (std::size_t c = 0; c < k; ++c) {
    if (sums.class_count[c] <= 0) continue;
    double* weight = fitted.weight.data() + c * r;
    for (std::size_t j = 0; j < r; ++j) weight[j] /= sums.class_count[c];
    const double length = std::sqrt(dot(weight, weight, r));
    longest = std::max(longest, length);
    if (cosine && length > 0) cblas_dscal(static_cast<int>(r), 1 / length, weight, 1);
    const double at_mean = cosine ? 0 : -0.5 * length * length;
    lowest = std::min(lowest, at_mean);
    fitted.bias[c] = at_mean - dot(weight, sums.mean.data(), r);
  }
  // As in discriminant(): below what some class has everywhere.
  for (std::size_t c = 0; c < k; ++c)
    if (sums.class_count[c] <= 0) fitted.bias[c] = lowest - (std::abs(lowest) + longest + 1);
  return fitted;
}

}  // namespace sightline::heads
