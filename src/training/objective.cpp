#include "training/objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "training/loss.h"

namespace sightline::training {
namespace {

// Labels from "logits" f32 N×K.
class Classification final : public Objective {
 public:
  Classification(std::string logits, const modules::Recipe& recipe, torch::Tensor weights)
      : logits_(std::move(logits)), loss_(recipe.loss), smoothing_(recipe.label_smoothing), weights_(std::move(weights)) {}

  std::vector<std::string> outputs() const override { return {logits_}; }
  bool counts_right() const override { return true; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool training) override {
    const torch::Tensor& logits = outputs[0];
    const torch::Tensor labels = torch::from_blob(const_cast<std::int64_t*>(batch.labels.data()), {batch.count()}, torch::kLong);
    Judgement judgement;
    judgement.loss = training ? classification_loss(loss_, logits, labels, weights_, smoothing_)
                              : classification_loss(modules::Loss::cross_entropy, logits, labels, {}, 0);
    judgement.right = logits.detach().argmax(1).eq(labels).sum().item<std::int64_t>();
    return judgement;
  }

 private:
  std::string logits_;
  modules::Loss loss_;
  double smoothing_;
  torch::Tensor weights_;
};

// What another network says of each picture, likewise.
class Distillation final : public Objective {
 public:
  Distillation(std::string logits, TargetScale scale) : logits_(std::move(logits)), scale_(std::move(scale)) {}

  std::vector<std::string> outputs() const override { return {logits_}; }
  bool counts_right() const override { return false; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool /*training*/) override {
    const auto width = static_cast<std::int64_t>(batch.targets.size()) / batch.count();
    const torch::Tensor targets = torch::from_blob(const_cast<float*>(batch.targets.data()), {batch.count(), width}, torch::kFloat);
    return {distillation_loss(outputs[0], targets, scale_), 0};
  }

 private:
  std::string logits_;
  TargetScale scale_;
};

Result<std::string> logits_of(const ObjectiveInputs& inputs, std::int64_t wanted_width, const char* unit) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: {}", inputs.spec.graph, what)};
  };
  const auto& outputs = inputs.graph.training_outputs;
  std::string name;
  if (std::find(outputs.begin(), outputs.end(), "logits") != outputs.end()) {
    name = "logits";
  } else if (outputs.size() == 1) {
    name = outputs[0];
  } else {
    return wrong("no training output is called \"logits\" (metadata key sightline_training_outputs)");
  }
  const auto logits = inputs.values.find(name);
  if (logits == inputs.values.end() || logits->second.shape.size() != 2 || logits->second.shape[1] != wanted_width)
    return wrong(fmt::format("the training output \"{}\" is {}, the set has {} {}", name,
                             logits == inputs.values.end() ? "nowhere" : to_string(logits->second.shape), wanted_width, unit));
  return name;
}

Result<std::unique_ptr<Objective>> make_classification(const ObjectiveInputs& inputs) {
  const modules::Recipe& recipe = inputs.spec.recipe;
  if (recipe.augmentation == modules::Augmentation::mosaic)
    return Error{ErrorKind::usage, "recipe: augmentation mosaic is for detection: a picture of four has no one label"};
  const std::int64_t width = inputs.set.target_width(), classes = std::ssize(inputs.set.classes());
  if (width > 0) {
    SIGHTLINE_TRY(std::string logits, logits_of(inputs, width, "numbers to a target"));
    if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
      return Error{ErrorKind::usage, "recipe: loss and label_smoothing are for labels, and the set carries target vectors"};
    return std::unique_ptr<Objective>(
        new Distillation(std::move(logits), scale_of(inputs.training.targets, width, inputs.training.chosen)));
  }
  SIGHTLINE_TRY(std::string logits, logits_of(inputs, classes, "classes"));
  torch::Tensor weights = class_weights(recipe.loss, inputs.training.labels, inputs.training.chosen, classes);
  return std::unique_ptr<Objective>(new Classification(std::move(logits), recipe, std::move(weights)));
}

struct Row {
  const char* task;
  Result<std::unique_ptr<Objective>> (*make)(const ObjectiveInputs& inputs);
};
constexpr std::array rows{Row{"classify", make_classification}, Row{"detect", make_detection}, Row{"embed", make_embedding},
                          Row{"landmarks", make_landmarks},     Row{"read", make_reading},     Row{"restore", make_restoration},
                          Row{"segment", make_segmentation}};

}  // namespace

Result<std::unique_ptr<Objective>> make_objective(const ObjectiveInputs& inputs) {
  std::vector<std::string> names;
  for (const Row& row : rows) {
    if (inputs.spec.task == row.task) return row.make(inputs);
    names.emplace_back(row.task);
  }
  return Error{ErrorKind::not_found, fmt::format("task: nothing is trained for \"{}\"{}; there are {}", inputs.spec.task,
                                                 did_you_mean(inputs.spec.task, names), join(names, ", "))};
}

}  // namespace sightline::training
