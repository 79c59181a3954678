// The recipe for a network that the demand brings.
#include <algorithm>
#include <array>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "factory/backbone.h"
#include "factory/recipe.h"
#include "features/backbone.h"
#include "modules/imported.h"
#include "weights/weights.h"

namespace sightline::factory {
namespace {

// Foreign weights are good already: large steps destroy them. Measured with normalisation folded away: a peak of 0.005 collapsed to the
// most frequent class, 0.0005 learned. The head may move faster.
constexpr double head_rate = 0.002, folded_rate = 0.0005, normalised_rate = 0.001;
constexpr double largest_gradient = 1.0;
constexpr int patience = 5;
constexpr int largest_batch = 32;

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

int layers_with_weights(const graph::Graph& graph) {
  const auto roles = graph::roles_of(graph);
  return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const graph::Node& node) {
    return node.op_type != "PRelu" && std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
             const auto role = roles.find(input);
             return role != roles.end() && role->second == graph::Role::weight;
           });
  }));
}

}  // namespace

void choose_careful_rates(const demand::Demand& demand, ChosenRecipe& chosen) {
  modules::Recipe& recipe = chosen.recipe;
  const bool normalised =
      std::ranges::any_of(chosen.graph.nodes, [](const graph::Node& node) { return node.op_type.ends_with("Normalization"); });
  recipe.learning_rate = head_rate;
  recipe.backbone_rate = (normalised ? normalised_rate : folded_rate) / head_rate;
  recipe.clip = largest_gradient;
  recipe.weight_decay = 1e-4;
  recipe.label_smoothing = 0;
  recipe.patience = patience;
  recipe.batch = std::min(recipe.batch, largest_batch);
  pin_training(demand.recipe, recipe);
  chosen.reasons.push_back(
      fmt::format("head first, in closed form; then everything at a low rate: {:g} for the head, {:g} for the backbone, gradients clipped "
                  "at {:g}, batches of {}",
                  recipe.learning_rate, recipe.learning_rate * recipe.backbone_rate, recipe.clip, recipe.batch));
}

modules::Neck neck_of(const demand::Demand& demand) {
  modules::Neck neck = modules::Neck::average;
  if (demand.recipe.neck) enum_from(*demand.recipe.neck, neck);
  return neck;
}

Result<modules::ImportedClassifier> import_network(const demand::Demand& demand, std::int64_t classes) {
  const demand::Backbone& backbone = *demand.backbone;
  SIGHTLINE_TRY(graph::Graph source, graph::read_onnx(*backbone.onnx));
  std::vector<std::string> cuts = demand::cuts_of(demand);
  if (features::is_backbone(source)) {  // cut already: what is tuned ends in those of its cuts that are wanted
    SIGHTLINE_TRY(const features::Backbone made, features::read_backbone(std::filesystem::path(*backbone.onnx).parent_path().string()));
    SIGHTLINE_TRY(const features::Backbone wanted, with_wanted_cuts(made, demand, true));
    source = wanted.graph;
    cuts = {"auto"};
  }
  const auto floats = [](const std::optional<std::vector<double>>& list) {
    return list ? std::vector<float>(list->begin(), list->end()) : std::vector<float>();
  };
  SIGHTLINE_TRY(modules::ImportedClassifier imported, modules::import_classifier(source, *backbone.onnx,
                                                                                 {.cuts = cuts,
                                                                                  .neck = neck_of(demand),
                                                                                  .classes = classes,
                                                                                  .side = demand.recipe.side.value_or(0),
                                                                                  .mean = floats(backbone.mean),
                                                                                  .deviation = floats(backbone.scale),
                                                                                  .seed = static_cast<std::uint64_t>(demand.seed)}));
  if (demand.recipe.side && *demand.recipe.side != imported.side)
    return Error{ErrorKind::usage, fmt::format("recipe.side is {}, but {} takes pictures of {} pixels a side; leave recipe.side out",
                                               *demand.recipe.side, file_name(*backbone.onnx), imported.side)};
  return imported;
}

