#include "serving/answers.h"

#include <fmt/format.h>

#include <set>

#include "tasks/anomaly.h"
#include "tasks/classify.h"
#include "tasks/restore.h"

namespace sightline::serving {
namespace {

constexpr std::size_t most_labels = 16;  // that one answer adds to the distribution

std::vector<std::string> labels_of(const annotation::Annotation& said, const package::Model& model) {
  if (model.task_row().open_classes) return {};
  if (model.task_row().from_good) return {said.score > 0.5 ? "alarm" : "good"};
  std::set<std::string> labels;
  for (const annotation::Object& object : said.objects) {
    if (labels.size() < most_labels) labels.insert(annotation::name_of_class(model.labels(), object.label));
  }
  return {labels.begin(), labels.end()};
}

void draw_class(image::Image& picture, const PictureAnswer& answer) {
  if (picture.channels == 1) picture = image::convert_channels(picture, 3);
  const double letters = std::clamp(picture.height / 400.0, 0.35, 1.5);
  int y = 0;
  for (const Json& one : answer.json["classes"]) {
    const std::string text = fmt::format("{} {:.3f}", one["name"].get<std::string>(), one["probability"].get<double>());
    image::draw_text(picture, 0, y, text, letters);
    y += image::text_size(text, letters).height;
  }
}

}  // namespace

Result<image::Image> decode_picture(std::string_view bytes, const package::Model& model, std::int64_t most_pixels) {
  return image::decode(std::as_bytes(std::span(bytes)), {.channels = model.preprocessing().channels, .max_pixels = most_pixels});
}

PictureAnswer answer_of(const Loaded& loaded, std::span<const float> probabilities, const AskOptions& options) {
  const std::vector<std::string>& names = loaded.model->labels();
  const auto classes = tasks::top_classes(probabilities, names, options.top);
  PictureAnswer answer{.json = {{"classes", to_json(classes)}}};
  if (!classes.empty()) answer.labels = {classes[0].name};
  if (loaded.decisions && !loaded.decisions->thresholds.empty()) {
    const int said = package::decided_class(*loaded.decisions, probabilities);
    answer.json["decision"] = said < 0 ? Json(nullptr) : Json(names[static_cast<std::size_t>(said)]);
    answer.labels = {said < 0 ? "(not sure)" : names[static_cast<std::size_t>(said)]};
  }
  if (loaded.decisions && loaded.decisions->sets) {
    answer.json["set"] = Json::array();
    for (const int each : package::prediction_set(*loaded.decisions->sets, probabilities))
      answer.json["set"].push_back(names[static_cast<std::size_t>(each)]);
  }
  return answer;
}

Result<PictureAnswer> answer_picture(const Repository::Lease& lease, const image::Image& picture, const AskOptions& options) {
  package::Model& model = lease.model();
  if (!model.annotates()) {
    SIGHTLINE_TRY(const Tensor probabilities, model.probabilities(model.prepare(picture)));
    PictureAnswer answer = answer_of(lease.loaded(), probabilities.values<float>(), options);
    if (options.draw) {
      answer.drawn = picture;
      draw_class(answer.drawn, answer);
    }
    return answer;
  }
  SIGHTLINE_TRY(annotation::Annotation whole, model.answer(picture));
  annotation::Annotation said = annotation::at_least(std::move(whole), options.score);
  if (model.task_row().from_good) said.objects = tasks::alarmed_regions(said, picture.width, picture.height);
  PictureAnswer answer{.json = model.task_row().tell(said, model.labels()).json, .labels = labels_of(said, model)};
  if (!options.draw) return answer;
  if (said.restored.defined()) {
    answer.drawn = tasks::picture_of(said.restored);
  } else if (model.task_row().draw != nullptr) {
    answer.drawn = picture;
    model.task_row().draw(answer.drawn, said, model.labels());
  } else {
    return Error{ErrorKind::usage, fmt::format("answers of the task {} cannot be drawn", model.task())};
  }
  return answer;
}

}  // namespace sightline::serving
