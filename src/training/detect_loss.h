// What a detector of points is taught (modules/detector.h): which points answer for which object, and what a wrong answer costs.
//
// Assignment and scores: Feng et al. 2021 (TOOD, arXiv:2108.07755). Boxes: Zheng et al. 2020 (complete IoU, arXiv:1911.08287), and Li et
// al. 2020 (distribution focal loss, arXiv:2006.04388). Every loss here is 0 where the answer is the target: what the cross-entropy with a
// soft target cannot go below is taken off.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <vector>

#include "dataset/packed_set.h"
#include "modules/detector.h"

namespace sightline::training {

// The points of a picture of this size, by levels, finest first.
class PointGrid {
 public:
  struct Level {
    std::int64_t stride = 0, height = 0, width = 0, first = 0;  // first: its first point
  };

  PointGrid(std::int64_t height, std::int64_t width);
  const std::vector<Level>& levels() const { return levels_; }
  const std::vector<modules::AnchorPoint>& points() const { return points_; }
  std::int64_t count() const { return static_cast<std::int64_t>(points_.size()); }

 private:
  std::vector<modules::AnchorPoint> points_;
  std::vector<Level> levels_;
};

struct AssignOptions {
  std::size_t most_points = 10;               // for each object
  double score_power = 1, overlap_power = 6;  // alignment = score^1 · overlap^6
};

// Points that answer for an object, over a batch; entries of one place belong together.
struct Assignment {
  std::vector<std::int64_t> rows;  // image · P + point
  std::vector<std::int64_t> labels;
  std::vector<float> scores;           // what the class's score shall be, 0 to 1
  std::vector<float> boxes;            // left, top, right, bottom in pixels
  std::vector<std::int64_t> unjudged;  // row · K + class: cells that lie in an ignored object of that class and answer for none
};

// A point may answer for an object when it lies within its box and, but for the coarsest stride, none of the box's edges is farther away
// than the bins reach. Of these the ones with the best alignment of the class's score with the overlap (intersection over union, counted as
// 0.01 at least) of the predicted box take it, at most most_points (ties: the earlier point). A point that several objects take goes to the
// one that its box overlaps most (ties: the earlier object). The score that is taught is the alignment, scaled so that the best point of
// an object gets the largest overlap among its points. An object that holds no point gets the one of the finest cell that its centre lies
// in.
//
// objects: of each image; scores f32 images×P×K, 0 to 1; boxes f32 images×P×4, pixels, as predicted now.
Assignment assign(const PointGrid& grid, std::span<const std::vector<dataset::PackedObject>> objects, std::span<const float> scores,
                  std::span<const float> boxes, std::int64_t classes, const AssignOptions& options = {});

// Distances f32 …×4 (left, top, right, bottom, in strides) that logits f32 …×64 stand for: the means of their distributions.
torch::Tensor distances_of(const torch::Tensor& logits);

// 1 - complete IoU of boxes that are given as distances f32 M×4 from one point each; M.
torch::Tensor box_loss(const torch::Tensor& predicted, const torch::Tensor& wanted);

// Cross-entropy of the distributions f32 M×64 with those that put each wanted distance f32 M×4 (clamped to what the bins reach) between its
// two nearest bins, less its least; mean over the four sides; M.
torch::Tensor distribution_loss(const torch::Tensor& logits, const torch::Tensor& wanted);

// Binary cross-entropy with soft targets, less its least, summed over the cells f32 N×P×K that `judged` (f32, 0 or 1) names.
torch::Tensor score_loss(const torch::Tensor& logits, const torch::Tensor& targets, const torch::Tensor& judged);

// What the parts weigh in the whole; each is divided by the sum of the taught scores (at least 1), and boxes count by their score.
inline constexpr double score_weight = 1, box_weight = 5, distribution_weight = 1;

// class_logits f32 N×P×K, box_logits f32 N×P×64, objects of each of the N pictures. A scalar.
torch::Tensor detection_loss(const PointGrid& grid, const torch::Tensor& class_logits, const torch::Tensor& box_logits,
                             std::span<const std::vector<dataset::PackedObject>> objects);

}  // namespace sightline::training
