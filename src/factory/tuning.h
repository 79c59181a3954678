// What the rungs above the frozen head are made of: the head that tuning begins with, the pilot that predicts its gain, what goes into the
// last stages, the recipes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "factory/build.h"
#include "factory/escalation.h"
#include "factory/recipe.h"
#include "factory/tail.h"
#include "features/features.h"
#include "graph/graph.h"
#include "modules/training_spec.h"

namespace sightline::factory {

// The backbone with a closed-form head behind it ("logits", "probabilities"), fitted without the validation pictures, so that it and what
// tuning makes of it can be compared on them. Errors: those of features and heads.
Result<graph::Graph> head_without_validation(const BuildContext& build, const features::FeatureSource& source,
                                             const dataset::Manifest& manifest);

// What a head on several cuts is expected to bring: on some of the training pictures, what it has right more, out of fold and on the same
// pictures, than one on the features alone. `wide` gives the features of all cuts, of these widths. seconds_each: what the network took for
// a picture; 0 when all were known.
Result<Prospect> pilot_cuts(const BuildContext& build, const features::FeatureSource& source, const features::FeatureSource& wide,
                            const std::vector<std::int64_t>& widths, const dataset::Manifest& manifest, double& seconds_each);

// Views of each training picture that are kept, and passes over the training pictures: as many as the demand allows.
struct TailPlan {
  int views = 1, passes = 1;
};
TailPlan plan_tail(const demand::Demand& demand);
// From what the network takes for a picture; 0 when that is not known.
double seconds_of_tail(const demand::Demand& demand, const Parts& parts, double seconds_each, double pictures);

struct TailData {
  Tensor rows;  // u8 N×h×w×C: each view of each training picture, then the validation pictures as they are
  std::vector<std::int32_t> labels;
  std::vector<dataset::Split> splits;
  graph::Graph graph;  // the tail of `whole` on such rows
  int views = 0;       // of each training picture
  double share = 0;    // of the operations, in the tail
  std::string cut;
  std::string sentence;
};
// whole: as head_without_validation gives it. Errors: unsupported (no place to cut); those of the pictures.
Result<TailData> tail_data(const BuildContext& build, const dataset::Manifest& manifest, const graph::Graph& whole);

// How the tail is trained: passes over `views` of each picture at most as many as the budget's epochs, within `seconds`.
modules::Recipe tail_recipe(const demand::Demand& demand, int views, double seconds);

// A few passes through the whole net, from what the tail took for so many rows.
double seconds_of_whole(double tail_seconds, double rows, double share, double pictures);
// Careful, as a network that the demand brings is tuned (imported_recipe.cpp), within the seconds. chosen.graph is what it begins with.
// Errors: those of choosing the augmentation.
Result<void> choose_whole(const demand::Demand& demand, const dataset::Manifest& manifest, double seconds, ChosenRecipe& chosen);

// The share that a closed-form head on random patch features of small pictures (heads::patch_features) has right, out of fold; balanced
// where the demand's metric is.
Result<double> accuracy_without_network(const BuildContext& build, const dataset::Manifest& manifest);

// Minutes, so that a few seconds more or less that other steps took leave a recipe as it is.
double whole_tenths(double seconds);

}  // namespace sightline::factory
