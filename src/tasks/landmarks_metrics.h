// Figures of landmarkers (docs/landmarks.md). The error of a point is its distance from where people say it is, in units of the picture:
// the distance between the eyes, where the names have them (annotation/landmarks.h) and both are known; else the diagonal of the box around
// the known points over √2 (the side of a square box); of a single point the same of the picture. Points of which nothing is said count
// nowhere; covered ones count.
//
//   nme            normalised mean error: of each picture the mean over its points, of these the mean; less is better
//   pck_0.1, pck_0.05, success_0.1, auc_0.1   as tasks.cpp says them
//   error_px       mean distance in pixels of the pictures; less is better
// Per point: count, nme (the mean of its errors), pck_0.1.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

std::unique_ptr<Meter> landmarks_meter(const std::vector<std::string>& classes);

}  // namespace sightline::tasks
