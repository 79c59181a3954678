#include "tasks/attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "annotation/attributes.h"
#include "base/text.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using annotation::Attribute;
using annotation::Question;

constexpr std::array kOutputs{"probabilities", "margins"};

Error wrong(const std::string& what) {
  return {ErrorKind::unsupported, fmt::format("{}; a model of attributes answers with probabilities and margins, f32 N×L each", what)};
}

// classes: -1 where they are not known.
Result<void> check_shapes(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::int64_t classes) {
  for (const char* name : kOutputs) {
    const auto found = outputs.find(name);
    if (found == outputs.end()) return wrong(fmt::format("the network has no output \"{}\"", name));
    const auto& [dtype, shape] = found->second;
    if (dtype != Dtype::f32 || shape.size() != 2 || (classes >= 0 && shape[1] >= 0 && shape[1] != classes))
      return wrong(fmt::format("output \"{}\" is {} {}{}", name, name_of(dtype), to_string(shape),
                               classes >= 0 ? fmt::format(", but there are {} labels", classes) : ""));
  }
  return {};
}

std::string answer_of(const Question& question, const std::string& label) {
  return question.exclusive ? label.substr(question.name.size() + std::string_view(annotation::value_mark).size()) : "yes";
}

// Lines on the picture; as many as there is room for.
void draw_lines(image::Image& picture, const std::vector<std::string>& lines, image::Colour background) {
  const double letters = std::clamp(std::min(picture.width, picture.height) / 1000.0, 0.35, 4.0);
  const int height = std::max(1, image::text_size("Ag", letters).height);
  const auto room = static_cast<std::size_t>(std::max(1, picture.height / height));
  for (std::size_t i = 0; i < std::min(lines.size(), room); ++i) {
    const bool cut = i + 1 == room && lines.size() > room;
    image::draw_text(picture, 0, static_cast<int>(i) * height, cut ? fmt::format("and {} more", lines.size() - i) : lines[i], letters,
                     background);
  }
}

const std::string& name_at(const std::vector<std::string>& classes, std::size_t label) {
  static const std::string unnamed = "?";
  return label < classes.size() ? classes[label] : unnamed;
}

}  // namespace

Result<void> check_attributes_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes) {
  return check_shapes(outputs, static_cast<std::int64_t>(classes));
}

Result<std::vector<Annotation>> decode_attributes(const Outputs& outputs, std::span<const image::Placement> placements) {
  std::map<std::string, std::pair<Dtype, Shape>> signatures;
  for (const auto& [name, tensor] : outputs) signatures[name] = {tensor.dtype(), tensor.shape()};
  SIGHTLINE_CHECK(check_shapes(signatures, -1));
  const Tensor &probabilities = outputs.at("probabilities"), &margins = outputs.at("margins");
  if (probabilities.shape() != margins.shape())
    return wrong(fmt::format("outputs \"probabilities\" {} and \"margins\" {} do not fit together", to_string(probabilities.shape()),
                             to_string(margins.shape())));
  if (probabilities.dim(0) != static_cast<std::int64_t>(placements.size()))
    return Error{ErrorKind::invalid_data, fmt::format("{} in the batch, but the network answered for {}",
                                                      plural(placements.size(), "picture"), probabilities.dim(0))};
  const auto labels = static_cast<std::size_t>(probabilities.dim(1));
  std::vector<Annotation> answers(placements.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    for (std::size_t l = 0; l < labels; ++l) {
      const float probability = probabilities.values<float>()[i * labels + l], margin = margins.values<float>()[i * labels + l];
      if (!(probability >= 0 && probability <= 1) || std::isnan(margin))
        return Error{ErrorKind::invalid_data,
                     fmt::format("picture {}: label {} has a probability of {} and a margin of {}", i, l, probability, margin)};
      answers[i].attributes.push_back({margin >= 0 ? Attribute::yes : Attribute::no, static_cast<double>(probability)});
    }
  }
  return answers;
}

Told tell_attributes(const Annotation& annotation, const std::vector<std::string>& classes) {
  Told told{.json = {{"said", Json::array()}, {"attributes", Json::array()}}, .rows = {}};
  const std::vector<Attribute>& attributes = annotation.attributes;
  for (std::size_t l = 0; l < attributes.size(); ++l) {
    const bool said = attributes[l].said == Attribute::yes;
    if (said) told.json["said"].push_back(name_at(classes, l));
    told.json["attributes"].push_back({{"label", l}, {"name", name_at(classes, l)}, {"said", said}, {"probability", attributes[l].score}});
  }
  for (const Question& question : annotation::questions_of(classes)) {
    if (question.first + question.count > attributes.size()) break;
    bool any = false;
    for (std::size_t l = question.first; l < question.first + question.count; ++l) {
      if (attributes[l].said != Attribute::yes) continue;
      told.rows.push_back({question.name, answer_of(question, classes[l]), fmt::format("{:.3f}", attributes[l].score)});
      any = true;
    }
    if (!any) told.rows.push_back({question.name, "no", fmt::format("{:.3f}", 1 - attributes[question.first].score)});
  }
  return told;
}

void draw_attributes(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  std::vector<std::string> lines;
  for (std::size_t l = 0; l < annotation.attributes.size(); ++l)
    if (annotation.attributes[l].said == Attribute::yes)
      lines.push_back(fmt::format("{} {:.2f}", name_at(classes, l), annotation.attributes[l].score));
  if (lines.empty()) lines.emplace_back("none");
  draw_lines(picture, lines, {16, 64, 112});
}

void draw_attributes_truth(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  std::vector<std::string> lines;
  std::size_t unknown = 0;
  for (std::size_t l = 0; l < annotation.attributes.size(); ++l) {
    if (annotation.attributes[l].said == Attribute::yes) lines.push_back(name_at(classes, l));
    unknown += annotation.attributes[l].said == Attribute::unknown ? 1 : 0;
  }
  if (lines.empty() && unknown < annotation.attributes.size()) lines.emplace_back("none");
  if (unknown > 0) lines.push_back(fmt::format("{} not said", unknown));
  draw_lines(picture, lines, {24, 24, 24});
}

}  // namespace sightline::tasks
