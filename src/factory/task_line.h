// How the models of a task are made: the factory's half of a task, a row each (tasks/tasks.h is the other: what its answers are).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "dataset/audit.h"
#include "dataset/manifest.h"
#include "dataset/split.h"
#include "demand/demand.h"
#include "factory/recipe.h"
#include "features/backbone.h"
#include "graph/graph.h"
#include "image/image.h"
#include "line/line.h"
#include "package/package.h"
#include "tensor/tensor.h"

namespace sightline::factory {

struct BuildContext;

// What stands behind the features of a frozen backbone.
struct FittedHead {
  graph::Graph graph;
  Json figures;   // what was chosen and how well it did out of fold
  Json estimate;  // evaluation::CrossValidated, without the single classes; of classify
  Json outlook;   // sentences
  std::vector<dataset::Suspect> suspects;
  std::size_t look = 0;  // 0: the backbone as it is, else the one of HeadInputs::looks before it
};
struct Look;
struct HeadInputs {
  const features::Backbone& backbone;
  const Tensor& features;  // f32 N×D of `samples`
  const dataset::Manifest& manifest;
  const std::vector<std::int64_t>& samples;  // indices into the manifest
  bool quick = false;                        // few kinds of heads
  std::span<const Look> looks = {};          // dearer looks at the pictures that compete (factory/looks.h)
  const Tensor* mirrored = nullptr;          // f32 N×D, the samples in a mirror; where looks compete
};

struct TaskLine {
  const char* task;
  image::Fit fit = image::Fit::fit;  // how pictures come to the network's size: where places in them count they keep their proportions
  bool objects = false;              // training reads the boxes
  bool texts = false;                // or the texts
  bool masks = false;                // training reads the masks
  bool landmarks = false;            // or the landmarks
  bool sharp = false;                // training degrades pieces of the pictures at their own size
  bool starts = false;               // nets begin with the shipped backbone (BuildContext::start)
  // What the demand pins that does not go with the task. Error usage.
  Result<void> (*check_demand)(const demand::Demand& demand) = nullptr;
  // Decides train, validation and test.
  Result<void> (*split)(dataset::Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed) = dataset::assign_splits;
  // Whether people said of the pictures what the task learns from. Error invalid_data, with a remedy.
  Result<void> (*check_data)(const dataset::Manifest& manifest) = nullptr;
  // The net with its initial weights, and how it is trained.
  Result<ChosenRecipe> (*choose)(const demand::Demand& demand, const dataset::Manifest& manifest,
                                 const std::optional<StartingWeights>& start, int threads) = nullptr;
  // Writes the package with what is fitted on its own answers to validation pictures, and gives the temperature; null: it is written as it
  // is.
  Result<double> (*calibrate)(const BuildContext& context, package::Contents& contents, const dataset::Manifest& manifest,
                              const std::string& folder) = nullptr;
  Json versions = {};  // of what `choose` builds: the recipe is chosen again where one changed
  // Fits a head on what a frozen backbone says: the way of tasks that have it and nothing else (frozen_only), and of classify.
  Result<FittedHead> (*fit_head)(const BuildContext& build, const HeadInputs& inputs) = nullptr;
  bool frozen_only = false;
  bool looks = false;  // fit_head chooses among looks at the picture
  // The step that makes outputs "model" and "history" of the recipe's "graph"; null: the pictures are packed and the net is trained.
  line::Step (*fit_step)(const BuildContext& context) = nullptr;
};

// Error unsupported: no row makes models of this task.
Result<const TaskLine*> find_line(const std::string& task);
// One more row, of a program or test that brings a task of its own (tasks::add_task); before anything is built. Error conflict.
Result<void> add_line(const TaskLine& line);

}  // namespace sightline::factory
