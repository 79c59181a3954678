#include "factory/task_line.h"

#include <fmt/format.h>

#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::factory {
namespace {

Error wrong_data(const dataset::Manifest& manifest, const std::string& what) {
  return {ErrorKind::invalid_data, fmt::format("{}: {}", manifest.root, what)};
}

// One class a picture is something else than boxes in it: neither may be taken for the other.
Result<void> wants_labels(const dataset::Manifest& manifest) {
  if (!dataset::holds_objects(manifest)) return {};
  return wrong_data(manifest, fmt::format("the {} annotations say what is where in a picture, and the task wants one class for each; write "
                                          "task: detect",
                                          manifest.format));
}

Result<void> wants_objects(const dataset::Manifest& manifest) {
  if (dataset::holds_objects(manifest)) return {};
  return wrong_data(manifest,
                    fmt::format("the data ({}) have one class for each picture and no boxes; write task: classify, or bring COCO, "
                                "YOLO or VOC annotations",
                                manifest.format));
}

// That there is such a net, and that it suits the side, is known before anything runs.
Result<void> check_net(const demand::Demand& demand) {
  if (!demand.recipe.backbone) return {};
  SIGHTLINE_TRY(const modules::Backbone* backbone, modules::find_backbone(*demand.recipe.backbone));
  if (demand.recipe.side && *demand.recipe.side < backbone->least_side)
    return Error{
        ErrorKind::usage,
        fmt::format("recipe.side: {} and recipe.backbone: {} do not go together: that net is for pictures of {} pixels a side or more; "
                    "raise recipe.side, or name another net (`sightline modules backbone`)",
                    *demand.recipe.side, backbone->name, backbone->least_side)};
  return {};
}

Result<ChosenRecipe> choose_classifier(const demand::Demand& demand, const dataset::Manifest& manifest,
                                       const std::optional<StartingWeights>& /*start*/, int threads) {
  return demand.backbone && demand.backbone->onnx ? choose_imported_recipe(demand, manifest, threads)
                                                  : choose_recipe(demand, manifest, threads);
}

std::vector<TaskLine>& table() {
  static std::vector<TaskLine> rows{
      {.task = "classify", .fit = image::Fit::stretch, .check_demand = check_net, .check_data = wants_labels, .choose = choose_classifier},
      {.task = "detect",
       .objects = true,
       .starts = true,
       .check_demand = check_detector_pins,
       .check_data = wants_objects,
       .choose = choose_detector_recipe,
       .versions = {{"detector", modules::detector_version}}},
  };
  return rows;
}

const TaskLine* row_of(const std::string& task) {
  for (const TaskLine& row : table())
    if (task == row.task) return &row;
  return nullptr;
}

}  // namespace

Result<const TaskLine*> find_line(const std::string& task) {
  if (const TaskLine* row = row_of(task)) return row;
  return Error{ErrorKind::unsupported,
               fmt::format("task: {}: answers of this kind are known, but nothing makes models for them yet", task)};
}

Result<void> add_line(const TaskLine& line) {
  if (row_of(line.task) != nullptr) return Error{ErrorKind::conflict, fmt::format("models of task \"{}\" are made already", line.task)};
  table().push_back(line);
  return {};
}

}  // namespace sightline::factory
