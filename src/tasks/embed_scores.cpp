#include "tasks/embed_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace sightline::tasks {

namespace {

constexpr double kAboveAll = std::numeric_limits<double>::infinity();

struct Totals {
  double genuine = 0, impostor = 0;
};
Totals totals_of(std::span<const ScoreStep> steps) {
  Totals totals;
  for (const ScoreStep& step : steps) {
    totals.genuine += step.genuine;
    totals.impostor += step.impostor;
  }
  return totals;
}

// Halfway to the next lower score; a little below the lowest one, above all before the highest.
double below(std::span<const ScoreStep> steps, std::size_t i) {
  return i + 1 < steps.size() ? (steps[i].score + steps[i + 1].score) / 2 : steps[i].score - 1;
}

}  // namespace

double weight_of(const Comparison& pair, IdentityWeights weights) {
  const double first = weights[static_cast<std::size_t>(pair.first)];
  return pair.genuine() ? first : first * weights[static_cast<std::size_t>(pair.second)];
}

std::vector<ScoreStep> steps_of(std::span<const Comparison> sorted, IdentityWeights weights) {
  std::vector<ScoreStep> steps;
  for (const Comparison& pair : sorted) {
    const double weight = weight_of(pair, weights);
    if (weight == 0) continue;
    const auto score = static_cast<double>(pair.score);
    if (steps.empty() || steps.back().score != score) steps.push_back({.score = score});
    (pair.genuine() ? steps.back().genuine : steps.back().impostor) += weight;
  }
  return steps;
}

std::optional<double> area_under_roc(std::span<const ScoreStep> steps) {
  double genuine = 0, impostor = 0, area = 0;
  for (const ScoreStep& step : steps) {
    area += step.impostor * (genuine + step.genuine / 2);  // the genuine ones above, and half of equals
    genuine += step.genuine;
    impostor += step.impostor;
  }
  if (genuine == 0 || impostor == 0) return std::nullopt;
  return area / (genuine * impostor);
}

std::optional<double> equal_error_rate(std::span<const ScoreStep> steps) {
  const Totals all = totals_of(steps);
  if (all.genuine == 0 || all.impostor == 0) return std::nullopt;
  double accepted = 0, taken = 0, before_false = 0, before_missed = 1;
  for (const ScoreStep& step : steps) {
    const double false_match = (taken += step.impostor) / all.impostor, missed = 1 - (accepted += step.genuine) / all.genuine;
    if (false_match >= missed) {
      const double gap = before_missed - before_false, closed = (false_match - before_false) + (before_missed - missed);
      return before_false + (false_match - before_false) * (gap / closed);
    }
    before_false = false_match;
    before_missed = missed;
  }
  return std::nullopt;  // not reached: at the lowest score all are accepted
}

std::optional<Accepted> accepted_at(std::span<const ScoreStep> steps, double share_of_impostors) {
  const Totals all = totals_of(steps);
  if (all.genuine == 0 || all.impostor == 0) return std::nullopt;
  Accepted best{.threshold = kAboveAll, .genuine = 0};
  double accepted = 0, taken = 0;
  for (const ScoreStep& step : steps) {
    taken += step.impostor;
    accepted += step.genuine;
    if (taken > share_of_impostors * all.impostor) break;
    best = {.threshold = step.score, .genuine = accepted / all.genuine};
  }
  return best;
}

std::optional<Verification> verify(std::span<const Comparison> sorted, IdentityWeights weights) {
  // Scores of all folds as one list of thresholds, and what each fold has at each of them.
  std::map<std::int32_t, std::size_t> place;
  for (const Comparison& pair : sorted)
    if (weight_of(pair, weights) > 0) place.emplace(pair.fold, 0);
  if (place.size() < 2) return std::nullopt;
  std::size_t folds = 0;
  for (auto& [fold, at] : place) at = folds++;

  const std::vector<ScoreStep> steps = steps_of(sorted, weights);
  std::vector<double> right(folds), total(folds);  // before the highest score nothing is accepted: every impostor is right
  for (const Comparison& pair : sorted) {
    const double weight = weight_of(pair, weights);
    if (weight == 0) continue;
    total[place.at(pair.fold)] += weight;
    if (!pair.genuine()) right[place.at(pair.fold)] += weight;
  }
  struct Best {
    double others = -1, own = 0, threshold = kAboveAll;
  };
  std::vector<Best> best(folds);
  double all_right = 0;
  for (const double each : right) all_right += each;
  // Of equally good thresholds the first, which is the highest.
  const auto consider = [&](double threshold) {
    for (std::size_t f = 0; f < folds; ++f) {
      const double others = all_right - right[f];
      if (others > best[f].others + 1e-9) best[f] = {.others = others, .own = right[f], .threshold = threshold};
    }
  };
  consider(steps.front().score + 1);
  std::size_t pair = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (; pair < sorted.size() && static_cast<double>(sorted[pair].score) >= steps[i].score; ++pair) {
      const double weight = weight_of(sorted[pair], weights);
      if (weight == 0) continue;
      const double change = sorted[pair].genuine() ? weight : -weight;
      right[place.at(sorted[pair].fold)] += change;
      all_right += change;
    }
    consider(below(steps, i));
  }
  Verification result;
  const auto count = static_cast<double>(folds);
  for (std::size_t f = 0; f < folds; ++f) {
    result.accuracy += best[f].own / total[f] / count;
    result.threshold += best[f].threshold / count;
  }
  double squares = 0;
  for (std::size_t f = 0; f < folds; ++f) squares += std::pow(best[f].own / total[f] - result.accuracy, 2);
  result.error = std::sqrt(squares / (count - 1)) / std::sqrt(count);
  return result;
}

}  // namespace sightline::tasks
