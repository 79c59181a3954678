// The rule that picks a winner from out-of-fold answers, and what picking by it is really worth.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "heads/folds.h"

namespace sightline::heads {

// Out-of-fold answers of every setting of every candidate to the same samples.
struct Judged {
  std::vector<int> candidate_of;  // S: settings of one candidate lie together; candidates count from 0, the preferred one first
  std::vector<int> set_of;        // of each candidate: the features that it reads; empty: all read the same
  std::vector<int> look_of;       // of each candidate: what its features cost, ascending; empty: all cost the same
  std::vector<float> right;       // S×N: share of the repeats that got the sample right
  std::vector<float> loss;        // S×N: log loss, mean over the repeats
  std::span<const std::int32_t> labels;
  int classes = 0;
  Units units;
  bool balanced = false;                        // classes count alike
  double standard_errors = 2, look_errors = 1;  // as ChooseOptions says

  std::size_t samples() const { return labels.size(); }
};

struct Selection {
  struct Entry {
    std::size_t setting = 0;  // the candidate's best by log loss
    double metric = 0, loss = 0, behind = 0, standard_error = 0;
  };
  std::vector<Entry> candidates;
  std::size_t best = 0, chosen = 0;  // candidates: by the metric alone, and by the rule
};

// Each candidate goes in with the setting of least log loss. The first (preferred) candidate is chosen whose share of right answers is
// behind the best one's by at most standard_errors of the paired difference (Breiman et al. 1984, section 3.4.3); only those of the best
// one's set are: between sets the best wins, of equals the first. Before that the cheapest look is found whose best candidate is behind
// the best of all by at most look_errors of the paired difference: what is dearer must be better by more than noise. drawn: how often each
// unit counts (empty: once).
Selection select(const Judged& judged, std::span<const std::int32_t> drawn = {});

// The metric of choosing by select() on units drawn with replacement, measured on the units that were not drawn, mean of `draws`
// (Tsamardinos, Greasidou & Borboudakis 2018). Error interrupted.
struct Expected {
  double accuracy = 0, balanced_accuracy = 0;
};
Result<Expected> expected_of_choice(const Judged& judged, int draws, std::uint64_t seed);

// Right answers of one setting: mean, and mean of the classes' means (of those with samples). drawn as above.
Expected figures_of(const Judged& judged, std::size_t setting, std::span<const std::int32_t> drawn = {});

}  // namespace sightline::heads
