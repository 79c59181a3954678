// What a net can be trained with: losses, augmentations, optimisers, schedules. One row each; demands (recipe.loss, …), the CLI and the
// docs read the rows. What they do stands in training/.
#pragma once

#include <span>

#include "modules/training_spec.h"

namespace sightline::modules {

struct TrainingPart {
  const char* name;  // of the enumerator
  const char* description;
  const char* source;
};

// In the order of the enumerators.
std::span<const TrainingPart> losses();
std::span<const TrainingPart> augmentations();
std::span<const TrainingPart> optimizers();
std::span<const TrainingPart> schedules();

}  // namespace sightline::modules
