// What a model says beyond probabilities, on request: a class only where its own threshold is reached, and the set of classes that holds
// the right one with a stated probability. Fitted on samples that the model was not fitted on, kept in the model's metadata, measured on
// the test split.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "demand/demand.h"
#include "evaluation/conformal.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

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

// What the demand asks for, from probabilities f32 N×K of samples that the model was not fitted on; nothing when it asks for nothing.
// Thresholds: a power of the class's share, the one of greatest balanced accuracy; or with a precision (thresholds.h) the lowest at which
// that share of what is said is right; a class that never gets there is not said at all. Errors: those of thresholds.h and conformal.h.
Result<std::optional<Decisions>> fit_decisions(const demand::Demand& demand, const Tensor& probabilities,
                                               std::span<const std::int32_t> labels, const std::string& from);

void write_decisions(const Decisions& decisions, graph::Graph& graph);
// Error invalid_data: metadata that do not fit `classes`.
Result<std::optional<Decisions>> read_decisions(const graph::Graph& graph, std::size_t classes);

// The class that is said of probabilities f32 K: the one that is furthest above its threshold (by ratio); -1: none is sure enough, which
// happens only with a precision.
int decided_class(const Decisions& decisions, std::span<const float> probabilities);

// On the test split.
struct DecisionFigures {
  // Thresholds: with the most probable class, and as decided; a picture without an answer counts as a wrong one.
  double accuracy_before = 0, accuracy_after = 0;
  double balanced_accuracy_before = 0, balanced_accuracy_after = 0;
  double answered = 1;  // share of the pictures that get an answer
  double right_of_answered = 0;
  // Sets: share that holds the right class, with Clopper and Pearson's 95% limits.
  double coverage = 0, coverage_low = 0, coverage_high = 0;
  double least_class_coverage = 0;
  double mean_size = 0, single = 0;  // classes in a set, share of sets of one
  std::int64_t samples = 0;
  std::vector<std::string> sentences;
  static constexpr auto fields() {
    return std::tuple{field("accuracy_before", &DecisionFigures::accuracy_before),
                      field("accuracy_after", &DecisionFigures::accuracy_after),
                      field("balanced_accuracy_before", &DecisionFigures::balanced_accuracy_before),
                      field("balanced_accuracy_after", &DecisionFigures::balanced_accuracy_after),
                      field("answered", &DecisionFigures::answered),
                      field("right_of_answered", &DecisionFigures::right_of_answered),
                      field("coverage", &DecisionFigures::coverage),
                      field("coverage_low", &DecisionFigures::coverage_low),
                      field("coverage_high", &DecisionFigures::coverage_high),
                      field("least_class_coverage", &DecisionFigures::least_class_coverage),
                      field("mean_size", &DecisionFigures::mean_size),
                      field("single", &DecisionFigures::single),
                      field("samples", &DecisionFigures::samples),
                      field("sentences", &DecisionFigures::sentences)};
  }
};
// probabilities f32 N×K of samples that nothing was fitted on.
DecisionFigures measure_decisions(const Decisions& decisions, const Tensor& probabilities, std::span<const std::int32_t> labels);

}  // namespace sightline::evaluation
