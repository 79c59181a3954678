// Judges candidates of a search on the validation pictures, rung by rung. What a judged rung left lies in a folder of its own, so that a
// search that was killed does not do it again:
//
//   CANDIDATE-RUNG/answers.json   what it answered to the validation pictures
//                 head.onnx       frozen ones: the head, f32 N×D "features" → "probabilities"
//                 model.onnx, history.json, recipe.json   trained ones, as the worker leaves them
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataset/audit.h"
#include "dataset/packed_set.h"
#include "factory/search_space.h"
#include "heads/choose.h"
#include "modules/training_spec.h"
#include "search/winner.h"

namespace sightline::factory {

// Of search::Approach, in its order: a frozen one's rungs are shares of the training pictures, those of trained ones are epochs (of a tuned
// one all in all: it goes on from the rung before; a net from scratch begins anew, since its learning rate must run its whole course).
std::vector<search::Family> search_families();

class SearchEvaluator {
 public:
  // What is referred to must outlive it. worker: sightline-train, "" where nothing is trained. Error refused: no validation pictures.
  static Result<std::unique_ptr<SearchEvaluator>> create(const BuildContext& build, const dataset::Manifest& manifest, SearchSpace& space,
                                                         std::string worker, std::string folder);

  Result<search::Admission> admit(std::size_t candidate) { return space_.admit(space_.candidates()[candidate]); }
  Result<search::Judgement> judge(std::size_t candidate, int rung, double seconds_left);

  std::span<const std::int32_t> labels() const { return wanted_; }  // of the validation pictures
  Result<search::Answered> answers(std::size_t candidate, int rung) const;
  bool is_kept(std::size_t candidate, int rung) const;
  std::string folder_of(std::size_t candidate, int rung) const;

  // A frozen candidate's head fitted again on training and validation pictures, as the line fits heads. seconds_left: where it is too short
  // for the features that are missing, nothing.
  struct Refit {
    graph::Graph head;
    Json figures;
    std::vector<dataset::Suspect> suspects;
  };
  Result<std::optional<Refit>> refit(std::size_t candidate, double seconds_left);
  // Where no head was fitted: what closed-form heads on the pictures themselves say of the labels; nothing when there is no time for it.
  Result<std::vector<dataset::Suspect>> suspects_without_heads(double seconds_left);

 private:
  SearchEvaluator(const BuildContext& build, const dataset::Manifest& manifest, SearchSpace& space, std::string worker, std::string folder)
      : build_(build), manifest_(manifest), space_(space), worker_(std::move(worker)), folder_(std::move(folder)) {}
  using Until = std::chrono::steady_clock::time_point;
  Result<std::optional<Tensor>> features_until(const features::FeatureSource& source, const std::vector<std::int64_t>& samples,
                                               Until until);
  // The head of a frozen candidate; nothing when there is no time for it.
  Result<std::optional<heads::Choice>> fit_until(const search::Candidate& what, const features::Backbone& backbone, const Tensor& features,
                                                 const std::vector<std::int64_t>& samples, Until until);
  std::vector<std::int64_t> share_of_training(int rung) const;
  // The head's graph; of one that could be shipped with the decisions that the demand asks for.
  Result<graph::Graph> graph_of(const heads::Choice& choice, const std::vector<std::int64_t>& samples) const;
  Result<search::Judgement> judge_frozen(std::size_t candidate, int rung, Until until);
  Result<std::optional<Refit>> refit_until(std::size_t candidate, Until until);
  Result<search::Judgement> judge_trained(std::size_t candidate, int rung, Until until);
  Result<bool> begin_training(std::size_t candidate, int epochs, Until until);
  Result<const dataset::PackedSet*> packed(int side, int channels, Until until);
  Result<search::Judgement> keep_answers(std::size_t candidate, int rung, const Tensor& probabilities);

  const BuildContext& build_;
  const dataset::Manifest& manifest_;
  SearchSpace& space_;
  std::string worker_, folder_;
  std::vector<std::int64_t> training_, validation_;  // training_: each class's samples in a drawn order, so that a prefix of each is a draw
  std::vector<double> place_;                        // of training_'s samples in their class, 0 to 1
  std::vector<std::int32_t> wanted_;
  std::map<std::pair<int, int>, dataset::PackedSet> packed_;
  double seconds_per_work_ = 0;  // of fitting heads, the slowest that was seen
};

}  // namespace sightline::factory
