#include <algorithm>
#include <cmath>

#include "heads/choose.h"

namespace sightline::heads {

double temperature_of(std::span<const Tensor> scores, std::span<const std::int32_t> labels, std::span<const double> emphasis) {
  if (scores.empty() || labels.empty()) return 1;
  const auto k = static_cast<std::size_t>(scores[0].dim(1));
  // A sample of the rows is enough for one number.
  const std::size_t step = std::max<std::size_t>(1, labels.size() * k * scores.size() / 50'000);
  double spread = 0;
  std::size_t count = 0;
  for (const Tensor& each : scores) {
    const auto values = each.values<float>();
    for (std::size_t i = 0; i < labels.size(); i += step, ++count) {
      double mean = 0, square = 0;
      for (std::size_t c = 0; c < k; ++c) mean += values[i * k + c] / static_cast<double>(k);
      for (std::size_t c = 0; c < k; ++c) square += (values[i * k + c] - mean) * (values[i * k + c] - mean);
      spread += square / static_cast<double>(k);
    }
  }
  spread = std::sqrt(spread / static_cast<double>(count));
  if (!(spread > 0) || k < 2) return 1;

  // In units of the spread. Convex in b = 1 / T; Newton within a bracket.
  const double smoothing = 1 / (static_cast<double>(labels.size()) + 2);
  double low = 1e-3, high = 1e3, b = 1;
  std::vector<double> s(k);
  for (int iteration = 0; iteration < 50; ++iteration) {
    double slope = 0, curvature = 0;
    for (const Tensor& each : scores) {
      const auto values = each.values<float>();
      for (std::size_t i = 0; i < labels.size(); i += step) {
        double most = values[i * k], sum_of_scores = 0;
        for (std::size_t c = 1; c < k; ++c) most = std::max<double>(most, values[i * k + c]);
        double weight = 0, first = 0, second = 0;
        for (std::size_t c = 0; c < k; ++c) {
          s[c] = (values[i * k + c] - most) / spread;
          sum_of_scores += s[c];
          const double w = std::exp(b * s[c]);
          weight += w;
          first += w * s[c];
          second += w * s[c] * s[c];
        }
        const double mean = first / weight;
        const double own = s[static_cast<std::size_t>(labels[i])];
        const double target = (1 - smoothing) * own + smoothing * (sum_of_scores - own) / static_cast<double>(k - 1);
        const double part = emphasis.empty() ? 1 : emphasis[i];
        slope += part * (mean - target);
        curvature += part * (second / weight - mean * mean);
      }
    }
    (slope > 0 ? high : low) = b;
    const double step_to = b - slope / curvature;
    const double next = std::isfinite(step_to) && step_to > low && step_to < high ? step_to : std::sqrt(low * high);
    const bool settled = std::abs(next - b) <= 1e-4 * b;
    b = next;
    if (settled) break;
  }
  return spread / b;
}

}  // namespace sightline::heads
