// What embeddings are taught by. f32 in and out; N pictures with identities `labels` (i64 N), features x f32 N×D as the net gives them,
// one column w for each of K identities (f32 D×K). Each is the mean over what it counts; pairs are all pairs of the batch.
#pragma once

#include <torch/torch.h>

#include "modules/training_spec.h"

namespace sightline::training {

// Cross-entropy of x·w (no bias).
torch::Tensor softmax_identity_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels);

struct Margin {
  double margin = 0, scale = 1;
};
// Cross-entropy of scale · c, c the cosines of x and w, that of the own identity made worse first:
//   cosface   c - m
//   arcface   cos(angle + m) as long as angle + m stays below π, then c - m·sin(m), so that it keeps falling
//   adaface   cos(angle - m·q) - (m·q + m), with q in [-1, 1] the feature's length, in the batch's own mean and deviation, times 0.33
//             (the paper takes running ones); angle - m·q kept within 0 to π. q is no way for the gradient.
torch::Tensor cosface_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels, Margin margin);
torch::Tensor arcface_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels, Margin margin);
torch::Tensor adaface_loss(const torch::Tensor& features, const torch::Tensor& columns, const torch::Tensor& labels, Margin margin);

// Over the pairs of one identity the mean of ½d², plus over pairs of two the mean of ½max(0, margin - d)²; d the distance of these rows.
// A kind that the batch does not have adds 0.
torch::Tensor contrastive_loss(const torch::Tensor& rows, const torch::Tensor& labels, double margin);

// Rows of unit length. Over the ordered pairs (a, p) of one identity the mean of max(0, d²(a,p) - d²(a,n) + margin): n the nearest of
// another identity that is farther from a than p is; where none is, the farthest of all (semi-hard). 0 where the batch has no pair of
// either kind.
torch::Tensor triplet_loss(const torch::Tensor& rows, const torch::Tensor& labels, double margin);

// The distance at which telling pairs of one identity (below) from pairs of two goes wrong least often, either kind counting the same:
// halfway between neighbours, the smallest of equals. 0 where the batch lacks a kind.
double best_distance(const torch::Tensor& rows, const torch::Tensor& labels);

// As the recipe has it. deepid2: softmax_identity_loss + pair_weight · contrastive_loss of the features as they are, whose margin is
// best_distance, or the recipe's where that is above 0 (the paper finds it among the pairs of the last steps).
torch::Tensor metric_loss(const modules::Recipe& recipe, const torch::Tensor& features, const torch::Tensor& columns,
                          const torch::Tensor& labels);

// How epochs are compared, whatever taught: share of (pair of one identity, pair of two) of which the second is the more alike by cosine,
// half of equals: 1 - area under the curve. 0.5 where the batch lacks a kind.
double pair_error(const torch::Tensor& features, const torch::Tensor& labels);

}  // namespace sightline::training
