// Decides train, validation and test where what is shown (the class: an identity) is to be told apart though nobody has seen it before:
// all pictures of an identity are in one split.
#pragma once

#include "dataset/manifest.h"
#include "demand/demand.h"

namespace sightline::dataset {

// Fills split. With plan.test_folds the test identities are those of the pairs of these folds; all others are trained on or validated
// with. Else a share plan.test of the pictures, identity by identity in an order that the seed decides; one that is too large for what is
// still missing goes to train. plan.validation is a share of what is then left, taken likewise. A given test or validation split stays.
// Groups stay as they are: here they only say of whom figures are told apart. The same for the same seed and samples whatever their order.
// Errors: invalid_data (an identity in two given splits, lists the first ones; a fold that no pair is of; fewer than two identities to
// train on; nothing to compare in the test split: no identity with two pictures, or only one), usage (shares; test_folds without pairs or
// beside a given test split). On error the splits are unchanged.
Result<void> assign_identity_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed);

}  // namespace sightline::dataset
