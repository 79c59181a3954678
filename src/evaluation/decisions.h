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
#include "package/decisions.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

// What the demand asks for, from probabilities f32 N×K of samples that the model was not fitted on; nothing when it asks for nothing.
// Thresholds: a power of the class's share, the one of greatest balanced accuracy; or with a precision (thresholds.h) the lowest at which
// that share of what is said is right; a class that never gets there is not said at all. Errors: those of thresholds.h and conformal.h.
Result<std::optional<package::Decisions>> fit_decisions(const demand::Demand& demand, const Tensor& probabilities,
                                                        std::span<const std::int32_t> labels, const std::string& from);

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
DecisionFigures measure_decisions(const package::Decisions& decisions, const Tensor& probabilities, std::span<const std::int32_t> labels);

}  // namespace sightline::evaluation
