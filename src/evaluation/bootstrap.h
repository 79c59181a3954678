// Intervals by resampling: what the figures would have been on other test sets of the same size (Efron 1979, percentile method).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "evaluation/evaluation.h"
#include "tasks/tasks.h"
#include "tensor/tensor.h"

namespace sightline::evaluation {

struct BootstrapOptions {
  int draws = 1000;
  double confidence = 0.95;
  std::uint64_t seed = 20230917;
  int threads = 0;  // the intervals do not depend on it
  // Of each sample: those of one non-negative group, such as frames of one video, err together and are drawn together, as many groups as
  // there are; empty: each sample is a group of its own.
  std::span<const std::int64_t> groups = {};
};

// Intervals of top1, top5, macro_f1, balanced_accuracy and log_loss: samples are drawn with replacement, `draws` times. probabilities f32
// N×K, labels N in [0, K). Without samples the map is empty. Errors: interrupted.
Result<std::map<std::string, Interval>> bootstrap_intervals(const Tensor& probabilities, std::span<const std::int32_t> labels,
                                                            const BootstrapOptions& options = {});

// Intervals of everything that a meter measures over its first `count` cases, by 300 draws of cases (or of groups of cases, as above) with
// replacement; figures() is asked from several threads. A metric that a draw cannot measure has one draw less. Errors: interrupted.
Result<std::map<std::string, Interval>> bootstrap_intervals(const tasks::Meter& meter, std::int64_t count, int threads = 0,
                                                            std::span<const std::int64_t> groups = {});

// The quantile q in [0, 1] of sorted values, interpolated linearly between neighbours; values must not be empty.
double quantile(std::span<const double> sorted, double q);

}  // namespace sightline::evaluation
