#include "evaluation/bootstrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "evaluation/compression.h"

namespace sightline::evaluation {

namespace {

// All that the figures need to know of one sample.
struct Outcome {
  std::int32_t given = 0, predicted = 0;
  float loss = 0;
  bool among_five = false;
};

constexpr std::array kNames{"top1", "top5", "macro_f1", "balanced_accuracy", "log_loss"};
using Figures = std::array<double, kNames.size()>;

std::vector<Outcome> outcomes_of(const Tensor& probabilities, std::span<const std::int32_t> labels) {
  const auto classes = static_cast<std::size_t>(probabilities.dim(1));
  const std::span<const float> values = probabilities.values<float>();
  std::vector<Outcome> outcomes(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::span<const float> row = values.subspan(i * classes, classes);
    outcomes[i] = {labels[i], static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()),
                   static_cast<float>(tasks::log_loss_of(row, labels[i])), tasks::among_top(row, labels[i], 5)};
  }
  return outcomes;
}

// Which cases stand in for which: groups drawn with replacement.
class Draws {
 public:
  Draws(std::size_t count, std::span<const std::int64_t> groups) : count_(count) {
    if (std::ranges::all_of(groups, [](std::int64_t group) { return group < 0; })) return;
    std::map<std::int64_t, std::size_t> place;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = groups[i] < 0 ? members_.size() : place.emplace(groups[i], members_.size()).first->second;
      if (at == members_.size()) members_.emplace_back();
      members_[at].push_back(static_cast<std::int64_t>(i));
    }
  }

  std::vector<std::int64_t> draw(Random random) const {
    std::vector<std::int64_t> chosen;
    chosen.reserve(count_);
    if (members_.empty()) {
      for (std::size_t i = 0; i < count_; ++i) chosen.push_back(static_cast<std::int64_t>(random.below(count_)));
      return chosen;
    }
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const std::vector<std::int64_t>& group = members_[random.below(members_.size())];
      chosen.insert(chosen.end(), group.begin(), group.end());
    }
    return chosen;
  }

 private:
  std::size_t count_;
  std::vector<std::vector<std::int64_t>> members_;  // of each group; empty: every case is one
};

// Of `count` places: pick(i) is the sample that stands in place i.
template <class Pick>
Figures figures_of(std::span<const Outcome> outcomes, std::size_t classes, std::size_t count, Pick pick) {
  struct Counts {
    std::int64_t given = 0, predicted = 0, hits = 0;
  };
  std::vector<Counts> counts(classes);
  std::int64_t hits = 0, among_five = 0;
  double loss = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Outcome& one = outcomes[pick(i)];
    const std::int64_t hit = one.given == one.predicted ? 1 : 0;
    ++counts[static_cast<std::size_t>(one.given)].given;
    ++counts[static_cast<std::size_t>(one.predicted)].predicted;
    counts[static_cast<std::size_t>(one.given)].hits += hit;
    hits += hit;
    among_five += one.among_five ? 1 : 0;
    loss += static_cast<double>(one.loss);
  }
  double f1 = 0, recall = 0;
  std::int64_t present = 0;
  for (const Counts& each : counts) {
    if (each.given == 0) continue;  // as in tasks::measure: a class without samples does not count
    ++present;
    f1 += 2 * static_cast<double>(each.hits) / static_cast<double>(each.given + each.predicted);
    recall += static_cast<double>(each.hits) / static_cast<double>(each.given);
  }
  const auto n = static_cast<double>(count);
  return {static_cast<double>(hits) / n, static_cast<double>(among_five) / n, f1 / static_cast<double>(present),
          recall / static_cast<double>(present), loss / n};
}

Figures draw_once(std::span<const Outcome> outcomes, std::size_t classes, Random random) {
  return figures_of(outcomes, classes, outcomes.size(), [&](std::size_t) { return random.below(outcomes.size()); });
}

}  // namespace

Result<Loss> paired_loss(const Tensor& reference, const Tensor& candidate, std::span<const std::int32_t> labels,
                         const std::string& metric) {
  const auto known = std::find(kNames.begin(), kNames.end(), metric);
  if (known == kNames.end() || metric == "log_loss") return Error{ErrorKind::usage, fmt::format("\"{}\" is no metric of accuracy", metric)};
  const auto which = static_cast<std::size_t>(known - kNames.begin());
  Loss loss;
  if (labels.empty()) return loss;
  const std::vector<Outcome> before = outcomes_of(reference, labels), after = outcomes_of(candidate, labels);
  const auto classes = static_cast<std::size_t>(reference.dim(1));
  loss.reference = figures_of(before, classes, before.size(), [](std::size_t i) { return i; })[which];
  loss.candidate = figures_of(after, classes, after.size(), [](std::size_t i) { return i; })[which];
  loss.points = 100 * (loss.reference - loss.candidate);
  const BootstrapOptions options;
  std::vector<double> drawn(static_cast<std::size_t>(options.draws));
  const auto draw = [&](std::size_t i) -> Result<void> {
    // One stream of draws for both: the same images.
    drawn[i] =
        100 * (draw_once(before, classes, Random(options.seed, i))[which] - draw_once(after, classes, Random(options.seed, i))[which]);
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(drawn.size(), draw, options.threads, 16));
  std::sort(drawn.begin(), drawn.end());
  const double tail = (1 - options.confidence) / 2;
  loss.interval = {quantile(drawn, tail), quantile(drawn, 1 - tail)};
  return loss;
}

