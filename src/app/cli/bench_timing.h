// Timing two or more engines by turns, and what this machine can do at most.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "runtime/session.h"
#include "tensor/tensor.h"

namespace sightline::cli {

struct Timing {
  int warm_up = 0, runs = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, images_per_second = 0;
  static constexpr auto fields() {
    return std::tuple{field("warm_up", &Timing::warm_up), field("runs", &Timing::runs),
                      field("p50_ms", &Timing::p50_ms),   field("p95_ms", &Timing::p95_ms),
                      field("p99_ms", &Timing::p99_ms),   field("images_per_second", &Timing::images_per_second)};
  }
};

// One rival on one batch size, and its median over ours: of all runs, and the extremes of the turns.
struct Versus {
  Timing timing;
  double ratio = 0, lowest = 0, highest = 0;
};

struct BatchFigures {
  std::int64_t batch = 1;
  Timing ours;
  double gflops = 0;  // a second, at the median
  std::vector<Versus> theirs;
  double difference = 0;  // from the first rival, largest, relative to the output's scale
};

// So many seconds, one for each run.
using Turn = std::function<Result<std::vector<double>>(int runs)>;
Turn turn_of(runtime::Session& session, std::span<const Tensor> inputs);

// `runs` timed runs for each engine after up to 50 to warm up; fewer, but at least ten, when all engines together need more than `seconds`.
struct Pace {
  int runs = 100;
  double seconds = 60;
};
// Rivals take turns with us, because the same machine varies by a factor of two within minutes.
Result<BatchFigures> time_batch(const std::string& title, const Turn& ours, std::span<const Turn> theirs, std::int64_t batch,
                                const Pace& pace);

// Operations a second of this machine's matrix product in f32, bf16 or int8, through the same runtime: what a convolution without tricks
// can reach.
Result<double> measured_peak(const std::string& precision, int threads);

}  // namespace sightline::cli
