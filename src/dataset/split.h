// Decides train, validation and test: stratified by class, never tearing a group apart, the same for the same seed and samples whatever
// their order. A given test split is respected and never trained on; likewise a given validation split.
#pragma once

#include "dataset/manifest.h"
#include "demand/demand.h"

namespace sightline::dataset {

// Fills split (and group, for near_duplicates: connected clusters of equal digests or perceptual hashes at most 3 bits apart with
// compatible size). Errors: invalid_data (a class that cannot be in train).
Result<void> assign_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed);

}  // namespace sightline::dataset
