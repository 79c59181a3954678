// What several steps of the build read.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "dataset/audit.h"
#include "dataset/manifest.h"
#include "dataset/packed_set.h"
#include "evaluation/evaluation.h"
#include "factory/build.h"
#include "features/features.h"
#include "graph/graph.h"
#include "line/line.h"
#include "modules/training_spec.h"
#include "package/package.h"

namespace sightline::factory {

// What of this machine decides the bits of what is computed here.
Json machine_environment(int threads);

Result<dataset::Manifest> read_manifest(line::StepContext& context);  // input "manifest"
Result<modules::Recipe> read_recipe(line::StepContext& context);      // input "recipe"

// What `sightline-train --version` says, remembered per file (size and time): asking costs half a second, since LibTorch is loaded.
Result<std::string> worker_version(const std::string& worker, const store::Workspace& workspace);
// What a bar says of a "progress" event of the worker.
std::string progress_note(const Json& event, const std::string& last_epoch);

// Training samples spread evenly over the classes: what every opening of the package is checked with.
Result<std::vector<package::GoldenSample>> choose_golden(const dataset::Manifest& manifest, std::size_t count);
// Writes the package with the temperature that makes its own answers to the validation pictures most likely, and gives it. The graph wants
// a constant "inverse_temperature" between logits and softmax.
Result<double> write_calibrated(const BuildContext& build, package::Contents& contents, const dataset::Manifest& manifest,
                                const std::string& folder);
// The same of a reader: the temperature that makes how sure it is of whole texts most likely, on validation pictures (20 at least; else 1).
Result<double> write_calibrated_reader(const BuildContext& build, package::Contents& contents, const dataset::Manifest& manifest,
                                       const std::string& folder);
// The same of a restorer: the factor that brings the deviations that it expects to those that it has, on validation pictures.
Result<double> write_calibrated_restorer(const BuildContext& build, package::Contents& contents, const dataset::Manifest& manifest,
                                         const std::string& folder);
// What a model is shown of pictures of the data (tasks::Task::show): golden samples of tasks that make their own. Those that are larger
// than a few pieces are cut to their middle.
Result<void> show_golden(const tasks::Task& task, const package::Contents& contents, std::vector<package::GoldenSample>& golden);
// Its middle, at most so many pixels a side.
image::Image middle_of(const image::Image& picture, int most);
// {"data": what the samples are, where they come from and under which licence}
Json data_lineage(const dataset::Manifest& manifest);

// Runs sightline-train, with progress; output and checkpoint of the specification are chosen, and what it says becomes figures of the step.
Result<void> train_with_worker(line::StepContext& context, const std::string& worker, modules::TrainingSpec& spec, const std::string& says);
// What of the demand choose_recipe follows.
Json recipe_parameters(const demand::Demand& demand);
// What of the demand a step depends on that fits decisions (evaluation/decisions.h); nothing where nothing is asked for.
void add_decisions(const demand::Demand& demand, Json& parameters);
// The graph's decisions into the lineage, in words that say what they were fitted on.
Result<void> put_decisions(package::Contents& contents);

// The evaluation as the output of its step, and its main figures.
Result<void> put_evaluation(line::StepContext& context, const evaluation::Evaluation& evaluation);

// For Step::describe_change: "the label of 12 images changed, 3 images were added".
std::function<std::string(const std::string&, const Digest&, const Digest&)> describe_manifest_change(const BuildContext& build);

// --- frozen_steps.cpp ---

std::vector<std::int64_t> samples_of(const dataset::Manifest& manifest, std::initializer_list<dataset::Split> splits);  // indices
std::vector<std::int32_t> labels_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples);
// Numbers for the groups' names, -1 for none.
std::vector<std::int64_t> groups_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples);
// Of the backbone that is an input of the step.
Result<std::shared_ptr<const features::FeatureSource>> source_of(const BuildContext& build, line::StepContext& context,
                                                                 const std::string& input = "backbone");
// One class a picture: heads compete on folds (heads/choose.h); what they answer out of fold calibrates the winner and ranks the labels.
Result<FittedHead> fit_class_head(const BuildContext& build, const HeadInputs& inputs);
// Attributes: a head for each question, fitted on the pictures of which it is known (attributes_head.cpp).
Result<FittedHead> fit_attribute_heads(const BuildContext& build, const HeadInputs& inputs);
// head_step under another name, on another step's backbone; where that has several cuts, its figure "widths" tells them.
line::Step head_step_on(const BuildContext& build, const std::string& name, const std::string& backbone_step);
// The backbone with the head behind it.
graph::Graph joined(const graph::Graph& backbone, const graph::Graph& head);
// Whether the classes count alike in what the demand asks for.
bool is_balanced(const demand::Demand& demand);

// The ranking of probably wrong labels among the samples that are not test, most suspect first, at most the worst tenth.
Result<std::vector<dataset::Suspect>> find_label_errors(const dataset::Manifest& manifest, const dataset::PackedSet& packed,
                                                        std::int64_t seed);

}  // namespace sightline::factory
