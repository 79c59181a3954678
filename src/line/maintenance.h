// The workspace's care, with what the step log knows: what finished steps still refer to.
#pragma once

#include <cstdint>
#include <vector>

#include "store/workspace.h"

namespace sightline::line {

// store::fsck with the outputs of every step's last run, and the step log itself. repair also sets damaged blobs, release folders and log
// lines aside, so that the next build makes again what is missing.
Result<std::vector<store::Problem>> fsck(store::Workspace& workspace, bool repair);

// Keeps releases and the outputs of every step's last run; gives the bytes freed (with dry_run: that would be freed). Error conflict while
// a build runs.
Result<std::uint64_t> collect_garbage(store::Workspace& workspace, bool dry_run);

}  // namespace sightline::line
