#include "tasks/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "image/levels.h"
#include "tasks/degradation.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using Signatures = std::map<std::string, std::pair<Dtype, Shape>>;

constexpr const char *kRestored = "restored", *kDeviation = "deviation";

Error wrong(const std::string& what) {
  return {ErrorKind::unsupported,
          fmt::format("{}; a restorer has \"{}\" f32 N×C×H×W with 1 or 3 channels and \"{}\" f32 N×1×H×W", what, kRestored, kDeviation)};
}

// h×w parts of a picture; those beyond its edge are left out.
image::Image part_of(const image::Image& picture, int left, int top, int width, int height) {
  image::Image part{.width = width, .height = height, .channels = picture.channels, .pixels = {}};
  for (int y = top; y < top + height; ++y) {
    const auto row = picture.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * picture.row_bytes());
    part.pixels.insert(part.pixels.end(), row + std::ptrdiff_t{left} * picture.channels,
                       row + std::ptrdiff_t{left + width} * picture.channels);
  }
  return part;
}

// Where, in steps of half a window, the squared difference is largest.
std::pair<int, int> worst_place(const image::Image& a, const image::Image& b, int width, int height) {
  std::pair<int, int> worst{0, 0};
  double most = -1;
  for (int top = 0; top + height <= a.height; top += std::max(height / 2, 1))
    for (int left = 0; left + width <= a.width; left += std::max(width / 2, 1)) {
      const image::Image one = part_of(a, left, top, width, height), other = part_of(b, left, top, width, height);
      double sum = 0;
      for (std::size_t i = 0; i < one.pixels.size(); ++i) sum += std::pow(one.pixels[i] - other.pixels[i], 2);
      if (sum <= most) continue;
      most = sum;
      worst = {left, top};
    }
  return worst;
}

image::Image heat_of(const Tensor& deviation) {
  constexpr double warmest = 24;  // levels
  image::Image heat{.width = static_cast<int>(deviation.dim(1)), .height = static_cast<int>(deviation.dim(0)), .channels = 3, .pixels = {}};
  for (const float value : deviation.values<float>()) {
    const image::Colour colour = image::heat_colour(std::clamp(static_cast<double>(value) / warmest, 0.0, 1.0));
    heat.pixels.insert(heat.pixels.end(), {colour.red, colour.green, colour.blue});
  }
  return heat;
}

}  // namespace

Result<void> check_restore_outputs(const Signatures& outputs, std::size_t /*classes*/) {
  for (const auto& [name, signature] : outputs)
    if (name != kRestored && name != kDeviation) return wrong(fmt::format("there is an output \"{}\"", name));
  for (const char* name : {kRestored, kDeviation}) {
    const auto found = outputs.find(name);
    if (found == outputs.end()) return wrong(fmt::format("there is no output \"{}\"", name));
    const auto& [dtype, shape] = found->second;
    const bool channels = shape.size() == 4 && (shape[1] == 1 || shape[1] < 0 || (name == kRestored && shape[1] == 3));
    if (dtype != Dtype::f32 || !channels) return wrong(fmt::format("output \"{}\" is {} {}", name, name_of(dtype), to_string(shape)));
  }
  const Shape &restored = outputs.at(kRestored).second, &deviation = outputs.at(kDeviation).second;
  for (const std::size_t axis : {std::size_t{0}, std::size_t{2}, std::size_t{3}})
    if (restored[axis] >= 0 && deviation[axis] >= 0 && restored[axis] != deviation[axis])
      return wrong(fmt::format("\"{}\" is {} and \"{}\" {}", kRestored, to_string(restored), kDeviation, to_string(deviation)));
  return {};
}

Result<std::vector<Annotation>> decode_restore(const Outputs& outputs, std::span<const image::Placement> placements) {
  Signatures signatures;
  for (const auto& [name, tensor] : outputs) signatures[name] = {tensor.dtype(), tensor.shape()};
  SIGHTLINE_CHECK(check_restore_outputs(signatures, 0));
  const Tensor &restored = outputs.at(kRestored), &deviation = outputs.at(kDeviation);
  if (restored.dim(0) != std::ssize(placements))
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} pictures in the batch, but the network answered for {}", placements.size(), restored.dim(0))};
  const std::int64_t channels = restored.dim(1), height = restored.dim(2), width = restored.dim(3), area = height * width;
  std::vector<Annotation> answers;
  for (std::int64_t n = 0; n < restored.dim(0); ++n) {
    const image::Placement& placement = placements[static_cast<std::size_t>(n)];
    if (placement.width < 1 || placement.height < 1 || width % placement.width != 0 || height % placement.height != 0 ||
        width / placement.width != height / placement.height)
      return Error{ErrorKind::invalid_data,
                   fmt::format("a picture of {}×{} was answered with one of {}×{}", placement.width, placement.height, width, height)};
    Annotation& answer = answers.emplace_back();
    answer.restored = Tensor(Dtype::u8, {height, width, channels});
    answer.deviation = Tensor(Dtype::f32, {height, width});
    const float* from = restored.values<float>().data() + n * channels * area;
    std::uint8_t* to = answer.restored.values<std::uint8_t>().data();
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < area; ++i) {
        const float value = from[c * area + i];
        if (std::isnan(value)) return Error{ErrorKind::invalid_data, "a level of the network is not a number"};
        to[i * channels + c] = static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5F), 0.0F, 255.0F));
      }
    const auto deviations = deviation.values<float>().subspan(static_cast<std::size_t>(n * area), static_cast<std::size_t>(area));
    for (const float value : deviations)
      if (!(value >= 0)) return Error{ErrorKind::invalid_data, "a deviation of the network is not a number of 0 or more"};
    std::ranges::copy(deviations, answer.deviation.values<float>().begin());
  }
  return answers;
}

