// search and the packaging of one of its points: in place of the choosing of head and recipe, where the demand says `search`.
//
//   import → split → audit, search → package → compress → evaluate → release
//
// What the search leaves in the store, "points", is a folder:
//   points.json            {"chosen": K, "points": [{"number": K, "candidate": …, "rung": …}]}
//   K/head.onnx, K/backbone/{backbone.onnx,backbone.data}      a frozen backbone and its head
//   K/model.onnx, K/recipe.json                                 a network that was trained
//   K/history.json         how it came about
// and "search", what evaluation/report_search.h draws, with the record of decisions.
#pragma once

#include <string>

#include "factory/build.h"
#include "factory/search_space.h"

namespace sightline::factory {

// worker: sightline-train, "" where there is none: then only heads are fitted.
line::Step search_step(const BuildContext& context, const std::vector<SearchBackbone>& backbones, const std::string& worker,
                       const std::string& worker_version);
// Of build.options.point, or of the chosen one.
line::Step search_package_step(const BuildContext& context);

}  // namespace sightline::factory
