// Pictures with a mask picture each (PNG): in folders beside each other (images/ and masks/, instances/, labels/ or annotations/), or
// beside the picture under the same name. Internal to this folder; masks.h reads them.
#pragma once

#include <string>
#include <vector>

#include "dataset/importers.h"

namespace sightline::dataset {

// Most pictures of images/ have a mask, or nearly all that have one beside them.
bool looks_like_masks(const Source& source);
// A picture without a mask, and a mask without a picture, are losses. Error invalid_data: no picture with a mask; split.group_by column.
Result<Listing> list_masks(const Source& source, const demand::SplitPlan& plan);

// Looks at every mask: fills Sample::mask, Manifest::masks and classes, and says in `reasons` which cannot be used (another size, values of
// no class, unreadable, 8 bits among 16). Masks of 16 bits hold objects. Those of 8 bits hold classes: 0 is background; one other value is
// the one class; else the names of classes.txt are values 1, 2, … (0 where the first is called background), without it every value is a
// class, and 255 is not judged. Errors invalid_data: `policy` is stop and a mask is bad; no class; more than 32 values without names.
Result<void> settle_masks(const Source& source, const Listing& listing, demand::BadBoxes policy, std::vector<Sample>& samples,
                          std::vector<std::string>& reasons, Manifest& manifest);

}  // namespace sightline::dataset
