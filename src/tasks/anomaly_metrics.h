// Figures of anomaly detectors: how well scores tell good pictures from others, and map values good pixels from others.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

// A case's truth is good where its score is not above 0.5; its label is the kind, a place in classes. Maps are brought to the size of the
// mask, else of the picture. A picture that is not good and has no mask says nothing of pixels; a good one without a mask is good
// everywhere.
//
// Values over a choice (a picture that is chosen twice counts twice):
//   image_auroc        probability that a picture that is not good has the higher score than a good one, half of equals (exact)
//   average_precision  of pictures: sum over the scores, highest first, of (recall - recall before) · precision; equals are taken together
//   pixel_auroc        as image_auroc, of pixels. Map values are rounded to 1/65535; that apart it is exact
//   aupro              area under the mean share of each defect (8-connected region of a mask) that is found, over the share of good
//                      pixels that are not, up to 0.3 of them, over 0.3 (Bergmann et al. 2021, MVTec AD); values rounded alike
//   detection_rate, false_alarm_rate   share of pictures that are not good, and of good ones, whose score is above 0.5
// Per class: image_auroc and detection_rate of this kind against all good pictures; count: pictures of it that are not good. What has
// nothing to measure is left out.
//
// Wrongness of a case: its score where it is good, 1 - score where it is not.
//
// figures() may be called by several threads at once, add() by none beside them.
std::unique_ptr<Meter> anomaly_meter(const std::vector<std::string>& classes);

// Regions of a mask rows × columns that hang together over edges or corners: each pixel's region, from 1 on in reading order; 0 where
// the mask is 0. The second is how many there are.
std::pair<std::vector<std::int32_t>, std::int32_t> regions_of(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns);

}  // namespace sightline::tasks
