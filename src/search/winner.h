// Which finalist is taken, and what to expect of it. The best of many on the same validation pictures looks better than it is (the winner's
// curse): so the choice is made again and again on pictures that are drawn with replacement, and what it took is judged on those that were
// not drawn (Tsamardinos et al. 2018).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "evaluation/evaluation.h"

namespace sightline::search {

// What a model answered to the validation pictures.
struct Answered {
  std::vector<std::int32_t> predicted;   // N
  std::vector<std::uint8_t> among_five;  // N: whether the given class is among its five most probable ones
};
// probabilities (or scores) f32 N×K.
Answered answered(const Tensor& probabilities, std::span<const std::int32_t> labels);

// top1, top5, macro_f1 or balanced_accuracy of the pictures `rows` (which may repeat); as in tasks::measure a class without pictures does
// not count. Without rows 0.
double metric_of(const std::string& metric, const Answered& answers, std::span<const std::int32_t> labels, int classes,
                 std::span<const std::size_t> rows);
double metric_of(const std::string& metric, const Answered& answers, std::span<const std::int32_t> labels, int classes);

struct Winner {
  std::size_t chosen = 0;         // finalist
  double value = 0;               // its metric on the validation pictures, a little too good
  double corrected = 0;           // what to expect of it on other pictures
  evaluation::Interval interval;  // 95%, of that
  double ahead = 0;               // of the default on the validation pictures
  double ahead_error = 0;         // standard error of that, paired by picture
  std::string sentence;
};

// The finalist with the greatest metric (of equals the first), but `standard` when that is behind by no more than a standard error of the
// paired difference: what is within noise is no reason to leave it. standard: its place among the finalists, or -1 when it is not there.
// Errors: usage (no finalists, sizes that do not fit); interrupted. Without pictures the first is chosen and nothing is expected.
struct WinnerOptions {
  int draws = 1000;
  std::uint64_t seed = 20230917;
};
Result<Winner> choose_winner(const std::string& metric, std::span<const Answered> finalists, std::int64_t standard,
                             std::span<const std::int32_t> labels, int classes, const WinnerOptions& options = {});

}  // namespace sightline::search
