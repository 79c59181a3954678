// What the compress step tried: the same model in other precisions, each a package that was written, opened again and run over validation
// images; and the rule by which one of them is kept.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "evaluation/evaluation.h"

namespace sightline::evaluation {

struct CompressionCandidate {
  std::string precision;  // f32, bf16, mixed, int8
  double metric = 0;      // the target's metric on validation images
  double loss = 0;        // what is lost of it against f32, in points (hundredths); negative: it gained
  Interval interval;      // 95%, of the loss: paired bootstrap over images
  double latency_ms = 0;  // median of the network alone at batch 1, the candidates by turns
  std::uint64_t size_bytes = 0;
  bool kept = false;
  std::string sentence;  // why it was kept or not
  static constexpr auto fields() {
    return std::tuple{field("precision", &CompressionCandidate::precision),
                      field("metric", &CompressionCandidate::metric),
                      field("loss", &CompressionCandidate::loss),
                      field("interval", &CompressionCandidate::interval),
                      field("latency_ms", &CompressionCandidate::latency_ms),
                      field("size_bytes", &CompressionCandidate::size_bytes),
                      field("kept", &CompressionCandidate::kept),
                      field("sentence", &CompressionCandidate::sentence)};
  }
};

struct Compression {
  std::string wanted = "f32";     // by the demand
  std::string precision = "f32";  // that is shipped
  std::string metric;
  double tolerance = 0;  // points
  std::string method;    // of the ranges of int8
  std::int64_t validation_images = 0, calibration_images = 0;
  std::vector<CompressionCandidate> candidates;  // f32 first; empty when nothing was to be tried
  std::vector<std::string> remarks;              // what was not tried, and why
  std::string sentence;
  static constexpr auto fields() {
    return std::tuple{field("wanted", &Compression::wanted),
                      field("precision", &Compression::precision),
                      field("metric", &Compression::metric),
                      field("tolerance", &Compression::tolerance),
                      field("method", &Compression::method),
                      field("validation_images", &Compression::validation_images),
                      field("calibration_images", &Compression::calibration_images),
                      field("candidates", &Compression::candidates),
                      field("remarks", &Compression::remarks),
                      field("sentence", &Compression::sentence)};
  }
};

// The loss of `metric` (top1, top5 or macro_f1) in points between two models' answers to the same images, and its 95% interval: images are
// drawn with replacement, the same for both. probabilities f32 N×K in the order of `labels`. Errors: usage (unknown metric), interrupted.
struct Loss {
  double reference = 0, candidate = 0;  // the metric
  double points = 0;
  Interval interval;
};
Result<Loss> paired_loss(const Tensor& reference, const Tensor& candidate, std::span<const std::int32_t> labels, const std::string& metric);

// The same of two models whose answers to the same `count` pictures were measured by the same kind of meter; 300 draws. Errors: usage (the
// metric was not measured), interrupted.
Result<Loss> paired_loss(const tasks::Meter& reference, const tasks::Meter& candidate, std::int64_t count, const std::string& metric);

// A candidate stays within the tolerance when the upper end of the interval of its loss does.
bool within_tolerance(const CompressionCandidate& candidate, double tolerance);

// Marks the candidate that is kept and writes the sentences. Of those within the tolerance the fastest counts, f32 among them; whose
// latency is within a tenth of the fastest counts as equal, and the first of equals in the order int8, mixed, bf16, f32 is kept. With a
// wanted precision (not "auto") time does not count: that one is kept, or f32.
void decide(Compression& compression);

}  // namespace sightline::evaluation
