// Detection: points that answer for objects (detect_loss.h). Batches carry the objects, moved as their pictures were.
#include <fmt/format.h>

#include <algorithm>

#include "modules/detector.h"
#include "training/detect_loss.h"
#include "training/objective.h"

namespace sightline::training {
namespace {

class Detection final : public Objective {
 public:
  Detection(std::int64_t height, std::int64_t width) : grid_(height, width) {}

  std::vector<std::string> outputs() const override { return {modules::class_logits, modules::box_logits}; }
  bool counts_right() const override { return false; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool /*training*/) override {
    return {detection_loss(grid_, outputs[0], outputs[1], batch.objects), 0};
  }

 private:
  PointGrid grid_;
};

}  // namespace

Result<std::unique_ptr<Objective>> make_detection(const ObjectiveInputs& inputs) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: {}", inputs.spec.graph, what)};
  };
  const modules::Recipe& recipe = inputs.spec.recipe;
  if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
    return Error{ErrorKind::usage, "recipe: loss and label_smoothing are for one label per picture, and the task is detect"};
  if (!inputs.spec.leave_out.empty())
    return Error{ErrorKind::usage, "leave_out takes pictures of a class out, and with the task detect a picture has many"};
  if (!inputs.set.has_objects())
    return Error{ErrorKind::invalid_data, fmt::format("{} says nothing of objects; pack it again with them", inputs.spec.data)};

  const Tensor pixels = inputs.set.pixels();
  const std::int64_t height = pixels.dim(1), width = pixels.dim(2), classes = std::ssize(inputs.set.classes());
  const std::int64_t points = std::ssize(modules::anchor_points(height, width));
  for (const auto& [name, wanted] :
       {std::pair{modules::class_logits, Shape{-1, points, classes}}, {modules::box_logits, Shape{-1, points, 4 * modules::box_bins}}}) {
    const bool there = std::ranges::find(inputs.graph.training_outputs, name) != inputs.graph.training_outputs.end();
    const auto found = inputs.values.find(name);
    if (!there || found == inputs.values.end() || found->second.shape != wanted)
      return wrong(fmt::format("no detector for {}×{} pixels and {} classes: the training output \"{}\" is {}, not {}", width, height,
                               classes, name, there && found != inputs.values.end() ? to_string(found->second.shape) : "missing",
                               to_string(wanted)));
  }
  if (std::ranges::all_of(inputs.training.chosen, [&](std::int64_t sample) { return inputs.set.objects_of(sample).empty(); }))
    return Error{ErrorKind::invalid_data, fmt::format("{} has no object in its training pictures", inputs.spec.data)};
  inputs.training.objects = inputs.validation.objects = &inputs.set;
  return std::unique_ptr<Objective>(new Detection(height, width));
}

}  // namespace sightline::training
