// Which of the found boxes meet which objects, for one class on one picture, as COCO's evaluation of boxes decides it (Lin et al. 2014, and
// the published behaviour of pycocotools' COCOeval, which docs/detect.md writes down rule by rule).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "annotation/annotation.h"

namespace sightline::tasks {

constexpr std::size_t kOverlaps = 10;      // overlaps that a hit must reach: 0.50, 0.55, ..., 0.95
constexpr std::size_t kAreas = 4;          // ranges of an object's area, see kAreaRanges
constexpr std::size_t kMostFound = 100;    // best ones of a class on a picture that are looked at
constexpr std::size_t kOverlapOfHalf = 0;  // places in these tables
constexpr std::size_t kOverlapOfThreeQuarters = 5;
constexpr std::size_t kAllAreas = 0;

// The numbers to the last bit as NumPy's linspace gives them, which is what COCOeval compares with.
constexpr std::array<double, kOverlaps> kOverlapThresholds = [] {
  std::array<double, kOverlaps> values{};
  constexpr double step = (0.95 - 0.5) / 9;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) * step + 0.5;
  values.back() = 0.95;
  return values;
}();

// Square pixels of the picture, both ends included.
struct AreaRange {
  const char* name;
  double least, most;
};
constexpr std::array<AreaRange, kAreas> kAreaRanges{{
    {"all", 0, 1e10},
    {"small", 0, 32.0 * 32.0},
    {"medium", 32.0 * 32.0, 96.0 * 96.0},
    {"large", 96.0 * 96.0, 1e10},
}};

// One found box. Bit t of a mask speaks of kOverlapThresholds[t], place a of an array of kAreaRanges[a].
struct Found {
  double score = 0;
  std::array<std::uint16_t, kAreas> hit{};      // it met an object that was to be found
  std::array<std::uint16_t, kAreas> counted{};  // it is right or wrong; else it met what need not be found, or is of another size
};

struct ClassMatches {
  std::vector<Found> found;                   // best first, equals in the order given; at most kMostFound
  std::array<std::int32_t, kAreas> wanted{};  // objects that were to be found
};

// truth, found: of one picture; those of other labels are not looked at. Scores are numbers.
ClassMatches match_class(std::span<const annotation::Object> truth, std::span<const annotation::Object> found, std::int32_t label);

}  // namespace sightline::tasks
