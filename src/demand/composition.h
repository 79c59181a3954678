// Which parts of a demand go together. Each pair that does not is a row of one table, so that nothing runs before it is refused.
#pragma once

#include <span>

#include "base/yaml.h"
#include "demand/demand.h"

namespace sightline::demand {

struct Clash {
  const char* part;              // the key that the error points to: "recipe.loss"
  const char* other;             // what it does not go with: "backbone.freeze: backbone"
  bool (*given)(const Demand&);  // whether the demand states both
  const char* why;
  const char* remedy;
};
std::span<const Clash> clashes();

// Error invalid_data with file and line: "recipe.loss: focal and backbone.freeze: backbone do not go together: why; remedy".
Result<void> check_composition(const YamlNode& root, const Demand& demand);

}  // namespace sightline::demand
