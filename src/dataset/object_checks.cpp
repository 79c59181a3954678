#include "dataset/object_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sightline::dataset {
namespace {

annotation::Box within(const annotation::Box& box, int width, int height) {
  const double right = width, bottom = height;
  return {std::clamp(box.left, 0.0, right), std::clamp(box.top, 0.0, bottom), std::clamp(box.right, 0.0, right),
          std::clamp(box.bottom, 0.0, bottom)};
}

std::string other_size(const CollectedPicture& picture, const Sample& sample) {
  const int width = picture.width.value_or(0), height = picture.height.value_or(0);
  // Some tools write 0 for a size that they do not know.
  if ((width <= 0 || width == sample.width) && (height <= 0 || height == sample.height)) return "";
  return fmt::format("the picture is {}×{}, but its annotations are for {}×{} ({}, {})", sample.width, sample.height, width, height,
                     picture.label_file, picture.place);
}

}  // namespace

void fill_objects(Listing& listing, demand::BadBoxes policy, std::vector<Sample>& samples, std::vector<std::string>& reasons) {
  const Collection& collection = *listing.collection;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!reasons[i].empty()) continue;
    Sample& sample = samples[i];
    const CollectedPicture& picture = collection.pictures[listing.entries[i].picture];
    reasons[i] = other_size(picture, sample);
    if (!reasons[i].empty()) continue;
    for (const CollectedObject& object : picture.objects) {
      const annotation::Box box = edges_of(collection.format, object.box, sample.width, sample.height);
      const annotation::Box inside = within(box, sample.width, sample.height);
      const double beyond = std::max({inside.left - box.left, inside.top - box.top, box.right - inside.right, box.bottom - inside.bottom});
      const auto refuse = [&](const std::string& why, Loss loss) {
        listing.refused.push_back(
            {picture.label_file,
             fmt::format("{}: {} {:g},{:g} to {:g},{:g} {} ({})", sample.path, collection.categories[object.category].name, box.left,
                         box.top, box.right, box.bottom, why, object.place),
             loss});
      };
      if (!std::isfinite(box.left + box.top + box.right + box.bottom)) {
        refuse("is no box", Loss::object);
        continue;
      }
      if (box.area() <= 0) {
        refuse("has no area", Loss::object);
        continue;
      }
      if (inside.area() <= 0) {
        refuse(fmt::format("lies outside of the {}×{} pixels", sample.width, sample.height), Loss::object);
        continue;
      }
      if (beyond > rounding_beyond_edge) {
        const bool clip = policy == demand::BadBoxes::clip;
        refuse(fmt::format("reaches {:.4g} beyond the {}×{} pixels{}", beyond, sample.width, sample.height, clip ? "; clipped" : ""),
               clip ? Loss::none : Loss::object);
        if (!clip) continue;
      }
      sample.annotation.objects.push_back({.label = static_cast<std::int32_t>(object.category),
                                           .box = inside,
                                           .crowd = object.crowd.value_or(false),
                                           .difficult = object.difficult.value_or(false)});
    }
  }
}

}  // namespace sightline::dataset
