// import, split, audit, pack, label-errors: from a folder to samples that can be trained on.
#include <algorithm>
#include <map>

#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/audit.h"
#include "dataset/corrections.h"
#include "dataset/good_pictures.h"
#include "dataset/import.h"
#include "dataset/packed_pieces.h"
#include "dataset/packed_set.h"
#include "dataset/packed_tiles.h"
#include "dataset/split.h"
#include "factory/build.h"
#include "factory/step_inputs.h"
#include "heads/linear.h"
#include "modules/training_spec.h"

namespace sightline::factory {
namespace {

// "the label of 12 images changed, 3 images were added": compares two manifests in the store.
std::string compare_manifests(const store::Workspace& workspace, const Digest& before, const Digest& after) {
  const auto load = [&](const Digest& digest) -> std::optional<dataset::Manifest> {
    auto text = workspace.blobs().get(digest);
    if (!text.ok()) return std::nullopt;
    auto manifest = dataset::parse_manifest(*text, digest);
    if (!manifest.ok()) return std::nullopt;
    return std::move(*manifest);
  };
  const auto old_manifest = load(before);
  const auto new_manifest = load(after);
  if (!old_manifest || !new_manifest) return "";
  std::map<std::string, const dataset::Sample*> by_path;
  for (const dataset::Sample& sample : old_manifest->samples) by_path[sample.path] = &sample;
  std::uint64_t added = 0, relabelled = 0, redrawn = 0, repainted = 0, altered = 0, moved = 0;
  for (const dataset::Sample& sample : new_manifest->samples) {
    const auto found = by_path.find(sample.path);
    if (found == by_path.end()) {
      ++added;
      continue;
    }
    const dataset::Sample& old_sample = *found->second;
    relabelled +=
        old_manifest->classes[static_cast<std::size_t>(old_sample.label)] != new_manifest->classes[static_cast<std::size_t>(sample.label)]
            ? 1
            : 0;
    redrawn += old_sample.annotation != sample.annotation ? 1 : 0;
    repainted += old_sample.mask != sample.mask ? 1 : 0;
    altered += old_sample.digest != sample.digest ? 1 : 0;
    moved += old_sample.split != sample.split ? 1 : 0;
    by_path.erase(found);
  }
  std::vector<std::string> parts;
  if (relabelled > 0) parts.push_back("the label of " + plural(relabelled, "image") + " changed");
  if (redrawn > 0) parts.push_back("the annotations of " + plural(redrawn, "image") + " changed");
  if (repainted > 0) parts.push_back("the masks of " + plural(repainted, "image") + " changed");
  if (altered > 0) parts.push_back("the pixels of " + plural(altered, "image") + " changed");
  if (added > 0) parts.push_back(plural(added, "image") + (added == 1 ? " was added" : " were added"));
  if (!by_path.empty()) parts.push_back(plural(by_path.size(), "image") + (by_path.size() == 1 ? " was removed" : " were removed"));
  if (moved > 0) parts.push_back(plural(moved, "image") + " moved to another split");
  return join(parts, ", ");
}

Result<void> split_samples(const BuildContext& build, line::StepContext& context, dataset::Manifest& manifest) {
  SIGHTLINE_CHECK(build.task->split(manifest, build.demand.split, build.demand.seed));
  std::array<std::int64_t, 3> counts{};
  for (const dataset::Sample& sample : manifest.samples) ++counts[static_cast<std::size_t>(sample.split)];
  for (std::size_t i = 0; i < counts.size(); ++i) context.figure(EnumNames<dataset::Split>::names[i], counts[i]);
  return {};
}

}  // namespace

std::function<std::string(const std::string&, const Digest&, const Digest&)> describe_manifest_change(const BuildContext& build) {
  return [workspace = build.workspace](const std::string& input, const Digest& before, const Digest& after) {
    return input == "manifest" ? compare_manifests(*workspace, before, after) : std::string();
  };
}

Result<dataset::Manifest> read_manifest(line::StepContext& context) {
  SIGHTLINE_TRY(const std::string text, context.read_input("manifest"));
  return dataset::parse_manifest(text, "the manifest of this build");
}

Result<modules::Recipe> read_recipe(line::StepContext& context) {
  SIGHTLINE_TRY(const std::string text, context.read_input("recipe"));
  SIGHTLINE_TRY(const Json json, parse_json(text, "the recipe of this build"));
  return struct_from_json<modules::Recipe>(json, "recipe");
}

line::Step import_step(const BuildContext& build, const Digest& listing) {
  line::Step step{.name = "import", .version = 1, .says = "read and check every image"};
  step.parameters = {{"data", to_json(build.demand.data)},
                     {"group_by", to_json(build.demand.split.group_by)},
                     {"pattern", to_json(build.demand.split.pattern)},
                     {"column", to_json(build.demand.split.column)}};
  if (build.from_good()) step.parameters["from_good"] = true;
  if (build.task->sharp) step.parameters["any_pictures"] = true;
  step.inputs = {{.name = "listing", .digest = listing}};
  if (!build.corrections.empty())
    step.inputs.push_back({.name = "corrections", .digest = dataset::digest_of_corrections(build.corrections)});
  step.outputs = {"manifest"};
  if (build.frozen()) {  // the splits as well: with intake's memory reading again costs nothing, keeping the manifest twice would
    step.says = "read and check every image, decide train, validation and test";
    step.parameters["split"] = to_json(build.demand.split);
    step.parameters["seed"] = build.demand.seed;
  }
  step.body = [build](line::StepContext& context) -> Result<void> {
    std::shared_ptr<dataset::Intake> intake = build.intake;
    if (intake == nullptr) {
      SIGHTLINE_TRY(intake, dataset::Intake::open(context.workspace().root() + "/intake"));
    }
    SIGHTLINE_TRY(dataset::Manifest manifest,
                  dataset::import_data(build.demand.data, build.demand.split, intake.get(), build.from_good(), build.task->sharp));
    const dataset::Corrected corrected = dataset::apply_corrections(build.corrections, manifest);
    if (!build.corrections.empty()) context.figure("corrected", corrected.changed);
    if (!corrected.left_out.empty()) context.figure("corrections_left_out", corrected.left_out);
    SIGHTLINE_CHECK(build.task->check_data(manifest));
    context.figure("images", manifest.samples.size());
    context.figure("rejected", manifest.rejected.size());
    context.figure("classes", manifest.classes.size());
    if (build.frozen()) SIGHTLINE_CHECK(split_samples(build, context, manifest));
    return context.put("manifest", dataset::pack_manifest(manifest));
  };
  step.describe_change = [](const std::string& input, const Digest&, const Digest&) {
    return input == "listing"       ? std::string("files in the data folder changed (names, sizes or times)")
           : input == "corrections" ? std::string("labels were corrected by hand, or corrections undone")
                                    : std::string();
  };
  return step;
}

line::Step split_step(const BuildContext& build) {
  line::Step step{.name = "split", .version = 1, .says = "decide train, validation and test"};
  step.parameters = {{"split", to_json(build.demand.split)}, {"seed", build.demand.seed}};
  if (build.from_good()) step.parameters["from_good"] = true;
  step.inputs = {{.name = "manifest", .step = "import", .output = "manifest"}};
  step.outputs = {"manifest"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_CHECK(split_samples(build, context, manifest));
    return context.put("manifest", dataset::pack_manifest(manifest));
  };
  return step;
}

line::Step audit_step(const BuildContext& build) {
  line::Step step{.name = "audit", .version = 1, .says = "look for duplicates, leaks and bad images"};
  step.inputs = {{.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.outputs = {"audit"};
  step.describe_change = describe_manifest_change(build);
  step.body = [](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    const dataset::Audit audit = dataset::audit(manifest);
    for (const auto& [kind, count] : audit.counts) context.figure(kind, count);
    return context.put("audit", json_text(to_json(audit)));
  };
  return step;
}

line::Step pack_step(const BuildContext& build) {
  line::Step step{.name = "pack", .version = 1, .says = "decode and resize the images once"};
  step.inputs = {{.name = "manifest", .step = "split", .output = "manifest"}, {.name = "recipe", .step = "recipe", .output = "recipe"}};
  step.outputs = {"images"};
  if (!build.classifies()) step.parameters["task"] = build.demand.task;
  if (build.task->sharp) {
    step.says = "decode the images once, in pieces at their own size";
    step.parameters["restore"] = to_json(build.demand.restore);
  }
  if (build.demand.in_pieces()) {
    step.says = "decode the images once, in pieces at their own size";
    step.parameters["pieces"] = true;
  }
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const modules::Recipe recipe, read_recipe(context));
    const std::string path = context.work_folder() + "/images";
    if (build.task->sharp) {
      SIGHTLINE_TRY(const int side, sharp_side(build.demand));
      SIGHTLINE_CHECK(dataset::pack_tiles(manifest, {.side = side, .channels = recipe.channels}, path));
      return context.put_file("images", path);
    }
    const dataset::PackOptions options{.width = recipe.input_width(),
                                       .height = recipe.side,
                                       .channels = recipe.channels,
                                       .fit = build.task->fit,
                                       .texts = build.task->texts,
                                       .objects = build.task->objects,
                                       .landmarks = build.task->landmarks,
                                       .masks = build.task->masks};
    SIGHTLINE_CHECK(build.demand.in_pieces() ? dataset::pack_pieces(manifest, options, path) : dataset::pack(manifest, options, path));
    return context.put_file("images", path);
  };
  return step;
}

line::Step label_errors_step(const BuildContext& build) {
  line::Step step{.name = "label-errors", .version = 1, .says = "rank labels that are probably wrong"};
  step.parameters = {{"seed", build.demand.seed}};
  step.inputs = {{.name = "manifest", .step = "split", .output = "manifest"}, {.name = "images", .step = "pack", .output = "images"}};
  step.outputs = {"suspects"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const dataset::PackedSet packed, dataset::PackedSet::open(context.input_path("images")));
    Progress progress("label-errors", 1);
    SIGHTLINE_TRY(const std::vector<dataset::Suspect> suspects, find_label_errors(manifest, packed, build.demand.seed));
    progress.finish();
    return context.put("suspects", json_text(to_json(suspects)));
  };
  return step;
}

}  // namespace sightline::factory
