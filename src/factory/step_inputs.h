// What several steps of the build read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dataset/audit.h"
#include "dataset/manifest.h"
#include "dataset/packed_set.h"
#include "evaluation/evaluation.h"
#include "factory/build.h"
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
// {"data": what the samples are, where they come from and under which licence}
Json data_lineage(const dataset::Manifest& manifest);

// The evaluation as the output of its step, and its main figures.
Result<void> put_evaluation(line::StepContext& context, const evaluation::Evaluation& evaluation);

// For Step::describe_change: "the label of 12 images changed, 3 images were added".
std::function<std::string(const std::string&, const Digest&, const Digest&)> describe_manifest_change(const BuildContext& build);

// The ranking of probably wrong labels among the samples that are not test, most suspect first, at most the worst tenth.
Result<std::vector<dataset::Suspect>> find_label_errors(const dataset::Manifest& manifest, const dataset::PackedSet& packed,
                                                        std::int64_t seed);

}  // namespace sightline::factory
