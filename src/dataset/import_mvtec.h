// MVTec AD's layout (Bergmann et al. 2021): train/good/*, test/good/*, test/KIND/*, and ground_truth/KIND/NAME_mask.png for what is not
// good.
#pragma once

#include <string>
#include <string_view>

#include "dataset/importers.h"

namespace sightline::dataset {

inline constexpr const char* mvtec_good = "good";  // the first class

bool looks_like_mvtec(const Source& source);
// Classes are good and the kinds; pictures of train/good are for training, those of test for testing. Masks are not samples: they are
// listed as such, and one whose picture is not there counts as a loss. Error invalid_data: split.group_by column.
Result<Listing> list_mvtec(const Source& source, const demand::SplitPlan& plan);

}  // namespace sightline::dataset