Told tell_restore(const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  Told told{.json = Json::object(), .rows = {}};
  if (!annotation.restored.defined()) return told;
  const auto values = annotation.deviation.values<float>();
  std::vector<float> sorted(values.begin(), values.end());
  const auto tenth = static_cast<std::ptrdiff_t>(std::max<std::size_t>(sorted.size() / 10, 1));
  std::nth_element(sorted.begin(), sorted.end() - tenth, sorted.end());
  const double mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size()),
               least_sure = std::accumulate(sorted.end() - tenth, sorted.end(), 0.0) / static_cast<double>(tenth);
  told.json = {
      {"width", annotation.restored.dim(1)}, {"height", annotation.restored.dim(0)}, {"deviation", mean}, {"least_sure", least_sure}};
  told.rows.push_back({fmt::format("{}×{}", annotation.restored.dim(1), annotation.restored.dim(0)), fmt::format("{:.2f} levels", mean),
                       fmt::format("{:.2f} levels", least_sure)});
  return told;
}

Result<image::Image> show_restore(const image::Image& picture, const std::string& name, const Terms& terms, Annotation& truth) {
  SIGHTLINE_TRY(const Restoration restoration, restoration_of(terms.metadata));
  const int scale = restoration.degradation.scale;
  const int width = picture.width - picture.width % scale, height = picture.height - picture.height % scale;
  if (width < scale || height < scale)
    return Error{ErrorKind::invalid_data, fmt::format("{}: a picture of {}×{} is too small to be made {} times smaller", name,
                                                      picture.width, picture.height, scale)};
  const image::Image sharp = part_of(picture, 0, 0, width, height);
  truth.restored = Tensor::of<std::uint8_t>({height, width, picture.channels}, sharp.pixels);
  Random random = measured_stream(restoration, name);
  return degrade(sharp, restoration.degradation, random);
}

image::Image picture_of(const Tensor& pixels) {
  const auto values = pixels.values<std::uint8_t>();
  return {.width = static_cast<int>(pixels.dim(1)),
          .height = static_cast<int>(pixels.dim(0)),
          .channels = static_cast<int>(pixels.dim(2)),
          .pixels = {values.begin(), values.end()}};
}

image::Image strip_of_restore(const Case& one) {
  constexpr int most = 192, gap = 4;
  const Tensor &given = one.truth.restored, &got = one.prediction.restored;
  if (!one.shown.defined() || !given.defined() || !got.defined() || given.shape() != got.shape()) return {};
  const image::Image truth = picture_of(given), answer = picture_of(got);
  image::Image shown = picture_of(one.shown);
  if (const int scale = truth.width / std::max(shown.width, 1); scale > 1) shown = image_of(enlarged(planes_of(shown), scale));
  const int width = std::min(most, truth.width), height = std::min(most, truth.height);
  const auto [left, top] = worst_place(truth, answer, width, height);
  const image::Image parts[] = {part_of(shown, left, top, width, height), part_of(answer, left, top, width, height),
                                part_of(truth, left, top, width, height),
                                part_of(heat_of(one.prediction.deviation), left, top, width, height)};
  const int count = static_cast<int>(std::size(parts));
  image::Image strip{.width = count * width + (count - 1) * gap, .height = height, .channels = 3, .pixels = {}};
  strip.pixels.assign(static_cast<std::size_t>(height) * strip.row_bytes(), 255);
  for (int i = 0; i < count; ++i) {
    const image::Image part = image::convert_channels(parts[i], 3);
    for (int y = 0; y < height; ++y)
      std::copy_n(part.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * part.row_bytes()), part.row_bytes(),
                  strip.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * strip.row_bytes()) +
                      std::ptrdiff_t{3} * i * (width + gap));
  }
  return strip;
}

std::string deviation_png(const Tensor& deviation) {
  constexpr float per_level = 2048, most = 65535;
  image::Levels levels{.width = static_cast<int>(deviation.dim(1)), .height = static_cast<int>(deviation.dim(0)), .bits = 16, .values = {}};
  for (const float value : deviation.values<float>())
    levels.values.push_back(static_cast<std::uint16_t>(std::lround(std::clamp(value * per_level, 0.0F, most))));
  return image::encode_levels(levels);
}

}  // namespace sightline::tasks
