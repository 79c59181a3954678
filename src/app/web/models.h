// One model: its releases, and of one of them everything that was measured, decided and used.
#pragma once

#include "app/web/answers.h"
#include "app/web/site.h"
#include "base/json.h"

namespace sightline::web {

// {"row": ModelRow, "releases": [{"version","created","in_force","figures","sentence","package"}…] newest first}. Errors: usage (the name),
// not_found.
Result<Json> model_about(Site& site, const std::string& name);

// A release with its figures, verdict, limits, classes, curves, history, compression, search, lineage, card and the steps that it was made
// by. version 0: the one in force.
Result<Json> release_about(Site& site, const std::string& name, std::int64_t version);

// Two releases, "apparel:2": figures that both have with their difference, the paired interval of top1 where both answered the same
// pictures, and what differs in the lineage. Errors: usage, not_found.
Result<Json> compare_releases(Site& site, Answers& answers, const std::string& a, const std::string& b);

// The step records that a release came from, the first ones first: [{"step","seconds","sentence","started","figures","inputs": {name: step
// or ""}}…].
Json made_from(Site& site, const store::Release& release);

}  // namespace sightline::web
