#include "evaluation/compression.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "evaluation/bootstrap.h"

namespace sightline::evaluation {
namespace {

// Less than the same binary varies by within minutes.
constexpr double equally_fast = 1.1;

std::size_t rank_of(const std::string& precision) {
  constexpr std::array order{"int8", "mixed", "bf16", "f32"};
  return static_cast<std::size_t>(std::ranges::find(order, precision) - order.begin());
}

std::string loss_text(const Compression& compression, const CompressionCandidate& candidate) {
  return fmt::format("it {} {:.2f} points of {} on {} validation images (95% interval of the loss {:.2f} to {:.2f}, tolerance {:g})",
                     candidate.loss < 0 ? "gains" : "loses", std::abs(candidate.loss), compression.metric,
                     human_count(static_cast<std::uint64_t>(compression.validation_images)), candidate.interval.low,
                     candidate.interval.high, compression.tolerance);
}

}  // namespace

bool within_tolerance(const CompressionCandidate& candidate, double tolerance) {
  return candidate.precision == "f32" || candidate.interval.high <= tolerance;
}

void decide(Compression& compression) {
  std::vector<CompressionCandidate>& all = compression.candidates;
  if (all.empty()) return;
  const CompressionCandidate* fastest = nullptr;
  for (const CompressionCandidate& each : all)
    if (within_tolerance(each, compression.tolerance) && (fastest == nullptr || each.latency_ms < fastest->latency_ms)) fastest = &each;
  CompressionCandidate* best = nullptr;
  for (CompressionCandidate& each : all) {
    each.kept = false;
    if (!within_tolerance(each, compression.tolerance)) continue;
    const bool counts = compression.wanted == "auto" ? each.latency_ms <= equally_fast * fastest->latency_ms
                                                     : each.precision == compression.wanted || each.precision == "f32";
    if (counts && (best == nullptr || rank_of(each.precision) < rank_of(best->precision))) best = &each;
  }
  if (best == nullptr) best = all.data();  // f32 is always there
  best->kept = true;
  compression.precision = best->precision;
  const double reference = all[0].latency_ms;
  const auto speed = [&](const CompressionCandidate& each) {
    return fmt::format("{:.3f} ms an image, {:.2f} × the speed of f32", each.latency_ms,
                       each.latency_ms > 0 ? reference / each.latency_ms : 0);
  };
  for (CompressionCandidate& each : all) {
    if (each.precision == "f32") {
      each.sentence = fmt::format("{}: the reference, {} {:.4f}, {:.3f} ms an image, {}", each.kept ? "kept" : "replaced",
                                  compression.metric, each.metric, each.latency_ms, human_bytes(each.size_bytes));
    } else if (each.kept) {
      each.sentence = fmt::format("kept: {}; {}, {}", loss_text(compression, each), speed(each), human_bytes(each.size_bytes));
    } else if (!within_tolerance(each, compression.tolerance)) {
      each.sentence = fmt::format("refused: {}", loss_text(compression, each));
    } else {
      each.sentence = fmt::format("not kept: {}, but {} is {} ({})", loss_text(compression, each), compression.precision,
                                  each.latency_ms > best->latency_ms ? "faster" : "as fast", speed(each));
    }
  }
  compression.sentence = fmt::format("ships {}: {}", compression.precision, best->sentence);
}

}  // namespace sightline::evaluation
