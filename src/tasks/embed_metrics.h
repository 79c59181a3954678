// Figures of embeddings: how well cosines tell pairs of one identity (genuine) from pairs of two (impostors). Definitions: docs/embed.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

// A case's truth says the identity (label, a place in classes; what has none is left out), its prediction the embedding, its group of whom
// rates are told apart. Identities are counted in the order in which they come; they are the units that figures() chooses from, because
// what another test set would differ by is its identities: pairs that share one are not independent. A genuine pair of an identity that is
// chosen w times counts w times, an impostor pair w·v times.
//
// Comparisons: genuine pairs, of each identity at most most_genuine, taken evenly; and impostor pairs, at most most_impostors, taken
// evenly, all in the order of the cases. Values over them:
//   roc_auc             a genuine pair's cosine is above an impostor's, half of equals (exact)
//   equal_error_rate    where as many impostors are accepted as genuine pairs are refused; linear between thresholds
//   tar_at_fmr_1e-2, _1e-3, _1e-4   share of genuine pairs accepted at the lowest threshold that accepts at most that share of the
//                       impostors; stated where at least 30 impostors may be accepted (Doddington et al. 2000)
//   rank1, rank5        of the pictures whose identity has others (at most most_probes, taken evenly): one of the 1, 5 nearest of all
//                       other pictures shows it; equals count against it
//   genuine_pairs, impostor_pairs   what stands behind them; told with the curves
// and over pairs with folds (compare(); without any, comparisons within parts of the identities (a third as many, 2 to 10), as many of
// either kind):
//   verification_accuracy  mean over the folds of the share of pairs told rightly, by the threshold that tells most of the other folds'
//                       pairs rightly: halfway between neighbouring cosines, the highest of equals (Huang et al. 2007). Pairs of one fold
//                       only are dealt into ten
//   verification_error  standard error of that mean: deviation of the folds (n - 1) over √n
//   threshold           mean of the folds' thresholds
// Per class: one row a group, count its pictures: rank1; at the threshold of tar_at_fmr_1e-2 tar and fmr of the pairs within the group.
//
// Wrongness of a case: half of 1 + how much more alike the nearest picture of another identity is than that of its own; 0 where it has no
// other, or is no probe.
//
// figures() may be called by several threads at once, add() and compare() by none beside them.
inline constexpr std::size_t most_genuine = 200, most_impostors = 1'000'000, most_probes = 2000;
std::unique_ptr<Meter> embed_meter(const std::vector<std::string>& classes);

}  // namespace sightline::tasks
