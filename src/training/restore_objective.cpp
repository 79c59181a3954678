// Restoration: crops of sharp pictures, degraded anew for every step, and what they should look like (restore_loss.h).
#include <fmt/format.h>

#include <algorithm>

#include "modules/restorer.h"
#include "training/objective.h"
#include "training/restore_loss.h"

namespace sightline::training {
namespace {

class Restoring final : public Objective {
 public:
  Restoring(const PictureShape& crop, int scale) : height_(crop.height * scale), width_(crop.width * scale), channels_(crop.channels) {}

  std::vector<std::string> outputs() const override { return {modules::restored_picture, modules::log_variance}; }
  bool counts_right() const override { return false; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool training) override {
    constexpr double middle = 127.5;
    const torch::Tensor wanted =
        torch::from_blob(const_cast<std::uint8_t*>(batch.sharp.data()), {batch.count(), height_, width_, channels_}, torch::kByte)
            .permute({0, 3, 1, 2})
            .to(torch::kFloat)
            .sub(middle)
            .div(middle);
    torch::Tensor loss = charbonnier_loss(outputs[0], wanted);
    // Epochs are compared by the picture alone.
    if (training) loss = loss + deviation_weight * deviation_loss(outputs[0], outputs[1], wanted);
    return {loss, 0};
  }

 private:
  std::int64_t height_, width_, channels_;
};

}  // namespace

Result<std::unique_ptr<Objective>> make_restoration(const ObjectiveInputs& inputs) {
  const modules::Recipe& recipe = inputs.spec.recipe;
  const auto usage = [](std::string what) { return Error{ErrorKind::usage, std::move(what)}; };
  if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
    return usage("recipe: loss and label_smoothing are for one label per picture, and the task is restore");
  if (recipe.augmentation != modules::Augmentation::none && recipe.augmentation != modules::Augmentation::flip)
    return usage(fmt::format("recipe: augmentation {} mixes pixels, and what is restored must be sharp; take flip or none",
                             enum_name(recipe.augmentation)));
  if (!inputs.spec.leave_out.empty()) return usage("leave_out takes pictures of a class out, and the task restore knows none");
  SIGHTLINE_TRY(tasks::Restoration restoration, tasks::restoration_of(inputs.graph.metadata));
  const int scale = restoration.degradation.scale;
  const PictureShape sharp = inputs.training.shape;
  const int side = modules::crop_side(scale);
  const int reach = (tasks::reach_of(restoration.degradation) + scale - 1) / scale * scale;
  const Shape& input = inputs.graph.inputs[0].shape;
  for (const auto& [name, channels] :
       {std::pair{modules::restored_picture, std::int64_t{sharp.channels}}, {modules::log_variance, std::int64_t{1}}}) {
    const Shape wanted{-1, channels, input[1] * scale, input[2] * scale};
    const auto found = inputs.values.find(name);
    const bool declared = std::ranges::find(inputs.graph.training_outputs, name) != inputs.graph.training_outputs.end();
    if (!declared || found == inputs.values.end() || found->second.shape != wanted)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: no restorer that makes pictures {} times as large: the training output \"{}\" is {}, not {}",
                               inputs.spec.graph, scale, name,
                               declared && found != inputs.values.end() ? to_string(found->second.shape) : "missing", to_string(wanted))};
  }
  if (sharp.width != sharp.height || sharp.width < side * scale + 2 * reach)
    return Error{ErrorKind::invalid_data, fmt::format("{}: pieces of {}×{} pixels; crops of {} want squares of {} or more",
                                                      inputs.spec.data, sharp.width, sharp.height, side * scale, side * scale + 2 * reach)};
  for (Samples* samples : {&inputs.training, &inputs.validation}) {
    samples->sharp = SharpTiles{.shape = sharp, .degradation = restoration.degradation};
    samples->shape = {side, side, sharp.channels};
  }
  return std::unique_ptr<Objective>(new Restoring(inputs.training.shape, scale));
}

}  // namespace sightline::training
