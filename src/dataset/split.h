// Decides train, validation and test: stratified by class, never tearing a group apart, the same for the same seed and samples whatever
// their order. A given test split is respected and never trained on; likewise a given validation split.
#pragma once

#include "dataset/manifest.h"
#include "demand/demand.h"

namespace sightline::dataset {

// Fills split (and group, for near_duplicates: see duplicates.h; equal digests or perceptual hashes at most 4 bits apart with the same mean
// and contrast). plan.test is a share of what is not given, plan.validation a share of what is then left.
//   - Samples of a given split never move. Given training samples that share a group with them stay in train: the audit reports the leak,
//   and
//     validation is kept clean of it.
//   - Pictures with objects are spread so that every class has its share of objects, and the splits their share of pictures, in each; a
//     class without objects, or with objects in a given split only, is no error.
//   - Every class keeps at least one sample in train, which comes before the shares. validation may stay empty when no class can spare
//     a sample; for test that is an error.
// Errors: usage (shares outside [0, 1)), invalid_data (no samples, a label without a class name, a class that cannot be in train, nothing
// to spare for the test). On error the splits are unchanged.
Result<void> assign_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed);

}  // namespace sightline::dataset
