// Reading: all ways through the columns that stand for the text (tasks/ctc.h), as connectionist temporal classification has it. Batches
// carry the texts.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "modules/reader.h"
#include "tasks/ctc.h"
#include "training/ctc_loss.h"
#include "training/objective.h"

namespace sightline::training {
namespace {

class Reading final : public Objective {
 public:
  explicit Reading(std::int64_t symbols) : symbols_(symbols) {}

  std::vector<std::string> outputs() const override { return {modules::column_logits}; }
  bool counts_right() const override { return true; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool /*training*/) override {
    Judgement judgement{ctc_loss(outputs[0], batch.texts), 0};
    const torch::Tensor columns = torch::softmax(outputs[0].detach().to(torch::kFloat), 2).contiguous();
    const auto row = static_cast<std::size_t>(columns.size(1) * columns.size(2));
    for (std::size_t n = 0; n < batch.texts.size(); ++n) {
      const std::span<const float> picture{columns.data_ptr<float>() + n * row, row};
      judgement.right += tasks::read_greedily(picture, symbols_) == batch.texts[n] ? 1 : 0;
    }
    return judgement;
  }

 private:
  std::int64_t symbols_;
};

}  // namespace

Result<std::unique_ptr<Objective>> make_reading(const ObjectiveInputs& inputs) {
  const modules::Recipe& recipe = inputs.spec.recipe;
  if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
    return Error{ErrorKind::usage, "recipe: loss and label_smoothing are for one label per picture, and the task is read"};
  using modules::Augmentation;
  for (const Augmentation kind : {Augmentation::flip, Augmentation::light, Augmentation::strong, Augmentation::mosaic})
    if (recipe.augmentation == kind)
      return Error{ErrorKind::usage,
                   fmt::format("recipe: augmentation {} mirrors pictures, and a mirrored text says something else", enum_name(kind))};
  if (!inputs.spec.leave_out.empty())
    return Error{ErrorKind::usage, "leave_out takes pictures of a class out, and with the task read a picture has many"};
  if (!inputs.set.has_texts())
    return Error{ErrorKind::invalid_data, fmt::format("{} says nothing of texts; pack it again with them", inputs.spec.data)};
  const auto found = inputs.values.find(modules::column_logits);
  const std::int64_t symbols = std::ssize(inputs.set.classes());
  const bool there = std::ranges::find(inputs.graph.training_outputs, modules::column_logits) != inputs.graph.training_outputs.end();
  if (!there || found == inputs.values.end() || found->second.shape.size() != 3 || found->second.shape[2] != symbols + 1)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no reader of {} symbols: the training output \"{}\" is {}, not {}", inputs.spec.graph, symbols,
                             modules::column_logits, there && found != inputs.values.end() ? to_string(found->second.shape) : "missing",
                             to_string(Shape{-1, -1, symbols + 1}))};
  const std::int64_t columns = found->second.shape[1];
  for (const Samples* samples : {&inputs.training, &inputs.validation})
    for (const std::int64_t sample : samples->chosen)
      if (const std::int64_t wanted = tasks::least_columns(inputs.set.text_of(sample)); wanted > columns)
        return Error{ErrorKind::invalid_data,
                     fmt::format("{}: the text of sample {} wants {} columns, and the net tells {}; widen its input", inputs.spec.data,
                                 sample, wanted, columns)};
  inputs.training.texts = inputs.validation.texts = &inputs.set;
  return std::unique_ptr<Objective>(new Reading(symbols));
}

}  // namespace sightline::training
