// What out-of-fold answers of few samples say about new ones: a figure with an interval that is honest down to one sample a class, and
// whether it excludes chance. docs/heads.md has the formulas.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evaluation/evaluation.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

// The quantile q in [0, 1] of the Beta distribution with parameters a, b above 0.
double beta_quantile(double q, double a, double b);
// The interval of a share, `right` of `count` (neither need be whole: effective numbers), Clopper & Pearson 1934: it covers at least as
// often as it says, also when none or all are right. [0, 1] for a count of zero.
Interval clopper_pearson(double right, double count, double confidence = 0.95);

struct Estimate {
  double value = 0;
  Interval interval;
  double effective = 0;  // independent samples that the interval is worth
  double chance = 0;     // what answering without looking reaches
  bool excludes_chance = false;
  static constexpr auto fields() {
    return std::tuple{field("value", &Estimate::value), field("interval", &Estimate::interval), field("effective", &Estimate::effective),
                      field("chance", &Estimate::chance), field("excludes_chance", &Estimate::excludes_chance)};
  }
};

struct CrossValidated {
  std::int64_t samples = 0, groups = 0;  // groups: samples of one are counted as one where they err together
  int repeats = 0;
  double confidence = 0.95;
  Estimate accuracy;             // chance: the largest class's share
  Estimate balanced_accuracy;    // of the classes that have samples; chance: one of their number
  std::vector<Estimate> recall;  // by class; without samples all zero and [0, 1]; chance as for balanced accuracy
  std::string sentence;
  static constexpr auto fields() {
    return std::tuple{field("samples", &CrossValidated::samples),   field("groups", &CrossValidated::groups),
                      field("repeats", &CrossValidated::repeats),   field("confidence", &CrossValidated::confidence),
                      field("accuracy", &CrossValidated::accuracy), field("balanced_accuracy", &CrossValidated::balanced_accuracy),
                      field("recall", &CrossValidated::recall),     field("sentence", &CrossValidated::sentence)};
  }
};

// answers: for each repeat of the folds f32 N×K, scores or probabilities, of heads that did not see the sample; the largest is the answer.
// labels in [0, K); groups: samples with the same non-negative number belong together, empty: none do. Intervals are Clopper and Pearson's
// for the effective number of samples (Korn & Graubard 1998): p(1 - p) over the variance of the estimate, in which each class counts with
// its own size and samples of a group that err together count less. Bootstrap intervals would have no width where no mistake was made,
// which with five samples a class is nearly always. Errors: usage (no answers, sizes that do not fit, confidence outside (0, 1)).
Result<CrossValidated> cross_validated(std::span<const Tensor> answers, std::span<const std::int32_t> labels,
                                       std::span<const std::int64_t> groups = {}, double confidence = 0.95);

}  // namespace sightline::evaluation
