// Videos among the pictures of a listing. Internal to this folder.
#pragma once

#include <string>
#include <vector>

#include "dataset/importers.h"
#include "dataset/manifest.h"

namespace sightline::dataset {

// Puts in place of each entry whose file is called like a video one for each frame that `frames` takes, with its sample described (several
// videos at a time, each decoded once). One that gives no frame stays, with the reason why; what else is to be said of one goes to
// listing.refused. Errors: interrupted; not_found (the decoder program).
Result<void> describe_videos(const std::string& root, const demand::Frames& frames, Listing& listing, std::vector<Sample>& samples,
                             std::vector<std::string>& reasons);

}  // namespace sightline::dataset
