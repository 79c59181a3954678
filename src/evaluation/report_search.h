// What a search tried and what it kept, for the report: a drawing of accuracy against latency, and a table of the points that can be
// released.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "demand/demand.h"
#include "evaluation/evaluation.h"

namespace sightline::evaluation {

struct SearchPoint {
  int number = 0;  // of `sightline release MODEL --point NUMBER`; 0: not kept
  std::string name;
  double value = 0;                                   // the metric on validation pictures
  double latency_ms = 0, size_mb = 0, memory_mb = 0;  // p95 at batch 1, shipped, held by the runtime; before anything was learned
  bool chosen = false, standard = false;              // standard: the default recipe
  static constexpr auto fields() {
    return std::tuple{field("number", &SearchPoint::number),   field("name", &SearchPoint::name),
                      field("value", &SearchPoint::value),     field("latency_ms", &SearchPoint::latency_ms),
                      field("size_mb", &SearchPoint::size_mb), field("memory_mb", &SearchPoint::memory_mb),
                      field("chosen", &SearchPoint::chosen),   field("standard", &SearchPoint::standard)};
  }
};

struct SearchReport {
  std::string metric, strategy;
  double minutes = 0, seconds = 0;  // allowed, taken
  std::int64_t validation_images = 0;
  std::int64_t candidates = 0, begun = 0, refused = 0, failed = 0, stopped = 0;
  double value = 0, corrected = 0;  // of the chosen one on validation pictures, and what is to be expected of it
  Interval interval;                // 95%, of the latter
  std::vector<SearchPoint> points;  // nobody beats them in accuracy, latency and size at once; by rising latency
  std::vector<SearchPoint> others;  // the other finalists
  std::vector<std::string> sentences;
  std::vector<std::string> dropped;  // who broke a limit or failed, and why
  static constexpr auto fields() {
    return std::tuple{field("metric", &SearchReport::metric),
                      field("strategy", &SearchReport::strategy),
                      field("minutes", &SearchReport::minutes),
                      field("seconds", &SearchReport::seconds),
                      field("validation_images", &SearchReport::validation_images),
                      field("candidates", &SearchReport::candidates),
                      field("begun", &SearchReport::begun),
                      field("refused", &SearchReport::refused),
                      field("failed", &SearchReport::failed),
                      field("stopped", &SearchReport::stopped),
                      field("value", &SearchReport::value),
                      field("corrected", &SearchReport::corrected),
                      field("interval", &SearchReport::interval),
                      field("points", &SearchReport::points),
                      field("others", &SearchReport::others),
                      field("sentences", &SearchReport::sentences),
                      field("dropped", &SearchReport::dropped)};
  }
};

// The section of the page; "" when nothing was found. limits are drawn where they lie near the points.
std::string search_section(const SearchReport& search, const demand::Limits& limits, const std::string& model);

}  // namespace sightline::evaluation
