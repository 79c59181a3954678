// Figures of segmentation (docs/segment.md has every rule): of all pixels of all pictures together, and of objects where masks tell them
// apart.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

// Pixels between two borders that still are the same border, for boundary_f1.
inline constexpr int kBorderTolerance = 2;

// values: mIoU, dice, boundary_f1, mIoU_background, pixel_accuracy; where any truth has instances also mask_ap, mask_ap50, count_error. A
// figure that has nothing to measure is left out. count: pixels of classes, or objects. A prediction of another size than its truth is
// taken for all background.
std::unique_ptr<Meter> segment_meter(const std::vector<std::string>& classes);

}  // namespace sightline::tasks
