// Nodes that the training engine runs as one. Internal to autograd/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::autograd {

// BatchNormalization → [Add →] [Relu] becomes one node "FusedNorm" where nobody else reads what lies between: inputs as
// BatchNormalization and then the shortcut that is added, attributes epsilon and rectify (1: with Relu). It stands where the last of them
// stood, and keeps its output's name. nodes are in topological order; wanted values are kept.
std::vector<graph::Node> fuse_norms(std::vector<graph::Node> nodes, const std::vector<std::string>& wanted,
                                    const std::map<std::string, graph::ValueInfo>& shapes);

}  // namespace sightline::autograd
