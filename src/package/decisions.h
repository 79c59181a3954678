// What a classifier says beyond probabilities, where that was asked for: a class only where its own threshold is reached, and the set of
// classes that holds the right one with a stated probability. Both are fitted by evaluation (decisions.h, conformal.h there) and kept in
// the model's metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "graph/graph.h"

namespace sightline::package {

struct Conformal {
  double coverage = 0.9;      // as demanded
  bool per_class = false;     // whether it holds within each class, or over all samples
  std::vector<double> least;  // K: a class is in the set when its probability is at least this; 0: always
  std::int64_t samples = 0;   // that it was calibrated on
  double mean_size = 0;       // of the sets of those samples
  static constexpr auto fields() {
    return std::tuple{field("coverage", &Conformal::coverage), field("per_class", &Conformal::per_class), field("least", &Conformal::least),
                      field("samples", &Conformal::samples), field("mean_size", &Conformal::mean_size)};
  }
};

// In the model's metadata as JSON under "sightline_decisions"; the least threshold also as OpenVINO's "model_info confidence_threshold",
// which is one number for all classes.
struct Decisions {
  std::vector<double> thresholds;   // K, in (0, 1]; empty: the most probable class is said
  std::optional<double> precision;  // that was demanded of what is said; then a picture of which no class is that sure has no answer
  std::optional<Conformal> sets;
  std::string from;          // "out of fold" or "validation"
  std::int64_t samples = 0;  // that all this was fitted on
  static constexpr auto fields() {
    return std::tuple{field("thresholds", &Decisions::thresholds), field("precision", &Decisions::precision),
                      field("sets", &Decisions::sets), field("from", &Decisions::from), field("samples", &Decisions::samples)};
  }
};

void write_decisions(const Decisions& decisions, graph::Graph& graph);
// Error invalid_data: metadata that do not fit `classes`.
Result<std::optional<Decisions>> read_decisions(const graph::Graph& graph, std::size_t classes);

// The class that is said of probabilities f32 K: the one that is furthest above its threshold (by ratio); -1: none is sure enough, which
// happens only with a precision.
int decided_class(const Decisions& decisions, std::span<const float> probabilities);

// The classes of one sample's set, most probable first. Never empty: the most probable class is always in it. probabilities f32 K.
std::vector<int> prediction_set(const Conformal& conformal, std::span<const float> probabilities);

}  // namespace sightline::package
