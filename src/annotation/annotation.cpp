#include "annotation/annotation.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace sightline::annotation {
namespace {

// Words for the objects of `of` that have no partner in `in`; "" when all have one.
std::string without_partner(const std::vector<Object>& of, const std::vector<Object>& in, double tolerance, const char* side) {
  std::vector<bool> taken(in.size());
  for (const Object& object : of) {
    if (object.score < sure_score + tolerance) continue;
    std::size_t best = in.size();
    double most = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (taken[i] || in[i].label != object.label) continue;
      const double both = overlap(object.box, in[i].box);
      if (both > most) {
        most = both;
        best = i;
      }
    }
    const bool found = best < in.size() && 1 - most <= std::max(10 * tolerance, 0.02);
    if (found && std::abs(in[best].score - object.score) <= tolerance) {
      taken[best] = true;
      continue;
    }
    const std::string what = fmt::format("an object of class {} at ({:.1f}, {:.1f}) to ({:.1f}, {:.1f}) with score {:.4g}", object.label,
                                         object.box.left, object.box.top, object.box.right, object.box.bottom, object.score);
    if (!found) return fmt::format("{} is {}", what, side);
    return fmt::format("{} has score {:.4g}", what, in[best].score);
  }
  return "";
}

// In words; "" when the two lie close together.
std::string distance_of(const std::vector<float>& expected, const std::vector<float>& got, double tolerance) {
  if (expected.size() != got.size()) return fmt::format("the embedding has {} numbers instead of {}", got.size(), expected.size());
  double squared = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double apart = static_cast<double>(got[i]) - expected[i];
    squared += apart * apart;
  }
  const double distance = std::sqrt(squared);
  return distance / 2 <= tolerance ? "" : fmt::format("the embedding lies {:.4g} from where it was", distance);
}

double probability_of(const Annotation& annotation, const std::string& text) {
  for (const Reading& reading : annotation.readings)
    if (reading.text == text) return reading.probability;
  return 0;
}

// Words for texts that differ: one that is as probable as another may take its place.
std::string other_text(const Annotation& expected, const Annotation& got, double tolerance) {
  if (expected.text == got.text && expected.readings.empty() == got.readings.empty()) {
    const double before = probability_of(expected, expected.text), now = probability_of(got, got.text);
    if (!(std::abs(before - now) <= tolerance))
      return fmt::format("\"{}\" has probability {:.4g} instead of {:.4g}", got.text, now, before);
    return "";
  }
  const double lost = probability_of(expected, expected.text) - probability_of(expected, got.text);
  if (!expected.readings.empty() && !got.readings.empty() && lost <= 2 * tolerance) return "";
  return fmt::format("reads \"{}\" instead of \"{}\"", got.text, expected.text);
}

// Words for the first landmark that lies elsewhere; the unit is the longer side of what they cover.
std::string moved_landmark(const std::vector<Landmark>& expected, const std::vector<Landmark>& got, double tolerance) {
  if (expected.size() != got.size()) return fmt::format("{} landmarks instead of {}", got.size(), expected.size());
  Box all{.left = INFINITY, .top = INFINITY, .right = -INFINITY, .bottom = -INFINITY};
  for (const Landmark& each : expected) {
    all = {std::min(all.left, each.x), std::min(all.top, each.y), std::max(all.right, each.x), std::max(all.bottom, each.y)};
  }
  const double unit = std::max({1.0, all.width(), all.height()});
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double moved = std::hypot(got[i].x - expected[i].x, got[i].y - expected[i].y);
    if (expected[i].said != got[i].said || !(moved / unit <= tolerance))
      return fmt::format("landmark {} is at ({:.2f}, {:.2f}) instead of ({:.2f}, {:.2f})", i, got[i].x, got[i].y, expected[i].x,
                         expected[i].y);
    if (!(std::abs(expected[i].score - got[i].score) <= tolerance))
      return fmt::format("landmark {} has a score of {:.4g} instead of {:.4g}", i, got[i].score, expected[i].score);
  }
  return "";
}

// Words for pictures that are not alike: by the root of the mean squared difference, as a share of the range.
std::string other_picture(const Annotation& expected, const Annotation& got, double tolerance) {
  if (expected.restored.defined() != got.restored.defined() ||
      (got.restored.defined() && expected.restored.shape() != got.restored.shape()))
    return "the restored picture is of another size, or there is none";
  if (!expected.restored.defined()) return "";
  const auto a = expected.restored.values<std::uint8_t>(), b = got.restored.values<std::uint8_t>();
  double squared = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squared += (a[i] - b[i]) * (a[i] - b[i]);
  const double apart = std::sqrt(squared / static_cast<double>(std::max<std::size_t>(a.size(), 1))) / 255;
  return apart <= tolerance ? "" : fmt::format("the restored picture is {:.4g} of its range from what it was", apart);
}

}  // namespace

