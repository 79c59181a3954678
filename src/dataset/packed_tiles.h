// A packed set (packed_set.h) of pieces of pictures at their own size: what is learned from them must not be resized.
#pragma once

#include <string>

#include "base/result.h"
#include "dataset/manifest.h"

namespace sightline::dataset {

struct TileOptions {
  int side = 0, channels = 0;           // of the pieces
  std::int64_t most_bytes = 4LL << 30;  // of all pixels; pieces are left out evenly where there were more
};

// side×side pieces that cover each picture of the training and validation splits, spread evenly over it, overlapping where they must; a
// picture that is smaller is mirrored beyond its edge. Each is a sample of its picture's label and split, picture after picture. Errors: as
// pack().
Result<void> pack_tiles(const Manifest& manifest, const TileOptions& options, const std::string& path);

}  // namespace sightline::dataset
