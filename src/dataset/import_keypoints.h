// COCO's keypoints and tables of points, one from the other. Internal to this folder.
#pragma once

#include "dataset/collection.h"
#include "dataset/importers.h"

namespace sightline::dataset {

// Whether the JSON file that data.labels names, or one below the root, has keypoints.
bool looks_like_keypoints(const Source& source);

// Each object with keypoints is a sample: the part of its picture that its box and its points take ("street.jpg#120,40,64,180"), the points
// in the pixels of that part. Classes are the names in the category's "keypoints". An object of which no point is said (v = 0 of all), or
// that is a crowd, is passed over, and told. Points that are no three numbers each, or of which v is none of 0, 1, 2, are refused with
// their JSON pointer. Errors: those of read_coco; invalid_data: no category with keypoints, or two with other ones.
Result<Listing> list_keypoints(const Source& source, const demand::SplitPlan& plan);

// The way back: what a table of points says, as COCO writes keypoints; a sample is an object whose box is its part of the picture.
Result<Collection> collect_landmarks(const Source& source);

}  // namespace sightline::dataset
