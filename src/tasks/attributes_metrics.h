// Figures of attributes over pictures whose truth is known, label by label: what nobody said counts nowhere.
//
//   mAP        mean over the labels of the average precision: sum over the scores, highest first, of (recall - recall before) · precision;
//              equals are taken together. Labels that no picture has are left out
//   macro_f1   mean over the same labels of the harmonic mean of precision and recall of what is said
//   accuracy   mean over the questions of the share of pictures that are answered rightly
// Per label: average_precision, f1, precision, recall, and how many pictures have it. Precision is 0 where nothing is said.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

// classes: labels as annotation/attributes.h has them. A picture's wrongness is the share of the questions about it that are answered
// wrongly.
std::unique_ptr<Meter> attributes_meter(const std::vector<std::string>& classes);

}  // namespace sightline::tasks
