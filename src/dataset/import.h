// From a folder to a manifest without splits decided: class folders (ImageFolder, with train/val/test above the classes or not), IDX pairs
// (.gz too), CSV (path,label[,split][,group…]). Every file is accepted, or rejected with a reason; nothing is dropped in silence.
#pragma once

#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "demand/demand.h"

namespace sightline::dataset {

// One row per importer (import.cpp): name, what it looks like, detect, list.
std::vector<std::string> format_names();
// Error invalid_data says what was looked for and what was found instead.
Result<std::string> detect_format(const std::string& root);

// Digest of what the folder holds as far as stat tells (paths, sizes, modification times): cheap, for the dirty check.
Result<Digest> listing_digest(const demand::Data& data);

// Decodes every image once (in parallel, bounded memory), with progress. Errors: not_found, invalid_data (no images, one class only, more
// rejected than data.max_rejected: lists the first ones), interrupted.
Result<Manifest> import_data(const demand::Data& data, const demand::SplitPlan& split);

}  // namespace sightline::dataset