Annotation at_least(Annotation annotation, double score) {
  if (annotation.instances.defined()) {
    std::vector<std::int32_t> renumbered{0};
    std::int32_t kept = 0;
    for (const Object& object : annotation.objects) renumbered.push_back(object.score < score ? 0 : ++kept);
    if (static_cast<std::size_t>(kept) < annotation.objects.size()) {
      annotation.instances = annotation.instances.copy();  // others may share it
      for (std::int32_t& each : annotation.instances.values<std::int32_t>())
        each = each > 0 && each < std::ssize(renumbered) ? renumbered[static_cast<std::size_t>(each)] : 0;
    }
  }
  std::erase_if(annotation.objects, [&](const Object& object) { return object.score < score; });
  return annotation;
}

std::string name_of_class(const std::vector<std::string>& classes, std::int64_t label) {
  return label >= 0 && label < std::ssize(classes) ? classes[static_cast<std::size_t>(label)] : std::to_string(label);
}

std::string difference(const Annotation& expected, const Annotation& got, double tolerance) {
  constexpr double border_pixels = 0.002, instance_score = 0.02;
  if (expected.mask.defined() != got.mask.defined() || (got.mask.defined() && expected.mask.shape() != got.mask.shape()))
    return "the mask is of another size, or there is none";
  if (expected.mask.defined()) {
    const auto a = expected.mask.values<std::uint8_t>(), b = got.mask.values<std::uint8_t>();
    std::size_t differing = 0;
    for (std::size_t i = 0; i < a.size(); ++i) differing += a[i] != b[i] ? 1 : 0;
    const double share = static_cast<double>(differing) / static_cast<double>(std::max<std::size_t>(a.size(), 1));
    if (share > tolerance + border_pixels) return fmt::format("{:.2f}% of the mask's pixels are others", 100 * share);
  }
  if (expected.instances.defined() || got.instances.defined()) tolerance = std::max(tolerance, instance_score);
  if (!(std::abs(expected.score - got.score) <= tolerance))
    return fmt::format("the picture's score is {:.4g} instead of {:.4g}", got.score, expected.score);
  if (expected.attributes.size() != got.attributes.size())
    return fmt::format("{} attributes instead of {}", got.attributes.size(), expected.attributes.size());
  for (std::size_t i = 0; i < expected.attributes.size(); ++i)
    if (!(std::abs(expected.attributes[i].score - got.attributes[i].score) <= tolerance))
      return fmt::format("attribute {} has a score of {:.4g} instead of {:.4g}", i, got.attributes[i].score, expected.attributes[i].score);
  if (std::string apart = distance_of(expected.embedding, got.embedding, tolerance); !apart.empty()) return apart;
  if (std::string text = other_text(expected, got, tolerance); !text.empty()) return text;
  if (std::string moved = moved_landmark(expected.landmarks, got.landmarks, tolerance); !moved.empty()) return moved;
  if (std::string other = other_picture(expected, got, tolerance); !other.empty()) return other;
  const std::string missing = without_partner(expected.objects, got.objects, tolerance, "missing");
  return missing.empty() ? without_partner(got.objects, expected.objects, tolerance, "new") : missing;
}

std::string text_of_map(const Tensor& map, std::int64_t most) {
  if (!map.defined() || map.count() == 0) return "";
  const std::int64_t height = map.dim(0), width = map.dim(1), rows = std::min(height, most), columns = std::min(width, most);
  const auto values = map.values<float>();
  std::string text = fmt::format("{} {} ", rows, columns);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      double sum = 0;
      std::int64_t count = 0;
      for (std::int64_t y = r * height / rows; y < (r + 1) * height / rows; ++y) {
        for (std::int64_t x = c * width / columns; x < (c + 1) * width / columns; ++x, ++count)
          sum += static_cast<double>(values[static_cast<std::size_t>(y * width + x)]);
      }
      text += fmt::format("{:02x}", std::lround(255 * std::clamp(sum / static_cast<double>(count), 0.0, 1.0)));
    }
  }
  return text;
}

Result<Tensor> map_of_text(const std::string& text) {
  if (text.empty()) return Tensor();
  const Error bad{ErrorKind::invalid_data, "not the text of a map"};
  std::int64_t rows = 0, columns = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, rows);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return bad;
  const auto second = std::from_chars(first.ptr + 1, end, columns);
  if (second.ec != std::errc() || second.ptr == end || *second.ptr != ' ') return bad;
  constexpr std::int64_t largest = 4096;
  if (rows < 1 || columns < 1 || rows > largest || columns > largest || end - second.ptr - 1 != 2 * rows * columns) return bad;
  Tensor map(Dtype::f32, {rows, columns});
  const char* at = second.ptr + 1;
  for (float& value : map.values<float>()) {
    unsigned level = 0;
    const auto digits = std::from_chars(at, at + 2, level, 16);
    if (digits.ec != std::errc() || digits.ptr != at + 2) return bad;
    value = static_cast<float>(level) / 255.0F;
    at += 2;
  }
  return map;
}

}  // namespace sightline::annotation