double quantile(std::span<const double> sorted, double q) {
  assert(!sorted.empty());
  const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Result<std::map<std::string, Interval>> bootstrap_intervals(const Tensor& probabilities, std::span<const std::int32_t> labels,
                                                            const BootstrapOptions& options) {
  std::map<std::string, Interval> intervals;
  if (labels.empty() || options.draws <= 0) return intervals;
  const std::vector<Outcome> outcomes = outcomes_of(probabilities, labels);
  const auto classes = static_cast<std::size_t>(probabilities.dim(1));
  const Draws draws(labels.size(), options.groups);
  std::vector<Figures> drawn(static_cast<std::size_t>(options.draws));
  const auto draw = [&](std::size_t i) -> Result<void> {
    const std::vector<std::int64_t> chosen = draws.draw(Random(options.seed, i));  // a stream of its own, whichever thread draws
    drawn[i] = figures_of(outcomes, classes, chosen.size(), [&](std::size_t place) { return static_cast<std::size_t>(chosen[place]); });
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(drawn.size(), draw, options.threads, 16));
  std::vector<double> values(drawn.size());
  for (std::size_t k = 0; k < kNames.size(); ++k) {
    std::transform(drawn.begin(), drawn.end(), values.begin(), [&](const Figures& each) { return each[k]; });
    std::sort(values.begin(), values.end());
    const double tail = (1 - options.confidence) / 2;
    intervals[kNames[k]] = {quantile(values, tail), quantile(values, 1 - tail)};
  }
  return intervals;
}

namespace {

constexpr int kMeterDraws = 300;

std::vector<std::int64_t> drawn_cases(const Draws& draws, std::size_t draw) { return draws.draw(Random(BootstrapOptions{}.seed, draw)); }

Interval interval_of(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const double tail = (1 - BootstrapOptions{}.confidence) / 2;
  return {quantile(values, tail), quantile(values, 1 - tail)};
}

}  // namespace

Result<std::map<std::string, Interval>> bootstrap_intervals(const tasks::Meter& meter, std::int64_t count, int threads,
                                                            std::span<const std::int64_t> groups) {
  std::map<std::string, Interval> intervals;
  if (count <= 0) return intervals;
  const Draws draws(static_cast<std::size_t>(count), groups);
  std::vector<std::map<std::string, double>> drawn(kMeterDraws);
  const auto draw = [&](std::size_t i) -> Result<void> {
    drawn[i] = meter.figures(drawn_cases(draws, i), false).values;
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(drawn.size(), draw, threads, 4));
  std::map<std::string, std::vector<double>> values;
  for (const auto& each : drawn)
    for (const auto& [metric, value] : each) values[metric].push_back(value);
  for (auto& [metric, list] : values) intervals[metric] = interval_of(list);
  return intervals;
}

Result<Loss> paired_loss(const tasks::Meter& reference, const tasks::Meter& candidate, std::int64_t count, const std::string& metric) {
  Loss loss;
  if (count <= 0) return loss;
  const auto value = [&](const tasks::Meter& meter, std::span<const std::int64_t> chosen) -> std::optional<double> {
    const tasks::Figures figures = meter.figures(chosen, false);
    const auto found = figures.values.find(metric);
    return found == figures.values.end() ? std::nullopt : std::optional(found->second);
  };
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  const std::optional<double> before = value(reference, all), after = value(candidate, all);
  if (!before || !after) return Error{ErrorKind::usage, fmt::format("\"{}\" cannot be measured on these pictures", metric)};
  loss.reference = *before;
  loss.candidate = *after;
  loss.points = 100 * (*before - *after);
  const Draws draws(static_cast<std::size_t>(count), {});
  std::vector<std::optional<double>> drawn(kMeterDraws);
  const auto draw = [&](std::size_t i) -> Result<void> {
    const std::vector<std::int64_t> chosen = drawn_cases(draws, i);  // the same pictures for both
    const std::optional<double> a = value(reference, chosen), b = value(candidate, chosen);
    if (a && b) drawn[i] = 100 * (*a - *b);
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(drawn.size(), draw, 0, 4));
  std::vector<double> losses;
  for (const std::optional<double>& each : drawn)
    if (each) losses.push_back(*each);
  if (!losses.empty()) loss.interval = interval_of(losses);
  return loss;
}

}  // namespace sightline::evaluation
