// Embeddings: identities and pairs of them (metric_loss.h). Identities of the validation pictures are nobody whom training has seen, so
// epochs are compared by how well pairs are told apart.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "modules/embedder.h"
#include "modules/metric_losses.h"
#include "training/metric_loss.h"
#include "training/objective.h"

namespace sightline::training {
namespace {

class Embedding final : public Objective {
 public:
  Embedding(modules::Recipe recipe, std::vector<std::int64_t> column_of) : recipe_(std::move(recipe)), column_of_(std::move(column_of)) {}

  // The columns are no output but a weight of the graph; by its name it can be asked for as well.
  std::vector<std::string> outputs() const override { return {modules::features_output, modules::identity_columns}; }
  bool counts_right() const override { return false; }
  Judgement judge(const std::vector<torch::Tensor>& outputs, const Batch& batch, bool training) override {
    torch::Tensor labels = torch::tensor(batch.labels, torch::kLong);
    if (!training) return {torch::scalar_tensor(pair_error(outputs[0], labels)), 0};
    for (std::int64_t i = 0; i < batch.count(); ++i)
      labels[i] = column_of_[static_cast<std::size_t>(batch.labels[static_cast<std::size_t>(i)])];
    return {metric_loss(recipe_, outputs[0], outputs[1], labels), 0};
  }

 private:
  modules::Recipe recipe_;
  std::vector<std::int64_t> column_of_;  // by label
};

}  // namespace

Result<std::unique_ptr<Objective>> make_embedding(const ObjectiveInputs& inputs) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: {}", inputs.spec.graph, what)};
  };
  const modules::Recipe& recipe = inputs.spec.recipe;
  if (recipe.loss != modules::Loss::cross_entropy || recipe.label_smoothing > 0)
    return Error{ErrorKind::usage, "recipe: loss and label_smoothing are for one label per picture, and the task is embed: metric_loss"};
  if (recipe.augmentation == modules::Augmentation::mosaic)
    return Error{ErrorKind::usage, "recipe: augmentation mosaic is for detection: a picture of four shows no one identity"};
  std::vector<std::int64_t> column_of(inputs.set.classes().size(), -1);
  std::map<std::int32_t, std::int64_t> pictures;
  for (const std::int64_t sample : inputs.training.chosen) ++pictures[inputs.training.labels[static_cast<std::size_t>(sample)]];
  std::int64_t identities = 0;
  for (const auto& [label, count] : pictures) column_of[static_cast<std::size_t>(label)] = identities++;
  for (const std::int64_t sample : inputs.validation.chosen) {
    const auto label = static_cast<std::size_t>(inputs.validation.labels[static_cast<std::size_t>(sample)]);
    if (column_of[label] >= 0)
      return Error{ErrorKind::invalid_data, fmt::format("{}: the identity \"{}\" is in train and in validation, which must not share one",
                                                        inputs.spec.data, inputs.set.classes()[label])};
  }
  const bool any_pair = std::ranges::any_of(pictures, [](const auto& each) { return each.second > 1; });
  if (modules::row_of(recipe.metric_loss).wants_pairs && (!any_pair || identities < 2))
    return Error{ErrorKind::usage,
                 fmt::format("recipe: metric_loss {} learns from pairs of one identity and of two, and {}; take softmax, "
                             "cosface, arcface or adaface",
                             enum_name(recipe.metric_loss), any_pair ? "there is one identity only" : "no identity has two pictures")};
  const auto features = inputs.values.find(modules::features_output), scores = inputs.values.find(modules::identity_scores);
  if (features == inputs.values.end() || scores == inputs.values.end() || features->second.shape.size() != 2 ||
      scores->second.shape.size() != 2 || !inputs.graph.initializers.contains(modules::identity_columns))
    return wrong(fmt::format("no embedder: the training outputs \"{}\" and \"{}\" and the weight \"{}\" are wanted",
                             modules::features_output, modules::identity_scores, modules::identity_columns));
  if (scores->second.shape[1] != identities)
    return wrong(fmt::format("its training output \"{}\" is {}, and {} is trained on {} identities", modules::identity_scores,
                             to_string(scores->second.shape), inputs.spec.data, identities));
  return std::unique_ptr<Objective>(new Embedding(recipe, std::move(column_of)));
}

}  // namespace sightline::training
