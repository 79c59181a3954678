// What a search may make models of: the backbones of the workspace (or the one that the demand names), at their own side of the picture and
// at others that their graph allows, and nets of ours. And what each candidate costs here, before anything is learned.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "factory/build.h"
#include "factory/recipe.h"
#include "features/features.h"
#include "image/image.h"
#include "search/candidate.h"
#include "search/halving.h"

namespace sightline::factory {

// A backbone before a search begins: its tree in the store, or a file that is cut at its features when the search begins.
struct SearchBackbone {
  std::string name;
  Digest tree;      // of backbone.onnx and backbone.data; "": the file of demand.backbone
  Digest identity;  // of either: part of the search's key
};
// The demand's own; where it names none, all of the workspace, the default first. None where the demand pins a net of ours.
// Shipped ones are brought into the workspace.
Result<std::vector<SearchBackbone>> search_backbones(const demand::Demand& demand, store::Workspace& workspace, const Digest& demands_file,
                                                     int threads);

class SearchSpace {
 public:
  // Cuts what has to be cut, looks which sides there are, lists the candidates. folder: for scratch. Errors: those of reading and
  // importing.
  static Result<std::unique_ptr<SearchSpace>> open(const BuildContext& build, store::Workspace& workspace,
                                                   const dataset::Manifest& manifest, const std::vector<SearchBackbone>& backbones,
                                                   bool trains, const std::string& folder);

  const std::vector<search::Candidate>& candidates() const { return candidates_; }

  struct Sided {
    std::string folder;  // backbone.onnx and backbone.data
    Digest tree;
    std::shared_ptr<const features::FeatureSource> source;
  };
  // With the candidate's cuts, at its side, in its precision. Opened once.
  Result<const Sided*> backbone(const search::Candidate& candidate);
  // A net of ours or a backbone with a new head, to be trained, and how. Limits are not looked at. The head is random.
  Result<ChosenRecipe> recipe(const search::Candidate& candidate, int epochs);
  // Measured once for each graph: p95 with the resizing of a picture at batch 1, what the package will weigh, what the runtime holds.
  Result<search::Admission> admit(const search::Candidate& candidate);

 private:
  SearchSpace(const BuildContext& build, store::Workspace& workspace, const dataset::Manifest& manifest, std::string folder)
      : build_(build), workspace_(workspace), manifest_(manifest), folder_(std::move(folder)) {}
  // Integers, their ranges taken from training pictures.
  Result<graph::Graph> quantized(const graph::Graph& graph) const;
  Result<std::vector<int>> sides_of(const features::Backbone& backbone) const;
  Result<graph::Graph> graph_of(const search::Candidate& candidate);
  Result<std::string> augmentation_of(const std::string& name);
  int classes() const { return static_cast<int>(manifest_.classes.size()); }

  const BuildContext& build_;
  store::Workspace& workspace_;
  const dataset::Manifest& manifest_;
  std::string folder_;
  std::map<std::string, std::string> folders_;  // of backbones at their own side, by name
  std::map<std::string, Digest> trees_;
  std::vector<search::Candidate> candidates_;
  std::map<std::string, Sided> opened_;
  std::map<std::string, search::Cost> costs_;
  std::optional<image::Image> picture_;
  std::optional<std::string> usual_augmentation_;
};

}  // namespace sightline::factory
