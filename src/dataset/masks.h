// Where the mask of a picture lies, and what it says.
#pragma once

#include <string>
#include <string_view>

#include "dataset/manifest.h"

namespace sightline::dataset {

// For a picture of MVTec AD's layout, both relative to the root: test/scratch/003.png → ground_truth/scratch/003_mask.png. "" for good ones
// and for whatever is not below test/KIND. Whether the file is there is not looked at.
std::string mvtec_mask_of(std::string_view picture);

// What the sample's mask says, of manifests that have such (Manifest::masks): Annotation::mask, and of masks of objects instances and
// objects with their boxes; nothing for other manifests. Safe to call from several threads. Errors: not_found, io; invalid_data: the file
// has changed since the import, or is no mask any more.
Result<void> read_mask(const Manifest& manifest, const Sample& sample, annotation::Annotation& truth);

}  // namespace sightline::dataset
