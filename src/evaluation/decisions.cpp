#include "evaluation/decisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/text.h"
#include "evaluation/conformal.h"
#include "evaluation/cross_validation.h"
#include "evaluation/thresholds.h"

namespace sightline::evaluation {
namespace {

// No class is said by a hair's breadth of nothing: a threshold of zero has no ratio.
constexpr double least_threshold = 1e-6;

std::size_t most_probable(std::span<const float> probabilities) {
  return static_cast<std::size_t>(std::ranges::max_element(probabilities) - probabilities.begin());
}

double mean_of(const std::vector<double>& hits, const std::vector<double>& counts) {
  double sum = 0, present = 0;
  for (std::size_t c = 0; c < hits.size(); ++c) {
    if (counts[c] == 0) continue;
    sum += hits[c] / counts[c];
    present += 1;
  }
  return present > 0 ? sum / present : 0;
}

// Thresholds (share of the class)^γ. Balanced accuracy is greatest at γ = 1 for a model that knows the shares and is calibrated, and at 0
// for one to which classes count alike already; the γ is taken that reaches most on these samples, of equals the smallest.
std::vector<double> thresholds_by_share(const Tensor& probabilities, std::span<const std::int32_t> labels) {
  const auto k = static_cast<std::size_t>(probabilities.dim(1));
  std::vector<double> share(k);
  for (const std::int32_t label : labels) share[static_cast<std::size_t>(label)] += 1 / static_cast<double>(labels.size());
  std::vector<double> best;
  double most = -1;
  for (const double gamma : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    package::Decisions decisions;
    for (const double each : share) decisions.thresholds.push_back(each > 0 ? std::pow(each, gamma) : 1);  // never seen: not favoured
    const double reached = measure_decisions(decisions, probabilities, labels).balanced_accuracy_after;
    if (reached <= most) continue;
    most = reached;
    best = decisions.thresholds;
  }
  return best;
}

}  // namespace

Result<std::optional<package::Decisions>> fit_decisions(const demand::Demand& demand, const Tensor& probabilities,
                                                        std::span<const std::int32_t> labels, const std::string& from) {
  package::Decisions decisions{.from = from, .samples = static_cast<std::int64_t>(labels.size())};
  const bool thresholds = demand.decide && demand.decide->thresholds == demand::Thresholds::per_class;
  if (!thresholds && !demand.prediction_sets) return std::optional<package::Decisions>();
  if (thresholds) {
    decisions.precision = demand.decide->precision;
    SIGHTLINE_TRY(const std::vector<ClassThreshold> chosen,
                  choose_thresholds(probabilities, labels, {.precision = decisions.precision.value_or(0)}));
    if (decisions.precision) {
      for (const ClassThreshold& each : chosen) decisions.thresholds.push_back(std::clamp(each.threshold, least_threshold, 1.0));
    } else {
      decisions.thresholds = thresholds_by_share(probabilities, labels);
    }
  }
  if (demand.prediction_sets) {
    SIGHTLINE_TRY(decisions.sets,
                  calibrate_conformal(probabilities, labels, demand.prediction_sets->coverage, demand.prediction_sets->per_class));
  }
  return std::optional(std::move(decisions));
}

DecisionFigures measure_decisions(const package::Decisions& decisions, const Tensor& probabilities, std::span<const std::int32_t> labels) {
  DecisionFigures figures{.samples = static_cast<std::int64_t>(labels.size())};
  const auto k = static_cast<std::size_t>(probabilities.dim(1));
  std::vector<double> counts(k), before(k), after(k), covered(k);
  double answered = 0, size = 0, single = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = probabilities.values<float>().subspan(i * k, k);
    const auto label = static_cast<std::size_t>(labels[i]);
    counts[label] += 1;
    before[label] += most_probable(row) == label ? 1 : 0;
    const int said = package::decided_class(decisions, row);
    answered += said >= 0 ? 1 : 0;
    after[label] += said == labels[i] ? 1 : 0;
    if (!decisions.sets) continue;
    const std::vector<int> set = package::prediction_set(*decisions.sets, row);
    covered[label] += std::ranges::find(set, labels[i]) != set.end() ? 1 : 0;
    size += static_cast<double>(set.size());
    single += set.size() == 1 ? 1 : 0;
  }
  const auto total = [](const std::vector<double>& list) {
    double sum = 0;
    for (const double each : list) sum += each;
    return sum;
  };
  const double n = std::max<double>(1, static_cast<double>(labels.size()));
  figures.accuracy_before = total(before) / n;
  figures.accuracy_after = total(after) / n;
  figures.balanced_accuracy_before = mean_of(before, counts);
  figures.balanced_accuracy_after = mean_of(after, counts);
  figures.answered = answered / n;
  figures.right_of_answered = answered > 0 ? total(after) / answered : 0;
  if (!decisions.thresholds.empty())
    figures.sentences.push_back(
        decisions.precision
            ? fmt::format(
                  "with thresholds per class for a precision of {:g} it answers {:.1f}% of the pictures, and {:.4f} of these answers "
                  "are right; the most probable class is right for {:.4f} of all",
                  *decisions.precision, 100 * figures.answered, figures.right_of_answered, figures.accuracy_before)
            : fmt::format("with thresholds per class balanced accuracy is {:.4f} (before {:.4f}) and accuracy {:.4f} (before {:.4f})",
                          figures.balanced_accuracy_after, figures.balanced_accuracy_before, figures.accuracy_after,
                          figures.accuracy_before));
  if (decisions.sets) {
    figures.coverage = total(covered) / n;
    const Interval limits = clopper_pearson(total(covered), static_cast<double>(labels.size()));
    figures.coverage_low = limits.low;
    figures.coverage_high = limits.high;
    figures.least_class_coverage = 1;
    for (std::size_t c = 0; c < k; ++c)
      if (counts[c] > 0) figures.least_class_coverage = std::min(figures.least_class_coverage, covered[c] / counts[c]);
    figures.mean_size = size / n;
    figures.single = single / n;
    figures.sentences.push_back(fmt::format(
        "sets for a coverage of {:g}{} hold the right class for {:.4f} of the pictures (95% interval {:.4f} to {:.4f}), {:.4f} in the "
        "worst class; they have {:.2f} classes in the mean, {:.1f}% of them one",
        decisions.sets->coverage, decisions.sets->per_class ? " in each class" : "", figures.coverage, figures.coverage_low,
        figures.coverage_high, figures.least_class_coverage, figures.mean_size, 100 * figures.single));
  }
  return figures;
}

}  // namespace sightline::evaluation
