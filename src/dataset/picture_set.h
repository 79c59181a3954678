// Pictures without labels: all below a folder, or the records of an IDX file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"
#include "image/image.h"

namespace sightline::dataset {

struct PictureListing {
  std::string root;
  std::vector<std::string> samples;  // as Sample::path, sorted
  Digest digest;                     // of names, sizes and times, as far as stat tells
};

// path: a folder, or an IDX file of pictures. list: a file whose lines name the files that are taken, by name or by name without extension,
// whatever folder they lie in. most: at most so many, spread evenly over the sorted listing; 0: all. Errors: not_found; invalid_data (no
// pictures, names in the list that no file has).
Result<PictureListing> list_picture_set(const std::string& path, const std::optional<std::string>& list, std::int64_t most);

// Decoded (grey stays grey), brought down to `largest_side` where a side is longer. In parallel. Errors name the file.
Result<std::vector<image::Image>> read_picture_set(const PictureListing& listing, int largest_side, int threads);

}  // namespace sightline::dataset
