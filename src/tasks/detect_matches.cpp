#include "tasks/detect_matches.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sightline::tasks {

namespace {

using annotation::Box;
using annotation::Object;

constexpr double kLargestThreshold = 1 - 1e-10;  // an overlap of exactly 1 stays reachable

// Edges are computed as from a corner and a size, because COCO's files hold boxes so: width + left may differ from right in the last bit.
double common_length(double a_begin, double a_length, double b_begin, double b_length) {
  return std::min(a_length + a_begin, b_length + b_begin) - std::max(a_begin, b_begin);
}

// For a crowd: how much of the found box lies in it.
double overlap_with(const Box& found, const Object& object) {
  const Box& box = object.box;
  const double width = common_length(found.left, found.width(), box.left, box.width());
  if (width <= 0) return 0;
  const double height = common_length(found.top, found.height(), box.top, box.height());
  if (height <= 0) return 0;
  const double both = width * height, found_area = found.area();
  return both / (object.crowd ? found_area : found_area + box.area() - both);
}

bool outside(const AreaRange& range, const Box& box) { return box.area() < range.least || box.area() > range.most; }

// Found boxes in their order against the objects, at one threshold and one range of areas.
class Matching {
 public:
  // overlaps: [found][object]. order: objects, those to be found first; the rest need not be found.
  Matching(std::span<const double> overlaps, std::span<const Object* const> objects, std::span<const std::size_t> order, std::size_t wanted)
      : overlaps_(overlaps), objects_(objects), order_(order), wanted_(wanted), taken_(objects.size()) {}

  enum class Met { nothing, wanted, unwanted };
  Met meet(std::size_t found, double threshold) {
    double best = std::min(threshold, kLargestThreshold);
    std::size_t met = objects_.size();
    bool met_wanted = false;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const std::size_t object = order_[i];
      if (taken_[object] && !objects_[object]->crowd) continue;
      if (met_wanted && i >= wanted_) break;  // what need not be found is met only where nothing else is
      const double overlap = overlaps_[found * objects_.size() + object];
      if (overlap < best) continue;  // among equals the later one is taken
      best = overlap;
      met = object;
      met_wanted = i < wanted_;
    }
    if (met == objects_.size()) return Met::nothing;
    taken_[met] = true;
    return met_wanted ? Met::wanted : Met::unwanted;
  }
  void start_again() { taken_.assign(taken_.size(), false); }

 private:
  std::span<const double> overlaps_;
  std::span<const Object* const> objects_;
  std::span<const std::size_t> order_;
  std::size_t wanted_;
  std::vector<bool> taken_;
};

std::vector<const Object*> of_label(std::span<const Object> objects, std::int32_t label) {
  std::vector<const Object*> chosen;
  for (const Object& object : objects) {
    if (object.label == label) chosen.push_back(&object);
  }
  return chosen;
}

}  // namespace

ClassMatches match_class(std::span<const Object> truth, std::span<const Object> found, std::int32_t label) {
  const std::vector<const Object*> objects = of_label(truth, label);
  std::vector<const Object*> boxes = of_label(found, label);
  std::stable_sort(boxes.begin(), boxes.end(), [](const Object* a, const Object* b) { return a->score > b->score; });
  if (boxes.size() > kMostFound) boxes.resize(kMostFound);

  ClassMatches matches;
  std::vector<double> overlaps;
  for (const Object* box : boxes) {
    assert(!std::isnan(box->score));
    matches.found.push_back({.score = box->score});
    for (const Object* object : objects) overlaps.push_back(overlap_with(box->box, *object));
  }
  for (std::size_t a = 0; a < kAreas; ++a) {
    const AreaRange& range = kAreaRanges[a];
    std::vector<std::size_t> order(objects.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto rest = std::stable_partition(order.begin(), order.end(),
                                            [&](std::size_t i) { return !objects[i]->ignored() && !outside(range, objects[i]->box); });
    const auto wanted = static_cast<std::size_t>(rest - order.begin());
    matches.wanted[a] = static_cast<std::int32_t>(wanted);
    Matching matching(overlaps, objects, order, wanted);
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      const auto bit = static_cast<std::uint16_t>(1U << t);
      matching.start_again();
      for (std::size_t d = 0; d < boxes.size(); ++d) {
        const Matching::Met met = matching.meet(d, kOverlapThresholds[t]);
        Found& one = matches.found[d];
        if (met == Matching::Met::wanted) one.hit[a] |= bit;
        if (met == Matching::Met::wanted || (met == Matching::Met::nothing && !outside(range, boxes[d]->box))) one.counted[a] |= bit;
      }
    }
  }
  return matches;
}

}  // namespace sightline::tasks
