// What figures of embeddings are made of: cosines of pairs, in order. Internal to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sightline::tasks {

// One comparison. Weights come from how often its identities were chosen.
struct Comparison {
  float score = 0;
  std::int32_t first = 0, second = 0;   // identities; equal where the pair is genuine
  std::int64_t case_a = 0, case_b = 0;  // places
  std::int32_t fold = 0;
  bool genuine() const { return first == second; }
};

// One score with the weights of the genuine and impostor pairs that have it; highest first.
struct ScoreStep {
  double score = 0, genuine = 0, impostor = 0;
};
using IdentityWeights = std::span<const double>;

double weight_of(const Comparison& pair, IdentityWeights weights);
// The pairs must be sorted, highest score first; those without weight are left out.
std::vector<ScoreStep> steps_of(std::span<const Comparison> sorted, IdentityWeights weights);

std::optional<double> area_under_roc(std::span<const ScoreStep> steps);
std::optional<double> equal_error_rate(std::span<const ScoreStep> steps);

struct Accepted {
  double threshold = 0;  // accepts what is not below
  double genuine = 0;    // share that is accepted
};
// At the lowest score that accepts at most this share of the impostors; the threshold is above all where none does.
std::optional<Accepted> accepted_at(std::span<const ScoreStep> steps, double share_of_impostors);

struct Verification {
  double accuracy = 0, error = 0, threshold = 0;  // means over the folds, and the standard error of the first
};
// Pairs of at least two folds, both kinds or one. Nothing where fewer have weight.
std::optional<Verification> verify(std::span<const Comparison> sorted, IdentityWeights weights);

}  // namespace sightline::tasks
