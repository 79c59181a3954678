#include "heads/selection.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/interrupt.h"
#include "base/random.h"

namespace sightline::heads {
namespace {

// Weight of each sample: how often it was drawn, and with balance its share of its class.
std::vector<double> weights_of(const Judged& judged, std::span<const std::int32_t> drawn) {
  std::vector<double> weights(judged.samples(), 1.0);
  std::vector<double> of_class(static_cast<std::size_t>(judged.classes));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!drawn.empty()) weights[i] = drawn[static_cast<std::size_t>(judged.units.of_sample[i])];
    of_class[static_cast<std::size_t>(judged.labels[i])] += weights[i];
  }
  double total = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (judged.balanced && weights[i] > 0) weights[i] /= of_class[static_cast<std::size_t>(judged.labels[i])];
    total += weights[i];
  }
  for (double& weight : weights) weight /= total;
  return weights;
}

double mean_of(const std::vector<double>& weights, const float* values) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * static_cast<double>(values[i]);
  return sum;
}

}  // namespace

Selection select(const Judged& judged, std::span<const std::int32_t> drawn) {
  const std::size_t n = judged.samples();
  const std::vector<double> weights = weights_of(judged, drawn);
  Selection selection;
  for (std::size_t s = 0; s < judged.candidate_of.size(); ++s) {
    const double loss = mean_of(weights, judged.loss.data() + s * n);
    const auto candidate = static_cast<std::size_t>(judged.candidate_of[s]);
    if (candidate == selection.candidates.size()) {
      selection.candidates.push_back({.setting = s, .loss = loss});
    } else if (loss < selection.candidates[candidate].loss) {
      selection.candidates[candidate].setting = s;
      selection.candidates[candidate].loss = loss;
    }
  }
  const auto in_one_set = [&](std::size_t a, std::size_t b) { return judged.set_of.empty() || judged.set_of[a] == judged.set_of[b]; };
  for (std::size_t c = 0; c < selection.candidates.size(); ++c) {
    Selection::Entry& entry = selection.candidates[c];
    entry.metric = mean_of(weights, judged.right.data() + entry.setting * n);
    const Selection::Entry& best = selection.candidates[selection.best];
    if (entry.metric > best.metric || (entry.metric == best.metric && entry.loss < best.loss && in_one_set(c, selection.best)))
      selection.best = c;
  }
  // How far a candidate is behind another, and the standard error of that.
  const auto difference = [&](const Selection::Entry& entry, const Selection::Entry& other) {
    const double behind = other.metric - entry.metric;
    std::vector<double> of_unit(static_cast<std::size_t>(judged.units.count));
    for (std::size_t i = 0; i < n; ++i) {
      const double each = static_cast<double>(judged.right[other.setting * n + i]) - judged.right[entry.setting * n + i];
      of_unit[static_cast<std::size_t>(judged.units.of_sample[i])] += weights[i] * (each - behind);
    }
    double square = 0;
    for (std::size_t u = 0; u < of_unit.size(); ++u) {
      // A unit that was drawn twice is two, whose deviations are its half each.
      const double times = drawn.empty() ? 1 : drawn[u];
      if (times > 0) square += of_unit[u] * of_unit[u] / times;
    }
    return std::pair(behind, std::sqrt(square));
  };
  for (Selection::Entry& entry : selection.candidates)
    std::tie(entry.behind, entry.standard_error) = difference(entry, selection.candidates[selection.best]);
  std::size_t leader = selection.best;
  if (!judged.look_of.empty()) {
    const auto look = [&](std::size_t c) { return judged.look_of[c]; };
    for (std::size_t c = 0; c < selection.candidates.size(); ++c) {
      const Selection::Entry& entry = selection.candidates[c];
      if (look(c) < look(leader) ? entry.behind <= judged.look_errors * entry.standard_error
                                 : look(c) == look(leader) && entry.metric > selection.candidates[leader].metric)
        leader = c;
    }
  }
  selection.chosen = leader;
  for (std::size_t c = leader; c-- > 0;) {
    if (!in_one_set(c, leader)) continue;
    const auto [behind, error] = difference(selection.candidates[c], selection.candidates[leader]);
    if (behind <= judged.standard_errors * error) selection.chosen = c;
  }
  return selection;
}

namespace {

// By class.
struct Tally {
  std::vector<double> right, count;
  explicit Tally(int classes) : right(static_cast<std::size_t>(classes)), count(right.size()) {}

  void add(const Judged& judged, std::size_t setting, std::span<const std::int32_t> drawn) {
    const std::size_t n = judged.samples();
    for (std::size_t i = 0; i < n; ++i) {
      const double times = drawn.empty() ? 1 : drawn[static_cast<std::size_t>(judged.units.of_sample[i])];
      const auto label = static_cast<std::size_t>(judged.labels[i]);
      count[label] += times;
      right[label] += times * static_cast<double>(judged.right[setting * n + i]);
    }
  }
  Expected figures() const {
    Expected figures;
    double all = 0, present = 0;
    for (std::size_t c = 0; c < right.size(); ++c) {
      if (count[c] <= 0) continue;
      figures.accuracy += right[c];
      figures.balanced_accuracy += right[c] / count[c];
      all += count[c];
      present += 1;
    }
    if (all > 0) figures.accuracy /= all;
    if (present > 0) figures.balanced_accuracy /= present;
    return figures;
  }
};

}  // namespace

Expected figures_of(const Judged& judged, std::size_t setting, std::span<const std::int32_t> drawn) {
  Tally tally(judged.classes);
  tally.add(judged, setting, drawn);
  return tally.figures();
}

Result<Expected> expected_of_choice(const Judged& judged, int draws, std::uint64_t seed) {
  const auto units = static_cast<std::uint64_t>(judged.units.count);
  Tally tally(judged.classes);  // over all draws, because one draw need not judge a rare class at all
  std::vector<std::int32_t> drawn(units), rest(units);
  for (int draw = 0; draw < draws; ++draw) {
    SIGHTLINE_CHECK(check_interrupt());
    Random random(seed, 0x626263ULL, static_cast<std::uint64_t>(draw));
    std::ranges::fill(drawn, 0);
    for (std::uint64_t u = 0; u < units; ++u) ++drawn[random.below(units)];
    for (std::uint64_t u = 0; u < units; ++u) rest[u] = drawn[u] == 0 ? 1 : 0;
    const Selection selection = select(judged, drawn);
    tally.add(judged, selection.candidates[selection.chosen].setting, rest);
  }
  return tally.figures();
}

}  // namespace sightline::heads
