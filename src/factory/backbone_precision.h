// A frozen backbone in fewer bits: chosen once, when it is imported, so that every model that is built on it shares the same lighter
// weights, and heads are fitted on what the lighter backbone says.
#pragma once

#include <string>
#include <vector>

#include "base/fields.h"
#include "factory/backbone.h"

namespace sightline::factory {

// The least power of the f32 features over that of the difference, in decibels, with which features count as the same: 3% of the power.
// Heads are fitted on the lighter features themselves, so that only what is lost at random counts (figures in docs/heads.md).
inline constexpr double least_agreement_db = 15;

struct PrecisionTried {
  std::string precision;
  double agreement_db = 0;  // of the features with those in f32, over the calibration pictures
  double p50_ms = 0;        // at batch 1, all by turns
  std::uint64_t bytes = 0;  // of the weights file
  bool agrees = false;
  static constexpr auto fields() {
    return std::tuple{field("precision", &PrecisionTried::precision), field("agreement_db", &PrecisionTried::agreement_db),
                      field("p50_ms", &PrecisionTried::p50_ms), field("bytes", &PrecisionTried::bytes),
                      field("agrees", &PrecisionTried::agrees)};
  }
};

struct LighterNetwork {
  CutNetwork network;                 // about.precision says what was taken
  std::vector<PrecisionTried> tried;  // f32 first
};

// wanted: f32, bf16, mixed, int8 (which is then taken, or an error says that its features do not agree) or auto (the fastest of those whose
// features agree, f32 included). pictures: a folder of pictures like those that the backbone will see, at most `most` of which, evenly
// spread, calibrate the integers and are compared; anything that `dataset` imports. Errors: usage (an unknown precision, no pictures),
// unsupported (no bf16 here; a network that holds integers already), refused (features that do not agree), those of reading the pictures.
Result<LighterNetwork> in_precision(const CutNetwork& network, const std::string& wanted, const std::string& pictures, std::int64_t most,
                                    int threads);

}  // namespace sightline::factory
