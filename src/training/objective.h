// What differs between tasks in training: which outputs of the graph are judged, and what they cost. The loop is the same for all; a task
// is a row of the table in objective.cpp.
#pragma once

#include <torch/torch.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataset/packed_set.h"
#include "graph/graph.h"
#include "modules/training_spec.h"
#include "training/batches.h"

namespace sightline::training {

// Of one batch.
struct Judgement {
  torch::Tensor loss;      // a scalar, the mean over its pictures
  std::int64_t right = 0;  // pictures with the right answer, where that is counted
};

class Objective {
 public:
  Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;
  virtual ~Objective() = default;

  // Outputs of the graph that are judged, in the order in which judge() gets them.
  virtual std::vector<std::string> outputs() const = 0;
  // Whether a picture has one right answer: else top1 is no figure of this task.
  virtual bool counts_right() const = 0;
  // training: the loss that is descended, as the recipe has it; else the one that epochs are compared by.
  virtual Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool training) = 0;
};

// What an objective may look at when it is made.
struct ObjectiveInputs {
  const modules::TrainingSpec& spec;
  const graph::Graph& graph;
  const std::map<std::string, graph::ValueInfo>& values;  // shapes, the batch free
  const dataset::PackedSet& set;
  Samples &training, &validation;  // an objective says here what batches shall carry
};

// Errors: not_found names the nearest task; usage and invalid_data where recipe, graph and set do not fit the task.
Result<std::unique_ptr<Objective>> make_objective(const ObjectiveInputs& inputs);

// detect_objective.cpp
Result<std::unique_ptr<Objective>> make_detection(const ObjectiveInputs& inputs);
// read_objective.cpp
Result<std::unique_ptr<Objective>> make_reading(const ObjectiveInputs& inputs);

// embed_objective.cpp
Result<std::unique_ptr<Objective>> make_embedding(const ObjectiveInputs& inputs);
// landmark_objective.cpp
Result<std::unique_ptr<Objective>> make_landmarks(const ObjectiveInputs& inputs);
// restore_objective.cpp
Result<std::unique_ptr<Objective>> make_restoration(const ObjectiveInputs& inputs);
// segment_objective.cpp
Result<std::unique_ptr<Objective>> make_segmentation(const ObjectiveInputs& inputs);

}  // namespace sightline::training
