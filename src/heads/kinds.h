// The kinds of heads that are fitted in closed form, or nearly so: one row each, in the order of Kind. Demands (recipe.head), the CLI and
// the docs read them.
#pragma once

#include <cstdint>
#include <span>

#include "heads/head.h"

namespace sightline::heads {

struct KindRow {
  Kind kind;
  bool competes;  // unless a demand names one: choose_head tries it
  const char* description;
  const char* source;
};
std::span<const KindRow> kinds();

// Numbers that are learned, and multiplications with additions counted as two, of a head with so many features and classes.
struct HeadCost {
  std::int64_t parameters = 0, flops = 0;
};
HeadCost cost_of(Kind kind, std::int64_t features, std::int64_t classes);

}  // namespace sightline::heads
