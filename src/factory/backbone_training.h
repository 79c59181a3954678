// A backbone of our own, by distillation: many strongly altered views of pictures, what a teacher says of each, and a net of ours that
// learns to say the same. Steps like those of a build, so that a killed or stopped training goes on where it was:
//
//   views → distil → backbone
//
// views    every view is drawn, and the teacher's features of it are computed by the runtime, once (in bf16 where its features agree)
// distil   sightline-train: the net, with a linear layer behind its features that is thrown away, learns the teacher's standardised ones
// backbone weights without that layer, rounded to f16, as safetensors whose metadata say what it is and what it was made of
#pragma once

#include <string>
#include <vector>

#include "base/sha256.h"
#include "factory/backbone_recipe.h"
#include "line/line.h"
#include "store/workspace.h"

namespace sightline::factory {

struct BackboneTraining {
  BackboneRecipe recipe;
  std::string data;  // folder that the recipe's paths begin at
  int threads = 1;
  bool progress = true;
};

// Sets whose folder or file is missing are left out with a warning that names them. Errors: not_found (the teacher, or every set is
// missing), usage (no sightline-train, an unknown net), invalid_data.
Result<std::vector<line::Step>> backbone_training_steps(const BackboneTraining& training, store::Workspace& workspace);

struct TrainedBackbone {
  bool ran_anything = false;
  Digest weights;    // blob: the safetensors file
  std::string path;  // of the blob
  std::vector<line::StepRecord> steps;
};
Result<TrainedBackbone> train_backbone(const BackboneTraining& training, store::Workspace& workspace, const line::Line::OnStep& on_step);

}  // namespace sightline::factory
