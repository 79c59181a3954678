// How the models of a task are made: the factory's half of a task, a row each (tasks/tasks.h is the other: what its answers are).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "dataset/manifest.h"
#include "demand/demand.h"
#include "factory/recipe.h"
#include "image/image.h"
#include "line/line.h"

namespace sightline::factory {

struct BuildContext;

struct TaskLine {
  const char* task;
  image::Fit fit = image::Fit::fit;  // how pictures come to the network's size: where places in them count they keep their proportions
  bool objects = false;              // training reads the boxes
  bool starts = false;               // nets begin with the shipped backbone (BuildContext::start)
  // What the demand pins that does not go with the task. Error usage.
  Result<void> (*check_demand)(const demand::Demand& demand) = nullptr;
  // Whether people said of the pictures what the task learns from. Error invalid_data, with a remedy.
  Result<void> (*check_data)(const dataset::Manifest& manifest) = nullptr;
  // The net with its initial weights, and how it is trained.
  Result<ChosenRecipe> (*choose)(const demand::Demand& demand, const dataset::Manifest& manifest,
                                 const std::optional<StartingWeights>& start, int threads) = nullptr;
  Json versions = {};  // of what `choose` builds: the recipe is chosen again where one changed
  // The step that makes outputs "model" and "history" of the recipe's "graph"; null: the pictures are packed and the net is trained.
  line::Step (*fit_step)(const BuildContext& context) = nullptr;
};

// Error unsupported: no row makes models of this task.
Result<const TaskLine*> find_line(const std::string& task);
// One more row, of a program or test that brings a task of its own (tasks::add_task); before anything is built. Error conflict.
Result<void> add_line(const TaskLine& line);

}  // namespace sightline::factory
