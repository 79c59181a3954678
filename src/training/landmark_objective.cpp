// Landmarks: a map for each (landmark_loss.h). Batches carry their places, moved as the pictures were.
#include <fmt/format.h>

#include <algorithm>

#include "annotation/landmarks.h"
#include "modules/landmarker.h"
#include "tasks/landmarks.h"
#include "training/landmark_loss.h"
#include "training/objective.h"

namespace sightline::training {
namespace {

static_assert(tasks::landmark_cell == modules::landmark_stride, "answers are read with the cells that were taught");

class Landmarks final : public Objective {
 public:
  explicit Landmarks(std::int64_t count) : count_(count) {}

  std::vector<std::string> outputs() const override { return {modules::place_logits}; }
  bool counts_right() const override { return false; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool /*training*/) override {
    torch::Tensor places = torch::empty({batch.count(), count_, 3}, torch::kFloat);
    auto to = places.accessor<float, 3>();
    constexpr float cell = modules::landmark_stride;
    for (std::int64_t n = 0; n < batch.count(); ++n) {
      for (std::int64_t k = 0; k < count_; ++k) {
        const dataset::PackedLandmark& point = batch.landmarks[static_cast<std::size_t>(n * count_ + k)];
        to[n][k][0] = point.x / cell;
        to[n][k][1] = point.y / cell;
        to[n][k][2] = point.said == 0 ? 0.0F : 1.0F;
      }
    }
    return {landmark_loss(outputs[0], places), 0};
  }

 private:
  std::int64_t count_;
};

}  // namespace

Result<std::unique_ptr<Objective>> make_landmarks(const ObjectiveInputs& inputs) {
  const modules::Recipe& recipe = inputs.spec.recipe;
  if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
    return Error{ErrorKind::usage, "recipe: loss and label_smoothing are for one label per picture, and the task is landmarks"};
  if (recipe.augmentation == modules::Augmentation::mosaic)
    return Error{ErrorKind::usage, "recipe: augmentation mosaic is for boxes; landmarks take strong or light"};
  if (!inputs.spec.leave_out.empty())
    return Error{ErrorKind::usage, "leave_out takes pictures of a class out, and with the task landmarks a picture has none"};
  if (!inputs.set.has_landmarks())
    return Error{ErrorKind::invalid_data, fmt::format("{} has no landmarks; pack it again with them", inputs.spec.data)};
  const Tensor pixels = inputs.set.pixels();
  const std::int64_t count = std::ssize(inputs.set.classes());
  const Shape wanted{-1, count, pixels.dim(1) / modules::landmark_stride, pixels.dim(2) / modules::landmark_stride};
  const bool declared = std::ranges::find(inputs.graph.training_outputs, modules::place_logits) != inputs.graph.training_outputs.end();
  const auto found = inputs.values.find(modules::place_logits);
  if (!declared || found == inputs.values.end() || found->second.shape != wanted)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no landmarker for {}×{} pixels and {} points: the training output \"{}\" is {}, not {}",
                             inputs.spec.graph, pixels.dim(2), pixels.dim(1), count, modules::place_logits,
                             declared && found != inputs.values.end() ? to_string(found->second.shape) : "missing", to_string(wanted))};
  inputs.training.landmarks = inputs.validation.landmarks = &inputs.set;
  return std::unique_ptr<Objective>(new Landmarks(count));
}

}  // namespace sightline::training
