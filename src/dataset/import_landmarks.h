// From columns of a table to landmarks.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "dataset/importers.h"

namespace sightline::dataset {

// Fills the annotation of every sample whose reason is empty; places are in pixels of the sample, its part of the picture where it is one.
// A landmark that lies outside of its picture is what data.bad_boxes says of boxes: left out (nothing is said of it then) or moved to the
// edge, and told among the refused; a picture without any is no sample.
void fill_landmarks(Listing& listing, demand::BadBoxes bad, std::vector<Sample>& samples, std::vector<std::string>& reasons);

}  // namespace sightline::dataset
