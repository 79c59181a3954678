// Chooses the net and how to train it from what the data are and what the demand allows. Every choice leaves a reason.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/sha256.h"
#include "dataset/manifest.h"
#include "demand/demand.h"
#include "graph/graph.h"
#include "modules/imported.h"
#include "modules/training_spec.h"
#include "runtime/precision.h"

namespace sightline::factory {

// What a net begins with instead of chance: a backbone that comes with the program.
struct StartingWeights {
  std::string name, file;  // the weights
  Digest digest;           // of the file
  std::string licence, origin;
};

struct ChosenRecipe {
  modules::Recipe recipe;
  graph::Graph graph;                // initial weights
  std::vector<std::string> reasons;  // one sentence per choice
  std::vector<std::string> weights;  // what came from the demand's backbone.weights and what did not, a line each
};

// The largest backbone that the budget suits and that keeps the limits on size (by its weights) and latency (measured with the runtime on
// this machine before anything is trained). Errors: refused when no backbone keeps the limits; not_found for an unknown pinned backbone.
Result<ChosenRecipe> choose_recipe(const demand::Demand& demand, const dataset::Manifest& manifest, int threads);

// The same for a network that the demand brings (backbone.onnx): imported and given a new head; how to tune it follows from what it is.
// Errors: those of reading and importing; refused when it breaks the limits.
Result<ChosenRecipe> choose_imported_recipe(const demand::Demand& demand, const dataset::Manifest& manifest, int threads);

// --- detect (detect_recipe.cpp) and segment (segment_recipe.cpp) ---

// What the demand pins that no detector has. Error usage.
Result<void> check_detector_pins(const demand::Demand& demand);
// The shipped backbone that both are built on (dense_recipe.cpp); nothing: this installation has none.
Result<std::optional<StartingWeights>> starting_weights();
// A detector for the manifest's classes and objects, begun from those weights. Errors: refused when it breaks the limits; those of reading.
Result<ChosenRecipe> choose_detector_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& start, int threads);

// --- embed (embed_recipe.cpp) ---

// What the demand pins that no embedder has. Error usage.
Result<void> check_embedder_pins(const demand::Demand& demand);
// An embedder that learns from the manifest's training identities, begun from those weights where the net is theirs. Errors: usage (a loss
// that the data cannot teach); refused when it breaks the limits; those of reading.
Result<ChosenRecipe> choose_embedder_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& start, int threads);

// --- read (read_recipe.cpp) ---

// What the demand pins that no reader has. Error usage.
Result<void> check_reader_pins(const demand::Demand& demand);
// A reader of the manifest's symbols, as wide as its pictures and texts ask for. Errors: refused when it breaks the limits; invalid_data
// (formats that want other symbols).
Result<ChosenRecipe> choose_reader_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                          const std::optional<StartingWeights>& start, int threads);

// --- restore (restore_recipe.cpp) ---

// What the demand pins that no restorer has, and what it says of the degradation. Error usage.
Result<void> check_restorer_pins(const demand::Demand& demand);
// A restorer for what the demand says is undone, in pieces that suit the manifest's pictures. Errors: refused when it breaks the limits.
Result<ChosenRecipe> choose_restorer_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                            const std::optional<StartingWeights>& start, int threads);
// Side of the sharp pieces that its training cuts its crops from. Error usage, as check_restorer_pins.
Result<int> sharp_side(const demand::Demand& demand);

// The network of demand.backbone.onnx with a head for so many classes. Errors: those of reading and importing; usage (recipe.side).
Result<modules::ImportedClassifier> import_network(const demand::Demand& demand, std::int64_t classes);

// Low rates and clipped gradients, so that what foreign weights know is not lost, into chosen.recipe; chosen.graph has a head already.
void choose_careful_rates(const demand::Demand& demand, ChosenRecipe& chosen);
modules::Neck neck_of(const demand::Demand& demand);

// --- what both choices share (recipe.cpp) ---
void choose_budget(const demand::Demand& demand, ChosenRecipe& chosen);
void pin_training(const demand::RecipePins& pins, modules::Recipe& recipe);
void choose_training(const demand::Demand& demand, const dataset::Manifest& manifest, ChosenRecipe& chosen);
Result<void> choose_augmentation(const demand::Demand& demand, const dataset::Manifest& manifest, ChosenRecipe& chosen);
// "" when the limits are kept, else the sentence that says which one is broken.
Result<std::string> broken_limit(const demand::Demand& demand, const graph::Graph& graph, const modules::Recipe& recipe, int threads,
                                 runtime::Precision precision = runtime::Precision::f32);

// The same for masks: what pixels show, and where the masks hold objects how to tell these apart. Errors likewise.
Result<void> check_landmarker_pins(const demand::Demand& demand);
Result<ChosenRecipe> choose_landmarker_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                              const std::optional<StartingWeights>& start, int threads);
Result<void> check_segmenter_pins(const demand::Demand& demand);
Result<ChosenRecipe> choose_segmenter_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                             const std::optional<StartingWeights>& start, int threads);

// Digest of what the demand's backbone files hold (external data included); "" without a backbone.
Result<Digest> backbone_digest(const demand::Demand& demand);
// Where the weights come from, for the lineage.
Result<Json> backbone_lineage(const demand::Demand& demand);

}  // namespace sightline::factory
