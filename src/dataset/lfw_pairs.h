// Pairs of pictures with folds, as Labeled Faces in the Wild writes them (Huang et al. 2007, pairs.txt): which comparisons a protocol
// makes, and which fold each belongs to. Fields stand apart by tabs, or by blanks in a line without tabs.
//
//   10  300                    folds, and pairs of either kind in each; one number alone: pairs of either kind, one fold
//   NAME  1  4                 pictures 1 and 4 of NAME; 300 such lines, then
//   NAME  1  OTHER  2          picture 1 of NAME and picture 2 of OTHER; 300 such lines; and so on for each fold
//
// NAME is a class of the manifest. Picture 4 of it is the one whose file name, without its extension, ends in the number 4 (NAME_0004.jpg).
#pragma once

#include <string>

#include "dataset/manifest.h"

namespace sightline::dataset {

// Fills manifest.pairs. A pair whose pictures are not there (unknown names, no such number, a picture with itself, one identity where two
// are wanted) goes to manifest.rejected as "FILE:LINE". Errors: invalid_data names file and line: no such header, a line with another
// number of fields than its place wants, more or fewer lines than the header says; more than max_rejected of the pairs rejected (lists the
// first ones); io.
Result<void> read_pairs(const std::string& path, double max_rejected, Manifest& manifest);

}  // namespace sightline::dataset
