// Segmentation: what stands at every pixel, and where objects end (segment_loss.h). Batches carry the masks, moved as their pictures were.
#include <fmt/format.h>

#include <algorithm>

#include "modules/segmenter.h"
#include "training/objective.h"
#include "training/segment_loss.h"

namespace sightline::training {
namespace {

class Segmentation final : public Objective {
 public:
  Segmentation(std::int64_t height, std::int64_t width, bool instances) : height_(height), width_(width), instances_(instances) {}

  std::vector<std::string> outputs() const override {
    std::vector<std::string> names{modules::pixel_logits};
    if (instances_) names.emplace_back(modules::instance_logits);
    return names;
  }
  bool counts_right() const override { return false; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool /*training*/) override {
    const torch::Tensor masks =
        torch::from_blob(const_cast<std::uint8_t*>(batch.masks.data()), {batch.count(), height_, width_}, torch::kByte);
    torch::Tensor loss = pixel_loss(outputs[0], masks);
    if (instances_) {
      const torch::Tensor targets =
          torch::from_blob(const_cast<float*>(batch.instance_maps.data()), {batch.count(), 2, height_, width_}, torch::kFloat);
      loss = loss + instance_loss(outputs[1], targets, masks);
    }
    return {loss, 0};
  }

 private:
  std::int64_t height_, width_;
  bool instances_;
};

}  // namespace

Result<std::unique_ptr<Objective>> make_segmentation(const ObjectiveInputs& inputs) {
  const modules::Recipe& recipe = inputs.spec.recipe;
  if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
    return Error{ErrorKind::usage, "recipe: loss and label_smoothing are for one label per picture, and the task is segment"};
  if (recipe.augmentation == modules::Augmentation::mosaic)
    return Error{ErrorKind::usage, "recipe: augmentation mosaic is for boxes; masks take strong or light"};
  if (!inputs.spec.leave_out.empty())
    return Error{ErrorKind::usage, "leave_out takes pictures of a class out, and with the task segment a picture has many"};
  if (!inputs.set.has_masks())
    return Error{ErrorKind::invalid_data, fmt::format("{} has no masks; pack it again with them", inputs.spec.data)};
  const Tensor pixels = inputs.set.pixels();
  const std::int64_t height = pixels.dim(1), width = pixels.dim(2), classes = std::ssize(inputs.set.classes());
  const auto declared = [&](const char* name) {
    return std::ranges::find(inputs.graph.training_outputs, name) != inputs.graph.training_outputs.end();
  };
  const bool instances = inputs.set.has_instances();
  for (const auto& [name, channels] : {std::pair{modules::pixel_logits, classes + 1}, {modules::instance_logits, std::int64_t{2}}}) {
    if (name == modules::instance_logits && !instances) continue;
    const Shape wanted{-1, channels, height, width};
    const auto found = inputs.values.find(name);
    if (!declared(name) || found == inputs.values.end() || found->second.shape != wanted)
      return Error{
          ErrorKind::invalid_data,
          fmt::format("{}: no segmenter for {}×{} pixels and {} classes: the training output \"{}\" is {}, not {}", inputs.spec.graph,
                      width, height, classes, name,
                      declared(name) && found != inputs.values.end() ? to_string(found->second.shape) : "missing", to_string(wanted))};
  }
  inputs.training.masks = inputs.validation.masks = &inputs.set;
  return std::unique_ptr<Objective>(new Segmentation(height, width, instances));
}

}  // namespace sightline::training
