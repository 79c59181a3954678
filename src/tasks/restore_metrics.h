// How near restored pictures are to what they should look like, and whether a model knows how near.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "image/image.h"
#include "tasks/tasks.h"

namespace sightline::tasks {

// 10 log10(255² / mean squared difference) over all values, in dB; of equal pictures most_psnr. Sizes are the same.
inline constexpr double most_psnr = 100;
double psnr(const image::Image& a, const image::Image& b);

// Structural similarity (Wang et al. 2004): windows of 11×11 with Gaussian weights (1.5), K1 0.01, K2 0.03, range 255; the mean over all
// windows that lie within the picture, and over the channels. Pictures with a side below 11: 1 where they are equal, else 0.
double ssim(const image::Image& a, const image::Image& b);

// Means over the pictures of
//   psnr, ssim                        of the answer
//   psnr_shown, ssim_shown            of what the model was shown; where it is smaller, enlarged by bicubic interpolation
//   psnr_gain                         the difference; ssim_gain likewise
//   within_two_deviations             share of the values that are off by no more than twice the deviation that the model expects
//   deviation, error                  root of the mean square of what is expected, and of what is (levels), over all values
// and the curve of the one against the other. Cases carry `shown`, truth.restored and the prediction's restored and deviation.
std::unique_ptr<Meter> restore_meter(const std::vector<std::string>& classes);

}  // namespace sightline::tasks
