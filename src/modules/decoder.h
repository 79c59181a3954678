// From the maps of a backbone back to a fine one. Internal to this folder.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::modules {

// From the coarsest of a backbone's stages (strides 2 to 32, modules.h) up, as many doublings as there are widths: each meets the finer
// stage on its way as a sum (Lin et al. 2017), and is smoothed by a plain 3×3 convolution. One width gives N×width×H/16×W/16, four give
// N×width×H/2×W/2 with the last one's width.
std::string append_decoder(graph::Builder& builder, const std::vector<std::string>& stages, std::span<const std::int64_t> widths);

// Gives the convolutions that make these values small weights: at first every answer is about as probable as the others.
void say_little_at_first(graph::Graph& graph, std::span<const std::string> values);

}  // namespace sightline::modules
