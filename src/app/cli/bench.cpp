#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>

#include "app/cli/model_source.h"
#include "app/cli/verbs.h"
#include "base/interrupt.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int warm_up_runs = 50;
constexpr double longest_seconds = 60;  // per batch size; a slow model is timed less often, and the table says how often

struct Options {
  std::string model;
  int runs = 100;
  int threads = 0;
  bool operators = false;
};

struct Timing {
  int batch = 1, warm_up = 0, runs = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, images_per_second = 0;
  static constexpr auto fields() {
    return std::tuple{field("batch", &Timing::batch),
                      field("warm_up", &Timing::warm_up),
                      field("runs", &Timing::runs),
                      field("p50_ms", &Timing::p50_ms),
                      field("p95_ms", &Timing::p95_ms),
                      field("p99_ms", &Timing::p99_ms),
                      field("images_per_second", &Timing::images_per_second)};
  }
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Nearest rank.
double percentile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

// Noise: no kernel here is faster for one picture than for another.
Tensor noise(const package::Preprocessing& form, int batch) {
  Tensor tensor(Dtype::u8, {batch, form.height, form.width, form.channels});
  Random random(7);
  for (std::uint8_t& value : tensor.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
  return tensor;
}

Result<Timing> time_batch(package::Model& model, int batch, int runs) {
  const Tensor input = noise(model.preprocessing(), batch);
  Progress progress(fmt::format("batch {}", batch), static_cast<std::uint64_t>(warm_up_runs + runs));
  const Clock::time_point begin = Clock::now();
  Timing timing{.batch = batch};
  std::vector<double> seconds;
  const auto run_once = [&]() -> Result<double> {
    SIGHTLINE_CHECK(check_interrupt());
    const Clock::time_point at = Clock::now();
    SIGHTLINE_TRY(const Tensor answers, model.probabilities(input));
    const double took = seconds_since(at);
    progress.advance();
    return took;
  };
  // The first run plans, so one is not enough to be warm.
  for (; timing.warm_up < warm_up_runs && (timing.warm_up < 2 || seconds_since(begin) < longest_seconds / 3); ++timing.warm_up)
    SIGHTLINE_CHECK(run_once());
  for (; timing.runs < runs && (timing.runs < 10 || seconds_since(begin) < longest_seconds); ++timing.runs) {
    SIGHTLINE_TRY(const double took, run_once());
    seconds.push_back(took);
  }
  std::sort(seconds.begin(), seconds.end());
  double sum = 0;
  for (const double each : seconds) sum += each;
  timing.p50_ms = 1e3 * percentile(seconds, 0.50);
  timing.p95_ms = 1e3 * percentile(seconds, 0.95);
  timing.p99_ms = 1e3 * percentile(seconds, 0.99);
  timing.images_per_second = static_cast<double>(batch) * static_cast<double>(seconds.size()) / sum;
  return timing;
}

// Seconds of each planned node at batch 1, the mean of several runs, in the order of the plan.
Result<std::vector<runtime::NodeTime>> time_operators(package::Model& model) {
  constexpr int runs = 20;
  const graph::ValueInfo& signature = model.graph().inputs[0];
  Shape shape = signature.shape;
  shape[0] = 1;
  const Tensor input = Tensor::zeros(signature.dtype, shape);
  std::vector<runtime::NodeTime> total;
  for (int run = 0; run < runs; ++run) {
    SIGHTLINE_TRY(const auto times, model.session().profile(std::span(&input, 1)));
    if (run == 0) total = std::vector<runtime::NodeTime>(times.size());
    for (std::size_t i = 0; i < times.size() && i < total.size(); ++i) {
      total[i].name = times[i].name;
      total[i].op_type = times[i].op_type;
      total[i].seconds += times[i].seconds / runs;
    }
  }
  return total;
}

void print_operators(const Console& console, const std::vector<runtime::NodeTime>& times) {
  double sum = 0;
  for (const auto& each : times) sum += each.seconds;
  std::vector<std::vector<std::string>> rows;
  for (const auto& each : times)
    rows.push_back({each.op_type, each.name, fmt::format("{:.4f}", 1e3 * each.seconds),
                    fmt::format("{:.1f}%", sum > 0 ? 100 * each.seconds / sum : 0)});
  console.say("");
  console.table({"operator", "node", "ms", "share"}, rows);
}

Result<int> bench(const Options& options, Console& console) {
  if (options.runs < 10) return Error{ErrorKind::usage, "--runs must be at least 10"};
  if (options.threads < 0) return Error{ErrorKind::usage, "--threads must not be negative"};
  SIGHTLINE_TRY(OpenModel opened, open_model(console, options.model, options.threads));
  package::Model& model = opened.model;
  std::vector<Timing> timings;
  for (const int batch : {1, 8}) {
    if (batch > 1 && model.graph().inputs[0].shape[0] == 1) {
      console.remark("{} takes one picture at a time: batch {} is left out", opened.source.name, batch);
      continue;
    }
    SIGHTLINE_TRY(const Timing timing, time_batch(model, batch, options.runs));
    timings.push_back(timing);
  }
  const runtime::Memory memory = model.session().memory();
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  const package::Preprocessing& form = model.preprocessing();

  std::vector<std::vector<std::string>> rows;
  for (const Timing& timing : timings)
    rows.push_back({std::to_string(timing.batch), fmt::format("{:.3f}", timing.p50_ms), fmt::format("{:.3f}", timing.p95_ms),
                    fmt::format("{:.3f}", timing.p99_ms), fmt::format("{:.0f}", timing.images_per_second), std::to_string(timing.runs)});
  console.say("{}: {}×{}×{} pictures, {}, {}", opened.source.name, form.height, form.width, form.channels,
              plural(static_cast<std::uint64_t>(threads), "thread"), simd_level());
  console.table({"batch", "p50 ms", "p95 ms", "p99 ms", "images/s", "runs"}, rows);
  console.say("memory: weights {}, arena {}, peak of the process {}", human_bytes(memory.weights), human_bytes(memory.arena),
              human_bytes(peak_memory()));
  Json document{{"model", json_of(opened.source)},
                {"threads", threads},
                {"simd", simd_level()},
                {"processor", processor_name()},
                {"batches", to_json(timings)},
                {"memory", {{"weights", memory.weights}, {"arena", memory.arena}, {"peak", peak_memory()}}}};
  if (options.operators) {
    SIGHTLINE_TRY(const auto times, time_operators(model));
    print_operators(console, times);
    for (const auto& each : times)
      document["operators"].push_back({{"op_type", each.op_type}, {"name", each.name}, {"ms", 1e3 * each.seconds}});
  }
  console.document(document);
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.flag("--ops", options->operators, "also the time of every operator at batch 1");
  arguments.option("--runs", options->runs, "N", "timed runs per batch size");
  arguments.option("--threads", options->threads, "N", "cores to use; 0: all that this process may use");
  return [options](Console& console) { return bench(*options, console); };
}

constexpr std::array examples{
    Example{"sightline bench apparel", "latency and throughput of the release in force"},
    Example{"sightline bench resnet50.onnx --ops --threads 1", "where the time of any ONNX file goes, on one core"},
};

}  // namespace

constexpr Verb bench_verb{
    .name = "bench",
    .group = Group::use,
    .summary = "time a model: latency, throughput, memory",
    .details =
        "Times the network on pixels that are already decoded and resized, at batch 1 and 8: 50 runs to warm up, then at "
        "least --runs timed ones (fewer if a batch size takes longer than a minute). The same machine varies by a "
        "factor of two within minutes; compare models by turns.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
