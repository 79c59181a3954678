// A packed set (packed_set.h) of pieces of pictures with their masks, all at their own size: what a segmenter of large pictures learns
// from.
#pragma once

#include <string>

#include "dataset/packed_set.h"

namespace sightline::dataset {

// As pack() with masks, but a sample for each width×height piece of each picture (image/tiles.h), row by row, picture after picture. Beyond
// the edges of a picture that is smaller it is mirrored, and nothing is said there. Errors: as pack(); usage where more than masks is
// wanted.
Result<void> pack_pieces(const Manifest& manifest, const PackOptions& options, const std::string& path);

}  // namespace sightline::dataset
