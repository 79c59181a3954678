// Detectors and their backbone as several tests want them.
#pragma once

#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::modules {

inline DetectorOptions detector_for_test(std::int64_t height, std::int64_t width, std::int64_t classes) {
  return {.height = height,
          .width = width,
          .channels = 3,
          .classes = classes,
          .mean = {127.5F, 127.5F, 127.5F},
          .deviation = {64, 64, 64},
          .seed = 3};
}

// A classifier on sight-s with its normalisation in place.
inline Result<graph::Graph> sight_s_for_test(std::uint64_t seed) {
  return build_classifier({.backbone = "sight-s",
                           .height = 96,
                           .width = 96,
                           .channels = 3,
                           .classes = 2,
                           .mean = {127.5F, 127.5F, 127.5F},
                           .deviation = {64, 64, 64},
                           .seed = seed});
}

}  // namespace sightline::modules
