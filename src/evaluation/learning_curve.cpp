#include "evaluation/learning_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"
#include "base/text.h"
#include "evaluation/bootstrap.h"

namespace sightline::evaluation {
namespace {

constexpr double usual_exponent = 0.5, exponent_deviation = 0.7;  // of its logarithm
constexpr double floor_share = 0.5;                               // of the last error: how far from 0 the floor is usually found
constexpr double least_exponent = 0.05, largest_exponent = 2;
constexpr int exponents = 80;
constexpr double far = 100;       // times the largest size: beyond, nobody should believe the curve
constexpr double unlikely = 0.1;  // share of the draws below which "probably" is left out
constexpr double tail = 0.05;     // on each side of the interval
constexpr double infinity = std::numeric_limits<double>::infinity();

struct Observation {
  double samples, error, deviation;
};

// Where floor and exponent are pulled to, softly.
struct Pull {
  double floor = 0, floor_deviation = 1;
  double log_exponent = 0;
};

// The best floor and scale for an exponent, neither negative.
CurveShape fit_linear(std::span<const Observation> observations, double exponent, const Pull& pull) {
  const double certainty = 1 / (pull.floor_deviation * pull.floor_deviation);
  double w = certainty, wx = 0, wxx = 0, wy = certainty * pull.floor, wxy = 0;
  for (const Observation& each : observations) {
    const double weight = 1 / (each.deviation * each.deviation), x = std::pow(each.samples, -exponent);
    w += weight;
    wx += weight * x;
    wxx += weight * x * x;
    wy += weight * each.error;
    wxy += weight * x * each.error;
  }
  CurveShape shape{.exponent = exponent};
  const double determinant = w * wxx - wx * wx;
  shape.scale = (w * wxy - wx * wy) / determinant;
  shape.floor = (wy - shape.scale * wx) / w;
  if (shape.floor < 0) shape = {0, std::max(0.0, wxy / wxx), exponent};
  if (shape.scale < 0) shape = {std::max(0.0, wy / w), 0, exponent};
  return shape;
}

CurveShape fit(std::span<const Observation> observations, const Pull& pull) {
  CurveShape best;
  double least = infinity;
  for (int step = 0; step < exponents; ++step) {
    const double exponent = least_exponent * std::pow(largest_exponent / least_exponent, static_cast<double>(step) / (exponents - 1));
    const CurveShape shape = fit_linear(observations, exponent, pull);
    double cost = std::pow((std::log(exponent) - pull.log_exponent) / exponent_deviation, 2) +
                  std::pow((shape.floor - pull.floor) / pull.floor_deviation, 2);
    for (const Observation& each : observations) cost += std::pow((each.error - shape.error_at(each.samples)) / each.deviation, 2);
    if (cost >= least) continue;
    least = cost;
    best = shape;
  }
  return best;
}

std::string images(double count) {
  // Two digits are all that such a figure is good for.
  const double unit = count < 100 ? 1 : std::pow(10, std::floor(std::log10(count)) - 1);
  return human_count(static_cast<std::uint64_t>(std::ceil(count / unit - 1e-9) * unit));
}

}  // namespace

double CurveShape::error_at(double samples) const { return floor + scale * std::pow(samples, -exponent); }

double CurveShape::samples_for(double target) const {
  if (target <= floor) return infinity;
  return scale > 0 ? std::pow(scale / (target - floor), 1 / exponent) : 0;
}

Result<LearningCurve> fit_learning_curve(std::span<const CurvePoint> points, const CurveOptions& options) {
  std::set<double> sizes;
  for (const CurvePoint& point : points) {
    if (!(point.samples > 0) || point.errors.empty())
      return Error{ErrorKind::usage, "a learning curve wants errors at training sizes above 0"};
    if (!std::ranges::all_of(point.errors, [](double e) { return e >= 0 && e <= 1; }))
      return Error{ErrorKind::usage, fmt::format("an error at {:g} samples is outside [0, 1]", point.samples)};
    sizes.insert(point.samples);
  }
  if (sizes.size() < 3)
    return Error{ErrorKind::usage, fmt::format("a learning curve wants at least three training sizes, not {}", sizes.size())};

  std::vector<Observation> observations;
  double deviation_of_all = infinity;  // what the judged samples leave open, the same for all points, since they are judged alike
  for (const CurvePoint& point : points) {
    const auto repeats = static_cast<double>(point.errors.size());
    double mean = 0, variance = 0;
    for (const double error : point.errors) mean += error / repeats;
    for (const double error : point.errors) variance += (error - mean) * (error - mean);
    variance /= std::max(1.0, repeats - 1) * repeats;
    const double judged = point.judged > 0 ? point.judged : 1000;
    const double smooth = (mean * judged + 0.5) / (judged + 1), binomial = smooth * (1 - smooth) / judged;
    // Few repeats may agree by chance: never surer than the judged samples seen in each repeat anew.
    observations.push_back({point.samples, mean, std::sqrt(std::max(variance, binomial / repeats))});
    deviation_of_all = std::min(deviation_of_all, std::sqrt(binomial));
  }
  const Observation& last = *std::ranges::max_element(observations, {}, &Observation::samples);
  const Pull usual{.floor_deviation = std::max(floor_share * last.error, deviation_of_all), .log_exponent = std::log(usual_exponent)};
  LearningCurve curve{.best = fit(observations, usual), .draws = {}, .largest = last.samples};
  for (int draw = 0; draw < options.draws; ++draw) {
    Random random(options.seed, static_cast<std::uint64_t>(draw));
    const double shift = deviation_of_all * random.normal();
    std::vector<Observation> drawn = observations;
    for (Observation& each : drawn) each.error = std::clamp(each.error + shift + each.deviation * random.normal(), 0.0, 1.0);
    curve.draws.push_back(fit(drawn, {.floor = usual.floor_deviation * random.normal(),
                                      .floor_deviation = usual.floor_deviation,
                                      .log_exponent = usual.log_exponent + exponent_deviation * random.normal()}));
  }
  return curve;
}

SamplesNeeded samples_needed(const LearningCurve& curve, double target, double have, const std::string& subject) {
  SamplesNeeded needed;
  const double limit = far * std::max(curve.largest, have);
  std::vector<double> totals;
  for (const CurveShape& shape : curve.draws) {
    const double total = shape.samples_for(target);
    totals.push_back(total > limit ? infinity : total);
  }
  std::ranges::sort(totals);
  const auto reaching = static_cast<double>(std::ranges::count_if(totals, [](double total) { return std::isfinite(total); }));
  needed.likelihood = totals.empty() ? 0 : reaching / static_cast<double>(totals.size());
  const auto at = [&](double q) {
    if (totals.empty()) return infinity;
    return totals[static_cast<std::size_t>(std::lround(q * static_cast<double>(totals.size() - 1)))];
  };
  needed.interval = {std::max(0.0, at(tail) - have), std::max(0.0, at(1 - tail) - have)};
  const double total = curve.best.samples_for(target);
  needed.reached = total <= have;
  needed.reachable = total <= limit;
  needed.more = needed.reachable ? std::max(0.0, total - have) : infinity;
  if (needed.reached) {
    needed.sentence = fmt::format("the images {} are enough for this target as far as the learning curve shows", subject);
    return needed;
  }
  if (!needed.reachable) {
    needed.sentence =
        fmt::format("this target is {} reached by more images of this kind {}: the error levels off near {:.3f}, {:.3f} is asked for",
                    needed.likelihood > unlikely ? "probably not" : "not", subject, curve.best.error_at(limit), target);
    return needed;
  }
  const std::string most = std::isfinite(needed.interval.high) ? "and " + images(needed.interval.high) : "and more than one can foresee";
  needed.sentence = fmt::format("about {} more images {} would be needed (between {} {})", images(needed.more), subject,
                                images(std::min(needed.interval.low, needed.more)), most);
  return needed;
}

}  // namespace sightline::evaluation
