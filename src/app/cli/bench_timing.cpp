#include "app/cli/bench_timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/interrupt.h"
#include "base/progress.h"
#include "graph/builder.h"
#include "runtime/quantizer.h"

namespace sightline::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int warm_up_runs = 50;
constexpr int turn_runs = 30;  // of one engine before it is another's turn
constexpr int least_runs = 10;
constexpr auto pause = std::chrono::milliseconds(20);  // between turns: threads that wait for work spin for a moment

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Nearest rank.
double percentile(std::vector<double> seconds, double share) {
  std::sort(seconds.begin(), seconds.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(seconds.size())));
  return seconds[std::clamp<std::size_t>(rank, 1, seconds.size()) - 1];
}

Timing timing_of(const std::vector<double>& seconds, int warm_up, std::int64_t batch) {
  double sum = 0;
  for (const double each : seconds) sum += each;
  return {.warm_up = warm_up,
          .runs = static_cast<int>(seconds.size()),
          .p50_ms = 1e3 * percentile(seconds, 0.50),
          .p95_ms = 1e3 * percentile(seconds, 0.95),
          .p99_ms = 1e3 * percentile(seconds, 0.99),
          .images_per_second = static_cast<double>(batch) * static_cast<double>(seconds.size()) / sum};
}

struct Engine {
  const Turn* turn = nullptr;
  int warm_up = 0;
  std::vector<double> all, medians;  // of all runs; of each turn
};

}  // namespace

Turn turn_of(runtime::Session& session, std::span<const Tensor> inputs) {
  return [&session, inputs](int runs) -> Result<std::vector<double>> {
    std::vector<double> seconds;
    for (int i = 0; i < runs; ++i) {
      SIGHTLINE_CHECK(check_interrupt());
      const Clock::time_point at = Clock::now();
      SIGHTLINE_TRY(const auto answers, session.run(inputs));
      seconds.push_back(seconds_since(at));
    }
    return seconds;
  };
}

Result<BatchFigures> time_batch(const std::string& title, const Turn& ours, std::span<const Turn> theirs, std::int64_t batch,
                                const Pace& pace) {
  std::vector<Engine> engines{{.turn = &ours}};
  for (const Turn& each : theirs) engines.push_back({.turn = &each});
  const auto count = static_cast<int>(engines.size());
  // Alone there is nothing to alternate with; with a rival at least three turns of at least ten.
  const int turns = theirs.empty() ? 1 : std::max(3, (pace.runs + turn_runs - 1) / turn_runs);
  const int wanted = theirs.empty() ? pace.runs : (pace.runs + turns - 1) / turns;
  Progress progress(title, static_cast<std::uint64_t>(count * (warm_up_runs + turns * wanted)));
  for (Engine& engine : engines) {
    const Clock::time_point begin = Clock::now();
    // The first run plans, so one is not enough to be warm.
    for (; engine.warm_up < warm_up_runs && (engine.warm_up < 2 || seconds_since(begin) < pace.seconds / 6 / count); ++engine.warm_up) {
      SIGHTLINE_CHECK((*engine.turn)(1));
      progress.advance();
    }
  }
  const int least = theirs.empty() ? least_runs : (least_runs + turns - 1) / turns;
  for (int turn = 0; turn < turns; ++turn) {
    for (Engine& engine : engines) {
      std::vector<double> seconds;
      const Clock::time_point begin = Clock::now();
      while (static_cast<int>(seconds.size()) < wanted &&
             (static_cast<int>(seconds.size()) < least || seconds_since(begin) < pace.seconds / turns / count)) {
        SIGHTLINE_TRY(const auto one, (*engine.turn)(1));
        seconds.push_back(one.at(0));
        progress.advance();
      }
      engine.all.insert(engine.all.end(), seconds.begin(), seconds.end());
      engine.medians.push_back(percentile(seconds, 0.5));
      if (count > 1) std::this_thread::sleep_for(pause);
    }
  }
  BatchFigures figures{.batch = batch, .ours = timing_of(engines[0].all, engines[0].warm_up, batch)};
  for (std::size_t i = 1; i < engines.size(); ++i) {
    Versus versus{.timing = timing_of(engines[i].all, engines[i].warm_up, batch)};
    versus.ratio = versus.timing.p50_ms / figures.ours.p50_ms;
    for (std::size_t turn = 0; turn < engines[i].medians.size(); ++turn) {
      const double ratio = engines[i].medians[turn] / engines[0].medians[turn];
      versus.lowest = turn == 0 ? ratio : std::min(versus.lowest, ratio);
      versus.highest = std::max(versus.highest, ratio);
    }
    figures.theirs.push_back(versus);
  }
  return figures;
}

Result<double> measured_peak(const std::string& precision, int threads) {
  constexpr std::int64_t rows = 1024, depth = 1024;
  constexpr int runs = 12;
  graph::Builder builder(1);
  const std::string x = builder.input("x", Dtype::f32, {-1, depth});
  const std::string y = builder.node("MatMul", {x, builder.constant("weight", Tensor::filled({depth, rows}, 0.01F))});
  SIGHTLINE_TRY(graph::Graph graph, builder.finish({y}, {}));
  const Tensor input = Tensor::filled({rows, depth}, 0.5F);
  if (precision == "int8") {
    const runtime::Batch batch{input};
    SIGHTLINE_TRY(const runtime::Quantizer quantizer, runtime::Quantizer::create(graph, {&batch, 1}, {.threads = threads}));
    SIGHTLINE_TRY(graph, quantizer.quantize());
  }
  runtime::Options options{.threads = threads};
  enum_from(precision, options.precision);  // int8 stands in the graph
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, options));
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const Clock::time_point at = Clock::now();
    SIGHTLINE_CHECK(session.run(input));
    best = std::min(best, seconds_since(at));
  }
  return 2.0 * rows * rows * depth / best;
}

}  // namespace sightline::cli
