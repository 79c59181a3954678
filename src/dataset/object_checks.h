// Whether what annotations say of a picture can be true of it. Internal to this folder.
#pragma once

#include <string>
#include <vector>

#include "dataset/importers.h"

namespace sightline::dataset {

// Numbers that were rounded when they were written may lie so far beyond the picture (pixels); they are cut at its edge, and that is all.
inline constexpr double rounding_beyond_edge = 0.5;

// Fills Sample::annotation of each entry that was read (reasons[i] is ""), in edges and pixels. Where the annotations speak of another
// size, reasons[i] says so. A box without area, or beyond the picture, becomes a refusal of listing; with `clip` what is within the picture
// is kept, and the refusal is no loss.
void fill_objects(Listing& listing, demand::BadBoxes policy, std::vector<Sample>& samples, std::vector<std::string>& reasons);

}  // namespace sightline::dataset
