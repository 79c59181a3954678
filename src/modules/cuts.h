// Which values of a foreign graph a head reads: the feature layer alone, or earlier ones beside it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "modules/feature_layer.h"
#include "modules/necks.h"

namespace sightline::modules {

// Words that stand for a value that is found; anything else is the value's name in the file.
//   last     the feature layer ("auto" is another word for it)
//   middle   the map that the last halving of its side reads
//   early    the map that the halving before reads
//   all      those of early, middle and last that there are
struct CutLayer {
  std::string name;  // the word ("last" for auto), or the value's name
  FeatureLayer layer;
};

// values: shapes, the batch free. A neck that is not the average wants maps: a feature layer that the network pooled itself is taken before
// its pool. Errors name the file: those of feature_layer.h; usage (a word for what the network does not have; a cut that is named twice;
// a neck on a cut that has no places).
Result<std::vector<CutLayer>> find_cuts(const graph::Graph& graph, const std::map<std::string, graph::ValueInfo>& values,
                                        const std::string& file, const std::vector<std::string>& wanted, Neck neck);

}  // namespace sightline::modules
