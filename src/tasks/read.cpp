#include "tasks/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "tasks/ctc.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;

constexpr const char* kColumns = "columns";
// How far a column may sum from 1: integers and bf16 round.
constexpr double most_off = 0.05;
// Pictures are drawn at least so wide.
constexpr int least_drawn_width = 320;
// What is less probable is not worth a line of a table.
constexpr double least_told = 0.05;

Result<void> check_shape(Dtype dtype, const Shape& shape, std::size_t classes) {
  const bool fits = dtype == Dtype::f32 && shape.size() == 3 && (shape[2] < 0 || shape[2] == static_cast<std::int64_t>(classes) + 1);
  if (fits) return {};
  return Error{ErrorKind::unsupported, fmt::format("output \"{}\" is {} {}, but a reader of {} symbols answers with f32 N×T×{}", kColumns,
                                                   name_of(dtype), to_string(shape), classes, classes + 1)};
}

Result<void> check_column(std::span<const float> column, std::int64_t picture, std::int64_t place) {
  double sum = 0;
  bool below = false;
  for (const float each : column) {
    sum += static_cast<double>(each);
    below = below || each < 0;
  }
  if (!below && std::abs(sum - 1) <= most_off) return {};  // what is no number is off as well
  return Error{
      ErrorKind::invalid_data,
      fmt::format("column {} of picture {} of the batch is no distribution: its probabilities sum to {:.4g}", place, picture, sum)};
}

// A bar of this text, as wide as the picture, above or below it.
void add_bar(image::Image& picture, const std::string& text, image::Colour background, bool above) {
  picture = image::convert_channels(picture, 3);
  if (picture.width <= 0 || picture.height <= 0) return;
  const int factor = (least_drawn_width + picture.width - 1) / picture.width;
  if (factor > 1) picture = image::resize(picture, picture.width * factor, picture.height * factor);
  double letters = std::clamp(picture.width / 400.0, 0.6, 4.0);
  while (letters > 0.3 && image::text_size(text, letters).width > picture.width) letters *= 0.9;
  const image::TextSize size = image::text_size(text, letters);
  image::Image larger{.width = picture.width, .height = picture.height + size.height, .channels = 3};
  larger.pixels.assign(static_cast<std::size_t>(larger.height) * larger.row_bytes(), 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(size.height * picture.width); ++i) {
    const std::size_t first = above ? 0 : picture.pixels.size();
    larger.pixels[first + 3 * i] = background.red;
    larger.pixels[first + 3 * i + 1] = background.green;
    larger.pixels[first + 3 * i + 2] = background.blue;
  }
  const std::ptrdiff_t down = above ? static_cast<std::ptrdiff_t>(static_cast<std::size_t>(size.height) * larger.row_bytes()) : 0;
  std::copy(picture.pixels.begin(), picture.pixels.end(), larger.pixels.begin() + down);
  image::draw_text(larger, 0, above ? 0 : picture.height, text, letters, background);
  picture = std::move(larger);
}

}  // namespace

Result<void> check_read_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes) {
  const auto found = outputs.find(kColumns);
  if (found == outputs.end())
    return Error{ErrorKind::unsupported,
                 fmt::format("the network has no output \"{}\"; a reader answers with it, f32 N×T×{}", kColumns, classes + 1)};
  return check_shape(found->second.first, found->second.second, classes);
}

Result<std::vector<Annotation>> decode_read(const Outputs& outputs, std::span<const image::Placement> placements, const Terms& terms) {
  const auto found = outputs.find(kColumns);
  if (found == outputs.end()) return check_read_outputs({}, terms.classes.size()).error();
  const Tensor& columns = found->second;
  SIGHTLINE_CHECK(check_shape(columns.dtype(), columns.shape(), terms.classes.size()));
  if (columns.dim(0) != std::ssize(placements))
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} in the batch, but the network answered for {}", plural(placements.size(), "picture"), columns.dim(0))};
  SIGHTLINE_TRY(const TextFormats formats, TextFormats::of_metadata(terms.metadata, terms.classes));
  const std::int64_t symbols = std::ssize(terms.classes);
  const auto row = static_cast<std::size_t>(columns.dim(1) * columns.dim(2)), width = static_cast<std::size_t>(columns.dim(2));
  std::vector<Annotation> answers(placements.size());
  for (std::size_t n = 0; n < answers.size(); ++n) {
    const std::span<const float> picture = columns.values<float>().subspan(n * row, row);
    for (std::size_t t = 0; t * width < row; ++t)
      SIGHTLINE_CHECK(check_column(picture.subspan(t * width, width), static_cast<std::int64_t>(n), static_cast<std::int64_t>(t)));
    for (const RankedText& ranked : read_beam(picture, symbols, formats, beam_width, most_readings)) {
      annotation::Reading& reading = answers[n].readings.emplace_back();
      for (const std::int32_t symbol : ranked.text) reading.text += terms.classes[static_cast<std::size_t>(symbol)];
      reading.probability = ranked.probability;
      if (answers[n].readings.size() == 1) reading.characters = character_probabilities(picture, symbols, ranked.text);
    }
    if (!answers[n].readings.empty()) answers[n].text = answers[n].readings[0].text;
  }
  return answers;
}

Told tell_read(const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  const bool any = !annotation.readings.empty();
  Told told{.json = {{"text", annotation.text},
                     {"confidence", any ? annotation.readings[0].probability : 0.0},
                     {"characters", any ? annotation.readings[0].characters : std::vector<double>()},
                     {"candidates", Json::array()}},
            .rows = {}};
  for (const annotation::Reading& each : annotation.readings) {
    told.json["candidates"].push_back({{"text", each.text}, {"probability", each.probability}});
    if (told.rows.empty() || each.probability >= least_told) told.rows.push_back({each.text, fmt::format("{:.4f}", each.probability)});
  }
  if (!any) told.rows.push_back({"(no reading)", ""});
  return told;
}

void draw_read(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  const std::string text =
      annotation.readings.empty() ? "(no reading)" : fmt::format("{}  {:.2f}", annotation.text, annotation.readings[0].probability);
  add_bar(picture, text, image::class_colour(0), false);
}

void draw_read_truth(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  add_bar(picture, annotation.text, {24, 24, 24}, true);
}

}  // namespace sightline::tasks
