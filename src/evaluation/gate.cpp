// Decides whether a model is released, in words. docs/evaluation.md states the rules.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "evaluation/evaluation.h"

namespace sightline::evaluation {

namespace {

constexpr double kNormal95 = 1.959964;  // half the width of a 95% interval, in standard errors

// Enough digits that two values that differ also read differently: "0.9250 misses 0.9250" helps nobody.
int digits_for(double a, double b, int least) {
  int digits = least;
  while (digits < 12 && a != b && fmt::format("{:.{}f}", a, digits) == fmt::format("{:.{}f}", b, digits)) ++digits;
  return digits;
}

std::string measured(const std::string& metric, double value, const Evaluation& evaluation, int digits) {
  const auto interval = evaluation.intervals.find(metric);
  const std::string images = plural(static_cast<std::uint64_t>(std::max<std::int64_t>(0, measured_of(evaluation).pictures)), "image");
  if (interval == evaluation.intervals.end()) return fmt::format("{} {:.{}f} on {}", metric, value, digits, images);
  return fmt::format("{} {:.{}f} (95% interval {:.{}f} to {:.{}f}, {})", metric, value, digits, interval->second.low, digits,
                     interval->second.high, digits, images);
}

GateLine target_line(const demand::Target& target, const Evaluation& evaluation) {
  GateLine line{target.metric, false, ""};
  if (measured_of(evaluation).pictures <= 0) {
    line.sentence = fmt::format("{} could not be measured: the {} split has no images", target.metric, evaluation.split);
    return line;
  }
  const Result<double> value = value_of(evaluation, target.metric);
  if (!value.ok()) {
    line.sentence = value.error().message;
    return line;
  }
  const int digits = digits_for(*value, target.at_least, 4);
  const std::string words = measured(target.metric, *value, evaluation, digits);
  if (target.at_least <= 0) {
    line.passed = *value > 0;
    line.sentence =
        words + (line.passed ? "; the demand sets no target"
                             : "; the demand sets no target, but a model that is never right is not released: give it more time "
                               "(budget) or look at the data (`sightline data check`)");
    return line;
  }
  line.passed = *value >= target.at_least;
  line.sentence = line.passed ? fmt::format("{} reaches the target {:.{}f}", words, target.at_least, digits)
                              : fmt::format("{} misses the target {:.{}f} by {:.{}f}", words, target.at_least, digits,
                                            target.at_least - *value, digits);
  const auto interval = evaluation.intervals.find(target.metric);
  if (interval != evaluation.intervals.end() && interval->second.low < target.at_least && target.at_least <= interval->second.high)
    line.sentence += line.passed ? ", though the interval reaches below it" : ", though the interval reaches it";
  return line;
}

GateLine latency_line(double limit, const Latency& latency) {
  GateLine line{"latency", false, ""};
  if (latency.count <= 0) {
    line.sentence = fmt::format("latency was not measured, but the demand limits it to {:g} ms", limit);
    return line;
  }
  line.passed = latency.p95 <= limit;
  line.sentence =
      fmt::format("latency p95 {:.{}f} ms per image ({}, {}) is {} the limit {:g} ms", latency.p95, digits_for(latency.p95, limit, 2),
                  plural(static_cast<std::uint64_t>(latency.count), "run"),
                  plural(static_cast<std::uint64_t>(std::max(latency.threads, 0)), "thread"), line.passed ? "within" : "above", limit);
  return line;
}

GateLine size_line(double limit, std::uint64_t size_bytes) {
  GateLine line{"size", false, ""};
  const double size = static_cast<double>(size_bytes) / 1e6;
  line.passed = size_bytes > 0 && size <= limit;
  line.sentence = size_bytes == 0 ? fmt::format("the size was not measured, but the demand limits it to {:g} MB", limit)
                                  : fmt::format("size {:.{}f} MB is {} the limit {:g} MB", size, digits_for(size, limit, 3),
                                                line.passed ? "within" : "above", limit);
  return line;
}

// From the bootstrap interval, as if its draws were normal.
double standard_error(const Evaluation& evaluation, const std::string& metric) {
  const auto interval = evaluation.intervals.find(metric);
  return interval == evaluation.intervals.end() ? 0 : (interval->second.high - interval->second.low) / (2 * kNormal95);
}

GateLine release_line(const std::string& metric, const Evaluation& evaluation, const std::optional<Evaluation>& in_force) {
  GateLine line{.what = "release in force", .passed = true, .sentence = "no release in force yet"};
  if (!in_force) return line;
  std::vector<std::string> now = evaluation.classes, before = in_force->classes;
  std::sort(now.begin(), now.end());
  std::sort(before.begin(), before.end());
  if (evaluation.task != in_force->task) {
    line.sentence = "the release in force is for another task, so the two are not compared";
    return line;
  }
  if (now != before) {
    line.sentence = "the release in force knows other classes, so the two are not compared";
    return line;
  }
  const Result<double> ours = value_of(evaluation, metric), theirs = value_of(*in_force, metric);
  if (!ours.ok() || !theirs.ok() || measured_of(*in_force).pictures <= 0) {
    line.sentence = fmt::format("the release in force has no {} to compare with", metric);
    return line;
  }
  const double gain = *ours - *theirs;
  const double noise = kNormal95 * std::hypot(standard_error(evaluation, metric), standard_error(*in_force, metric));
  line.passed = gain >= -noise;
  const int digits = std::max(digits_for(*ours, *theirs, 4), digits_for(std::abs(gain), noise, 4));
  const std::string both = fmt::format("{} {:.{}f} against {:.{}f} of the release in force", metric, *ours, digits, *theirs, digits);
  if (gain == 0)
    line.sentence = both + ": equal";
  else if (gain > noise)
    line.sentence = fmt::format("{}: better by {:.{}f}, more than the noise ({:.{}f})", both, gain, digits, noise, digits);
  else if (line.passed)
    line.sentence = fmt::format("{}: {} by {:.{}f}, within the noise ({:.{}f})", both, gain > 0 ? "better" : "worse", std::abs(gain),
                                digits, noise, digits);
  else
    line.sentence = fmt::format("{}: worse by {:.{}f}, more than the noise ({:.{}f})", both, -gain, digits, noise, digits);
  return line;
}

}  // namespace

Verdict gate(const demand::Demand& demand, const Evaluation& evaluation, const std::optional<Evaluation>& in_force) {
  Verdict verdict;
  verdict.lines.push_back(target_line(demand.target, evaluation));
  if (demand.limits.latency_ms) verdict.lines.push_back(latency_line(*demand.limits.latency_ms, evaluation.latency));
  if (demand.limits.size_mb) verdict.lines.push_back(size_line(*demand.limits.size_mb, evaluation.size_bytes));
  verdict.lines.push_back(release_line(demand.target.metric, evaluation, in_force));

  std::vector<std::string> failed;
  for (const GateLine& line : verdict.lines) {
    if (!line.passed) failed.push_back(line.sentence);
  }
  verdict.release = failed.empty();
  verdict.sentence = verdict.release ? "released: " + verdict.lines.front().sentence : "refused: " + join(failed, "; ");
  return verdict;
}

}  // namespace sightline::evaluation
