// Where a foreign graph stops to describe a picture and begins to name classes.
#pragma once

#include <map>
#include <string>

#include "graph/graph.h"

namespace sightline::modules {

struct FeatureLayer {
  std::string value;
  std::string reason;  // "the input of the last Conv (\"v64\")"
};

// values: shapes, the batch free. Errors as import_classifier says.
Result<FeatureLayer> find_feature_layer(const graph::Graph& graph, const std::map<std::string, graph::ValueInfo>& values,
                                        const std::string& file);
// The value that is named, if a head can read it.
Result<FeatureLayer> named_feature_layer(const graph::Graph& graph, const std::map<std::string, graph::ValueInfo>& values,
                                         const std::string& file, const std::string& name);

}  // namespace sightline::modules
