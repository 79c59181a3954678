// The heads that compete in choose_head, each with its settings: fitted without a fold to judge it, and on everything to ship it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "heads/choose.h"
#include "heads/closed_form.h"
#include "heads/logistic.h"
#include "heads/spectrum.h"

namespace sightline::heads {

// Relative to the mean eigenvalue of the scatter (closed forms) or covariance (logistic); the latter fall, as a path does.
std::span<const double> ridge_penalties();
std::span<const double> logistic_penalties();

struct Setting {
  Kind kind = Kind::ridge;
  double value = 0;       // as CandidateFigure says
  std::int64_t kept = 0;  // columns; 0: all
  int candidate = 0;
};

class Candidates {
 public:
  // What is referred to must outlive them. emphasis: per sample, empty: 1 each.
  static Result<Candidates> prepare(const Tensor& features, std::span<const std::int32_t> labels, int classes, std::vector<double> emphasis,
                                    const ChooseOptions& options);

  std::span<const Setting> settings() const { return settings_; }
  // For each setting the scores f32 F×K of the samples held out, by a fit on all others. Any number of threads may call.
  Result<std::vector<Tensor>> judge(std::span<const std::int64_t> held_out) const;
  // Fitted on everything; temperature 1.
  Result<Head> fit(const Setting& setting) const;

 private:
  // Rows in scaled coordinates and their principal axes.
  struct View {
    FeatureScaling scaling;
    Spectrum spectrum;
  };
  Candidates(const Tensor& features, std::span<const std::int32_t> labels, int classes, std::vector<double> emphasis,
             const ChooseOptions& options)
      : features_(features), labels_(labels), classes_(classes), emphasis_(std::move(emphasis)), options_(options) {}

  bool wants(Kind kind) const;
  void list_settings();
  Result<void> prepare_hidden();
  Result<Coefficients> ridge_on_best(std::span<const std::int64_t> held_out, std::int64_t kept, std::vector<std::int64_t>& columns,
                                     FeatureScaling& scaling) const;

  const Tensor& features_;
  std::span<const std::int32_t> labels_;
  int classes_;
  std::vector<double> emphasis_;
  const ChooseOptions& options_;
  std::vector<Setting> settings_;
  std::unique_ptr<View> plain_;                                    // every sample counts once
  std::unique_ptr<Spectrum> emphasised_;                           // of plain_'s coordinates; null when every sample counts once
  std::unique_ptr<RidgePath> plain_ridge_, ridge_, hidden_ridge_;  // for discriminants, for ridge, behind the random layer
  std::unique_ptr<LogisticPath> logistic_;
  std::unique_ptr<View> hidden_;
  Projection projection_;
};

}  // namespace sightline::heads
