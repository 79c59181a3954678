// Which head for these features: candidates compete on the same folds, the winner is fitted again on everything. docs/heads.md says when
// which of them wins and what the figures mean.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "heads/head.h"
#include "tensor/tensor.h"

namespace sightline::heads {

// Raised when the same features give another head than before: part of the key of the step that fits heads.
inline constexpr int version = 3;

// Some of the cuts that features are concatenated from.
struct CutSet {
  std::string name;               // for sentences: "last"
  std::vector<std::size_t> cuts;  // indices into cut_widths, ascending
  int look = 0;                   // what they cost: sets of a dearer look stand later
};

struct ChooseOptions {
  std::vector<Kind> kinds = {Kind::ridge, Kind::discriminant, Kind::logistic, Kind::nearest_mean};
  bool balanced = false;  // classes count alike, however many samples they have: in the fits, in the choice, in the temperature
  int folds = 0;          // 0: 5, or with classes of few samples the number from 4 to 10 that divides them most evenly
  int repeats = 0;        // of the folds, drawn anew; 0: 3 below 100 samples, else 1
  std::uint64_t seed = 0;
  std::vector<std::int64_t> cut_widths;  // columns of each cut when features are concatenated ones; empty: one cut
  std::vector<CutSet> cut_sets;  // they compete, the preferred first, each with every kind; the preferred alone below 10 samples a class;
                                 // empty: all cuts together
  double look_errors = 1;        // the cheapest look is taken whose best head is behind by no more than so many standard errors of the
                                 // paired difference; within a look the better set wins
  const Tensor* mirrored = nullptr;  // f32 N×D: the same samples seen in a mirror; heads learn from them as well and are not judged on them
  std::vector<std::int64_t> keep;    // ridge on only so many columns competes too, those with the largest F statistic
  std::int64_t hidden = 1024;        // units of random_features
  Activation activation = Activation::relu;
  double standard_errors = 2;  // a kind that stands earlier in the list of kinds is taken when it is behind by no more than so many of the
                               // paired difference
  int threads = 1;             // folds are judged side by side; the bits do not depend on it
};

struct CandidateFigure {
  Kind kind = Kind::ridge;
  std::string cuts;       // the name of the set of cuts; "" when none compete
  double setting = 0;     // ridge, discriminant, random_features: alpha, relative to the mean eigenvalue; logistic: the penalty, likewise;
                          // nearest_mean: 0 by distance, 1 by angle
  std::int64_t kept = 0;  // columns; 0: all
  double accuracy = 0, balanced_accuracy = 0, log_loss = 0;  // out of fold; of the best setting, so a little too good
  double behind = 0;                                         // the choice's metric, against the best candidate
  double standard_error = 0;                                 // of `behind`, paired by sample (by group where there are groups)
  static constexpr auto fields() {
    return std::tuple{field("kind", &CandidateFigure::kind),
                      field("cuts", &CandidateFigure::cuts),
                      field("setting", &CandidateFigure::setting),
                      field("kept", &CandidateFigure::kept),
                      field("accuracy", &CandidateFigure::accuracy),
                      field("balanced_accuracy", &CandidateFigure::balanced_accuracy),
                      field("log_loss", &CandidateFigure::log_loss),
                      field("behind", &CandidateFigure::behind),
                      field("standard_error", &CandidateFigure::standard_error)};
  }
};

struct Choice {
  Head head;                                // fitted on all samples, temperature from the out-of-fold scores
  std::vector<Tensor> scores;               // f32 N×K for each repeat: of each sample by heads that saw neither it nor its group
  std::vector<CandidateFigure> candidates;  // by set of cuts, within one in the order of kinds
  std::size_t chosen = 0;
  std::optional<std::size_t> cut_set;  // of the options, the chosen one; head.columns are then its columns, or empty for all
  int folds = 0;
  // What the whole procedure, choice included, reaches out of fold: every sample set drawn from this one chooses for itself and is judged
  // on what it did not draw (Tsamardinos et al. 2018). Without the winner's curse, so a little below candidates[chosen].
  double accuracy = 0, balanced_accuracy = 0;
  std::string sentence;  // for a person: what was chosen and why
};

// features f32 N×D; labels N in [0, classes); groups: samples of one non-negative group are never on both sides of a fold, empty for none.
// Deterministic for the seed. Memory: about 4·N·min(N, D) + 2·N·D doubles. Errors: invalid_data (shapes, labels, values that are not
// finite, samples of fewer than two classes, a single group), usage (options), unsupported (more than 8192 features), interrupted,
// internal. Above 1,600 samples sets of cuts are chosen on a part of them by ridge alone; `candidates` are then those of the chosen set.
Result<Choice> choose_head(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups, int classes,
                           const ChooseOptions& options = {});

// Probabilities f32 N×K of every sample by heads that did not see it, mean over the repeats: for label errors, thresholds and sets.
Tensor out_of_fold_of(const Choice& choice);

// Ridge regression alone, alpha chosen by the exact leave-one-out error among penalties() relative to the mean eigenvalue.
struct RidgeFit {
  Head head;                      // temperature from the leave-one-out scores
  double alpha = 0;               // relative
  Tensor scores;                  // f32 N×K, leave-one-out
  std::vector<double> penalties;  // relative, rising
  std::vector<double> errors;     // mean squared leave-one-out error of each
};
Result<RidgeFit> fit_ridge_leave_one_out(const Tensor& features, std::span<const std::int32_t> labels, int classes, bool balanced = false,
                                         std::span<const std::int64_t> cut_widths = {});

// The columns with the largest F statistic (between-class over within-class variance), ascending. Columns that are constant come last.
std::vector<std::int64_t> best_columns(const Tensor& features, std::span<const std::int32_t> labels, int classes,
                                       std::span<const std::int64_t> rows, std::int64_t count);

// The inverse temperature's inverse: T that makes the labels most likely under softmax(scores / T), one pseudo-sample short of certainty
// (Platt 1999), so that answers without a mistake do not claim to be sure. emphasis: per sample, empty: 1 each.
double temperature_of(std::span<const Tensor> scores, std::span<const std::int32_t> labels, std::span<const double> emphasis = {});

}  // namespace sightline::heads
