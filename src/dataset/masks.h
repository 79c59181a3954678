// Where the mask of a picture lies.
#pragma once

#include <string>
#include <string_view>

namespace sightline::dataset {

// For a picture of MVTec AD's layout, both relative to the root: test/scratch/003.png → ground_truth/scratch/003_mask.png. "" for good ones
// and for whatever is not below test/KIND. Whether the file is there is not looked at.
std::string mvtec_mask_of(std::string_view picture);

}  // namespace sightline::dataset
