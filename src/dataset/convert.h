// From one form of annotations to another, with what gets lost said in words.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dataset/collection.h"

namespace sightline::dataset {

struct Conversion {
  Collection collection;
  std::vector<std::string> losses;                            // what the format cannot carry, and how often that stood there
  std::vector<std::string> remarks;                           // what is carried, but not by every tool understood
  std::vector<std::pair<std::string, std::string>> pictures;  // files: from, relative to the old root; to, relative to the new one
};

// Fills sizes that the annotations leave out (YOLO's always do) from the headers of the pictures below root. A picture that cannot be read
// becomes a refusal and is left out.
void settle_sizes(Collection& collection, const std::string& root);

// Into the layout that the format's tools expect (docs/formats/annotations.md). To the format that it has: nothing changes but that a JSON
// file from elsewhere lies in the folder. The collection has sizes. Numbers of boxes change by rounding only.
Conversion convert(Collection collection, BoxFormat to);

// The files of any collection.
std::vector<TextFile> write_collection(const Collection& collection);

}  // namespace sightline::dataset
