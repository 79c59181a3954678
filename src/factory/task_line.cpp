#include "factory/task_line.h"

#include <fmt/format.h>

#include "dataset/good_pictures.h"
#include "dataset/identity_split.h"
#include "factory/anomaly.h"
#include "factory/step_inputs.h"
#include "modules/detector.h"
#include "modules/embedder.h"
#include "modules/landmarker.h"
#include "modules/modules.h"
#include "modules/reader.h"
#include "modules/restorer.h"
#include "modules/segmenter.h"

namespace sightline::factory {
namespace {

Error wrong_data(const dataset::Manifest& manifest, const std::string& what) {
  return {ErrorKind::invalid_data, fmt::format("{}: {}", manifest.root, what)};
}

Error no_text_wanted(const dataset::Manifest& manifest) {
  return wrong_data(manifest, fmt::format("the data ({}) say what is written in each picture; write task: read", manifest.format));
}

Result<void> wants_texts(const dataset::Manifest& manifest) {
  if (dataset::holds_texts(manifest)) return {};
  return wrong_data(manifest,
                    fmt::format("the data ({}) do not say what is written in a picture; bring a CSV file with the columns path and "
                                "text, or write another task",
                                manifest.format));
}

// One class a picture is something else than boxes in it: neither may be taken for the other.
Result<void> wants_labels(const dataset::Manifest& manifest) {
  if (dataset::one_class_each(manifest)) return {};
  if (manifest.masks)
    return wrong_data(manifest,
                      "the masks say what stands at each pixel, and the task wants one class for each picture; write task: segment, "
                      "or data: {format: folders} where the masks are none");
  if (dataset::holds_attributes(manifest))
    return wrong_data(manifest, "data.attributes asks several questions about each picture; write task: attributes, or drop it");
  if (dataset::holds_texts(manifest)) return no_text_wanted(manifest);
  if (dataset::holds_landmarks(manifest)) return wrong_data(manifest, "the data say where points are; write task: landmarks");
  return wrong_data(manifest, fmt::format("the {} annotations say what is where in a picture, and the task wants one class for each; write "
                                          "task: detect",
                                          manifest.format));
}

Result<void> wants_objects(const dataset::Manifest& manifest) {
  if (dataset::holds_texts(manifest)) return no_text_wanted(manifest);
  if (dataset::holds_objects(manifest)) return {};
  if (manifest.masks) return wrong_data(manifest, "the data have masks and no boxes; write task: segment");
  return wrong_data(manifest,
                    fmt::format("the data ({}) have one class for each picture and no boxes; write task: classify, or bring COCO, "
                                "YOLO or VOC annotations",
                                manifest.format));
}

Result<void> wants_attributes(const dataset::Manifest& manifest) {
  if (dataset::holds_attributes(manifest)) return {};
  return wrong_data(manifest,
                    "nothing says which questions are asked; name columns of a CSV file, like data: {attributes: [colour, damaged]}");
}

Result<void> wants_masks(const dataset::Manifest& manifest) {
  if (manifest.masks) return {};
  return wrong_data(manifest,
                    fmt::format("the data ({}) have no masks; put a PNG for each picture into masks/ beside images/, or write task: {}",
                                manifest.format, dataset::holds_objects(manifest) ? "detect" : "classify"));
}

Result<void> wants_landmarks(const dataset::Manifest& manifest) {
  if (dataset::holds_landmarks(manifest)) return {};
  return wrong_data(manifest, fmt::format("the data ({}) do not say where points are; bring a CSV file with the columns path, NAME_x and "
                                          "NAME_y for each point, or write another task",
                                          manifest.format));
}

Result<void> any_pictures(const dataset::Manifest& /*manifest*/) { return {}; }

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
      {.task = "classify",
       .fit = image::Fit::stretch,
       .check_demand = check_net,
       .check_data = wants_labels,
       .choose = choose_classifier,
       .calibrate = write_calibrated,
       .fit_head = fit_class_head,
       .looks = true},
      {.task = "detect",
       .objects = true,
       .starts = true,
       .check_demand = check_detector_pins,
       .check_data = wants_objects,
       .choose = choose_detector_recipe,
       .versions = {{"detector", modules::detector_version}}},
      {.task = "segment",
       .masks = true,
       .starts = true,
       .check_demand = check_segmenter_pins,
       .check_data = wants_masks,
       .choose = choose_segmenter_recipe,
       .versions = {{"segmenter", modules::segmenter_version}}},
      {.task = "landmarks",
       .landmarks = true,
       .starts = true,
       .check_demand = check_landmarker_pins,
       .check_data = wants_landmarks,
       .choose = choose_landmarker_recipe,
       .versions = {{"landmarker", modules::landmarker_version}}},
      {.task = "anomaly",
       .fit = image::Fit::stretch,
       .starts = true,
       .check_demand = check_anomaly_pins,
       .split = dataset::assign_good_splits,
       .check_data = check_anomaly_data,
       .choose = choose_anomaly_recipe,
       .fit_step = good_places_step},
      {.task = "embed",
       .starts = true,
       .check_demand = check_embedder_pins,
       .split = dataset::assign_identity_splits,
       .check_data = wants_labels,
       .choose = choose_embedder_recipe,
       .versions = {{"embedder", modules::embedder_version}}},
      {.task = "attributes",
       .fit = image::Fit::stretch,
       .check_data = wants_attributes,
       .fit_head = fit_attribute_heads,
       .frozen_only = true},
      {.task = "read",
       .fit = image::Fit::stretch,
       .texts = true,
       .check_demand = check_reader_pins,
       .check_data = wants_texts,
       .choose = choose_reader_recipe,
       .calibrate = write_calibrated_reader,
       .versions = {{"reader", modules::reader_version}}},
      {.task = "restore",
       .fit = image::Fit::crop,
       .sharp = true,
       .check_demand = check_restorer_pins,
       .check_data = any_pictures,
       .choose = choose_restorer_recipe,
       .calibrate = write_calibrated_restorer,
       .versions = {{"restorer", modules::restorer_version}}},
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
