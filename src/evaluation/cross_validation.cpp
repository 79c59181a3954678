#include "evaluation/cross_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace sightline::evaluation {
namespace {

// The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), by Lentz's method.
double beta_fraction(double x, double a, double b) {
  constexpr double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < tiny ? tiny : d);
  double value = d;
  for (int m = 1; m < 10'000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 + term * d;
      d = 1 / (std::abs(d) < tiny ? tiny : d);
      c = 1 + term / c;
      if (std::abs(c) < tiny) c = tiny;
      change = c * d;
      value *= change;
    }
    if (std::abs(change - 1) < 1e-15) break;
  }
  return value;
}

double beta_cumulative(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
  return 1 - front * beta_fraction(1 - x, b, a) / b;
}

// One figure: Σ share_c · recall_c over strata c, each the mean of `right` over its samples.
struct Strata {
  std::vector<int> of_sample;  // -1: not of this figure
  std::vector<double> share;
};

Estimate estimate_of(const Strata& strata, std::span<const double> right, std::span<const std::int32_t> unit_of, std::int32_t units,
                     double confidence) {
  const std::size_t count = strata.share.size();
  std::vector<double> size(count), hits(count);
  double all = 0, all_hits = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (strata.of_sample[i] < 0) continue;
    const auto s = static_cast<std::size_t>(strata.of_sample[i]);
    size[s] += 1;
    hits[s] += right[i];
    all += 1;
    all_hits += right[i];
  }
  Estimate estimate;
  if (all <= 0) {
    estimate.interval = {0, 1};
    return estimate;
  }
  for (std::size_t s = 0; s < count; ++s)
    if (size[s] > 0) estimate.value += strata.share[s] * hits[s] / size[s];
  // A stratum of few samples borrows from all: its own share of right answers would often be none or one, with no variance.
  const double common = (all_hits + 0.5) / (all + 1);
  double variance = 0, smooth = 0;
  for (std::size_t s = 0; s < count; ++s) {
    if (size[s] <= 0) continue;
    constexpr double borrowed = 2;
    const double p = (hits[s] + borrowed * common) / (size[s] + borrowed);
    smooth += strata.share[s] * p;
    variance += strata.share[s] * strata.share[s] * p * (1 - p) / size[s];
  }
  // How much more the samples vary together than alone. Without a mistake nothing shows that they do not: then each group is one sample.
  std::vector<double> residual(static_cast<std::size_t>(units)), weight(residual.size());
  double alone = 0, alone_weight = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (strata.of_sample[i] < 0) continue;
    const auto s = static_cast<std::size_t>(strata.of_sample[i]);
    const auto unit = static_cast<std::size_t>(unit_of[i]);
    const double part = strata.share[s] / size[s], off = part * (right[i] - hits[s] / size[s]);
    residual[unit] += off;
    weight[unit] += part;
    alone += off * off;
    alone_weight += part * part;
  }
  double together = 0, together_weight = 0;
  for (std::size_t u = 0; u < residual.size(); ++u) {
    together += residual[u] * residual[u];
    together_weight += weight[u] * weight[u];
  }
  const double most = std::max(1.0, together_weight / alone_weight);
  const double effect = alone > 0 ? std::clamp(together / alone, 1.0, most) : most;
  estimate.effective = std::min(all, smooth * (1 - smooth) / (variance * effect));
  estimate.interval = clopper_pearson(estimate.value * estimate.effective, estimate.effective, confidence);
  return estimate;
}

}  // namespace

