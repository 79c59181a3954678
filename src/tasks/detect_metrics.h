// Figures of found boxes: COCO's average precision and recall, equal to pycocotools to the last digit (docs/detect.md says what that means
// and where the expected numbers come from), and the score of each class at which precision and recall are best together.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

// Labels of the cases are places in classes; scores of predictions are numbers.
//
// Figures over a choice: a picture that is chosen twice counts as two pictures, in the order of the choice. Values: mAP50-95, mAP50, mAP75,
// mAP50-95_small, _medium, _large, AR1, AR10, AR100, AR_small, _medium, _large; per class mAP50, mAP50-95, and at the score with the
// largest F1 at an overlap of 0.5 (the highest of equals): precision, recall, f1, score. What has nothing to measure is left out.
//
// Wrongness of a case: 1 - F1 at an overlap of 0.5 of the boxes that reach their class's best score over all cases; 0 where there is
// nothing and nothing is found.
//
// figures() and wrongness() may be called by several threads at once, add() by none beside them. A draw costs time in proportion to the
// found boxes of its pictures.
std::unique_ptr<Meter> detect_meter(const std::vector<std::string>& classes);

// The mean as NumPy 1.24 rounds it: pairwise sums within pieces of 8192 values. 0 for none.
double numpy_mean(std::span<const double> values);

}  // namespace sightline::tasks
