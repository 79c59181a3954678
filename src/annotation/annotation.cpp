#include "annotation/annotation.h"

#include <fmt/format.h>

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

}  // namespace

Annotation at_least(Annotation annotation, double score) {
  std::erase_if(annotation.objects, [&](const Object& object) { return object.score < score; });
  return annotation;
}

std::string name_of_class(const std::vector<std::string>& classes, std::int64_t label) {
  return label >= 0 && label < std::ssize(classes) ? classes[static_cast<std::size_t>(label)] : std::to_string(label);
}

std::string difference(const Annotation& expected, const Annotation& got, double tolerance) {
  if (!(std::abs(expected.score - got.score) <= tolerance))
    return fmt::format("the picture's score is {:.4g} instead of {:.4g}", got.score, expected.score);
  const std::string missing = without_partner(expected.objects, got.objects, tolerance, "missing");
  return missing.empty() ? without_partner(got.objects, expected.objects, tolerance, "new") : missing;
}

}  // namespace sightline::annotation