Result<ChosenRecipe> choose_imported_recipe(const demand::Demand& demand, const dataset::Manifest& manifest, int threads) {
  const demand::Backbone& backbone = *demand.backbone;
  ChosenRecipe chosen;
  SIGHTLINE_TRY(modules::ImportedClassifier imported, import_network(demand, static_cast<std::int64_t>(manifest.classes.size())));
  chosen.recipe.backbone = file_name(*backbone.onnx);
  chosen.recipe.side = imported.side;
  chosen.recipe.channels = imported.channels;
  chosen.reasons.push_back(fmt::format("backbone {}: the demand brings it; {}×{} pictures of {}", chosen.recipe.backbone, imported.side,
                                       imported.side, plural(static_cast<std::uint64_t>(imported.channels), "channel")));
  chosen.reasons.insert(chosen.reasons.end(), imported.reasons.begin(), imported.reasons.end());

  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, imported.graph, chosen.recipe, threads));
  if (!broken.empty())
    return Error{ErrorKind::refused,
                 fmt::format("{} breaks the limits: {}; raise limits.size_mb or limits.latency_ms", chosen.recipe.backbone, broken)};
  choose_budget(demand, chosen);
  // Batch, class weights and augmentation follow from the pictures as for our own nets; its sentence on the rate does not hold here.
  ChosenRecipe usual = chosen;
  choose_training(demand, manifest, usual);
  chosen.recipe = usual.recipe;
  chosen.graph = std::move(imported.graph);
  choose_careful_rates(demand, chosen);
  if (demand.backbone->freeze == demand::Freeze::early) {
    const int layers = layers_with_weights(chosen.graph) - 1;
    chosen.recipe.frozen_layers = layers / 2;
    chosen.reasons.push_back(
        fmt::format("the first {} of {} layers stay as they are: the demand says so", chosen.recipe.frozen_layers, layers));
  }
  SIGHTLINE_CHECK(choose_augmentation(demand, manifest, chosen));
  return chosen;
}

Result<Digest> backbone_digest(const demand::Demand& demand) {
  if (!demand.backbone) return Digest();
  if (demand.backbone->weights) return sha256_of_file(*demand.backbone->weights);
  SIGHTLINE_TRY(const Digest file, sha256_of_file(*demand.backbone->onnx));
  // Weights may lie in files beside it.
  SIGHTLINE_TRY(const graph::Graph graph, graph::read_onnx(*demand.backbone->onnx));
  Sha256 hash;
  hash.add_field(file).add_field(graph::digest_of(graph));
  return hash.finish();
}

Result<Json> backbone_lineage(const demand::Demand& demand) {
  const demand::Backbone& backbone = *demand.backbone;
  const std::string& path = backbone.onnx ? *backbone.onnx : *backbone.weights;
  SIGHTLINE_TRY(const Digest digest, sha256_of_file(path));
  std::map<std::string, std::string> metadata;
  if (backbone.onnx) {
    SIGHTLINE_TRY(const graph::Graph graph, graph::read_onnx(path));
    metadata = graph.metadata;
  } else {
    SIGHTLINE_TRY(const weights::WeightFile file, weights::read_weights(path));
    metadata = file.metadata;
  }
  // What the demand states counts; else what the file says of itself.
  const auto stated = [&](const std::optional<std::string>& given, std::initializer_list<const char*> keys) -> std::string {
    if (given) return *given;
    for (const char* key : keys)
      if (const auto found = metadata.find(key); found != metadata.end() && !found->second.empty()) return found->second;
    return "not stated";
  };
  return Json{{"file", file_name(path)},
              {"digest", digest},
              {"origin", stated(backbone.origin, {"origin", "source"})},
              {"licence", stated(backbone.licence, {"licence", "license"})}};
}

}  // namespace sightline::factory
