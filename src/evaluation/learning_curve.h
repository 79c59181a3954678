// How many more images it would take: errors at several training sizes, the curve through them, and where it meets the target.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "evaluation/evaluation.h"

namespace sightline::evaluation {

struct CurvePoint {
  double samples = 0;          // that were trained on, of the class in question (or of each class)
  std::vector<double> errors;  // share of wrong answers on samples held out, one per repeat
  double judged = 0;           // different samples behind each error
  static constexpr auto fields() {
    return std::tuple{field("samples", &CurvePoint::samples), field("errors", &CurvePoint::errors), field("judged", &CurvePoint::judged)};
  }
};

// error(n) = floor + scale · n^-exponent (Cortes et al. 1994; Hestness et al. 2017), none of them negative.
struct CurveShape {
  double floor = 0, scale = 0, exponent = 0.5;
  double error_at(double samples) const;
  // Where the error falls to `target`; infinity when it never does.
  double samples_for(double target) const;
  static constexpr auto fields() {
    return std::tuple{field("floor", &CurveShape::floor), field("scale", &CurveShape::scale), field("exponent", &CurveShape::exponent)};
  }
};

struct LearningCurve {
  CurveShape best;
  std::vector<CurveShape> draws;  // what it might be as well
  double largest = 0;             // most samples that were trained on
};

struct CurveOptions {
  int draws = 400;
  std::uint64_t seed = 20230917;
};

// Weighted least squares; the exponent is pulled softly to 0.5 (a factor of two either way is within one deviation) and the floor to 0
// (half of the last error is), because few points say little about it. Each draw takes the repeats anew, moves all points together by what
// the judged samples leave open, and the pull as well, so that the draws spread as far as the data and that guess do. Errors: usage (fewer
// than three different sizes, errors outside [0, 1]).
Result<LearningCurve> fit_learning_curve(std::span<const CurvePoint> points, const CurveOptions& options = {});

struct SamplesNeeded {
  bool reached = false;    // with what there is
  bool reachable = false;  // by more images of this kind, as far as one can see (a hundred times what was trained on)
  double likelihood = 0;   // share of the draws that get there
  double more = 0;         // images
  Interval interval;       // of `more`, 90% of the draws; high is infinite when not all of them get there
  std::string sentence;    // "about 120 more images of \"cat\" would be needed (between 60 and 400)"
};
// target: an error, like those of the curve. have: images of the class now. subject: "of \"cat\"", "of each class".
SamplesNeeded samples_needed(const LearningCurve& curve, double target, double have, const std::string& subject);

}  // namespace sightline::evaluation