double beta_quantile(double q, double a, double b) {
  double low = 0, high = 1;
  for (int step = 0; step < 100 && high - low > 1e-14; ++step) {
    const double middle = 0.5 * (low + high);
    (beta_cumulative(middle, a, b) < q ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

Interval clopper_pearson(double right, double count, double confidence) {
  if (count <= 0) return {0, 1};
  const double tail = (1 - confidence) / 2, rest = count - right;
  // A remainder of rounding is none.
  return {right <= 1e-9 * count ? 0 : beta_quantile(tail, right, rest + 1),
          rest <= 1e-9 * count ? 1 : beta_quantile(1 - tail, right + 1, rest)};
}

Result<CrossValidated> cross_validated(std::span<const Tensor> answers, std::span<const std::int32_t> labels,
                                       std::span<const std::int64_t> groups, double confidence) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (answers.empty() || labels.empty()) return usage("an estimate wants out-of-fold answers of at least one sample");
  if (!(confidence > 0 && confidence < 1)) return usage(fmt::format("confidence {} is not between 0 and 1", confidence));
  if (!groups.empty() && groups.size() != labels.size())
    return usage(fmt::format("{} groups for {} samples", groups.size(), labels.size()));
  const std::size_t n = labels.size();
  const std::size_t k = answers[0].rank() == 2 ? static_cast<std::size_t>(answers[0].dim(1)) : 0;
  std::vector<double> right(n);
  for (const Tensor& each : answers) {
    if (each.dtype() != Dtype::f32 || each.shape() != answers[0].shape() || each.rank() != 2 || each.dim(0) != static_cast<std::int64_t>(n))
      return usage(fmt::format("answers are {} {}, but there are {} labels", name_of(each.dtype()), to_string(each.shape()), n));
    for (std::size_t i = 0; i < n; ++i) {
      if (labels[i] < 0 || static_cast<std::size_t>(labels[i]) >= k) return usage(fmt::format("label {} is outside [0, {})", labels[i], k));
      const auto row = each.values<float>().subspan(i * k, k);
      right[i] += std::ranges::max_element(row) - row.begin() == labels[i] ? 1 / static_cast<double>(answers.size()) : 0;
    }
  }
  std::vector<std::int32_t> unit_of(n);
  std::map<std::int64_t, std::int32_t> known;
  std::int32_t units = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const bool single = groups.empty() || groups[i] < 0;
    const std::int32_t unit = single ? units : known.emplace(groups[i], units).first->second;
    units += unit == units ? 1 : 0;
    unit_of[i] = unit;
  }

  CrossValidated result{
      .samples = static_cast<std::int64_t>(n), .groups = units, .repeats = static_cast<int>(answers.size()), .confidence = confidence};
  std::vector<double> size(k);
  for (const std::int32_t label : labels) size[static_cast<std::size_t>(label)] += 1;
  const auto present = static_cast<double>(std::ranges::count_if(size, [](double s) { return s > 0; }));
  const auto judged = [&](const Strata& strata, double chance) {
    Estimate estimate = estimate_of(strata, right, unit_of, units, confidence);
    estimate.chance = chance;
    estimate.excludes_chance = estimate.interval.low > chance;
    return estimate;
  };
  Strata by_class{{labels.begin(), labels.end()}, std::vector<double>(k, 1 / present)};
  result.accuracy = judged({std::vector<int>(n, 0), {1}}, *std::ranges::max_element(size) / static_cast<double>(n));
  result.balanced_accuracy = judged(by_class, 1 / present);
  for (std::size_t c = 0; c < k; ++c) {
    Strata own{std::vector<int>(n, -1), {1}};
    for (std::size_t i = 0; i < n; ++i)
      if (static_cast<std::size_t>(labels[i]) == c) own.of_sample[i] = 0;
    result.recall.push_back(judged(own, 1 / present));
  }
  const Estimate& balanced = result.balanced_accuracy;
  result.sentence =
      fmt::format("balanced accuracy {:.3f}, between {:.3f} and {:.3f} with {:g}% confidence on {} samples; {} chance ({:.3f})",
                  balanced.value, balanced.interval.low, balanced.interval.high, 100 * confidence, n,
                  balanced.excludes_chance ? "that is better than" : "that does not exclude", balanced.chance);
  return result;
}

}  // namespace sightline::evaluation
