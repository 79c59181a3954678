// Necks: how what a backbone says of every place of a picture becomes one vector. One explicit table; demands (recipe.neck), the CLI and
// the docs read its rows.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "graph/builder.h"

namespace sightline {
namespace modules {

enum class Neck { average, max, generalised_mean };

struct NeckRow {
  Neck neck;
  const char* description;
  const char* source;
};
std::span<const NeckRow> necks();

// A map f32 N×F×h×w → f32 N×F×1×1, or tokens f32 N×T×F → f32 N×F. The builder's and a graph's own way; both append the same nodes.
std::string append_neck(graph::Builder& builder, Neck neck, const std::string& map);
// The nodes are named after `name`, which the last one makes; constants go into the graph.
void append_neck(graph::Graph& graph, Neck neck, const std::string& value, bool tokens, const std::string& name);

}  // namespace modules

template <>
struct EnumNames<modules::Neck> {
  static constexpr std::array<const char*, 3> names{"average", "max", "generalised_mean"};
};

}  // namespace sightline
