#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <thread>

#include "app/cli/bench_inputs.h"
#include "app/cli/model_source.h"
#include "app/cli/rival.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/text.h"
#include "graph/builder.h"
#include "runtime/session.h"

namespace sightline::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int warm_up_runs = 50;
constexpr double longest_seconds = 60;  // per batch size; a slow model is timed less often, and the table says how often
constexpr int turn_runs = 30;           // of one engine before it is the other's turn
constexpr auto& precisions = EnumNames<runtime::Precision>::names;
constexpr auto pause = std::chrono::milliseconds(20);  // between turns: threads that wait for work spin for a moment

struct Options {
  std::string model, batches, precision = "f32";
  std::vector<std::string> shapes;
  int runs = 100;
  int threads = 0;
  bool operators = false, rival = false;
};

struct Timing {
  int warm_up = 0, runs = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, images_per_second = 0;
  static constexpr auto fields() {
    return std::tuple{field("warm_up", &Timing::warm_up), field("runs", &Timing::runs),
                      field("p50_ms", &Timing::p50_ms),   field("p95_ms", &Timing::p95_ms),
                      field("p99_ms", &Timing::p99_ms),   field("images_per_second", &Timing::images_per_second)};
  }
};

struct BatchFigures {
  std::int64_t batch = 1;
  Timing ours;
  double gflops = 0;  // a second, at the median
  std::optional<Timing> theirs;
  double ratio = 0, lowest_ratio = 0, highest_ratio = 0;  // their median over ours: of all runs, of the turns
  double difference = 0;                                  // largest, relative to the output's scale
};

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

// --- the model on our side ---

struct Subject {
  FoundModel source;
  std::string file;
  graph::Graph signature;  // inputs and outputs only
  graph::Cost cost;        // BatchNormalization folded, as both engines do
  std::vector<std::int64_t> batches;
  int threads = 1;
};

struct Loaded {
  runtime::Session session;
  std::vector<Tensor> first_answer;
  double seconds = 0;        // from the file to the first answer
  std::uint64_t before = 0;  // resident bytes before that
};

Result<graph::Graph> read_shaped(const std::string& file, const std::vector<std::string>& shapes) {
  SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(file));
  for (const std::string& shape : shapes) SIGHTLINE_CHECK(apply_shape(graph, shape));
  return graph;
}

Result<Subject> find_subject(const Options& options, const Console& console) {
  Subject subject;
  SIGHTLINE_TRY(subject.source, find_model(console, options.model));
  subject.file = subject.source.kind == FoundModel::Kind::onnx ? subject.source.path : subject.source.path + "/1/model.onnx";
  subject.threads = options.threads > 0 ? options.threads : usable_cores();
  SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(subject.file));
  std::int64_t first = 0;
  for (const std::string& shape : options.shapes) {
    SIGHTLINE_TRY(first, apply_shape(graph, shape));
  }
  SIGHTLINE_CHECK(check_settled(graph));
  // --shape says a batch too, which counts where --batch does not say another.
  const std::string wanted = !options.batches.empty() ? options.batches : first > 0 ? std::to_string(first) : "1,8";
  SIGHTLINE_TRY(const auto batches, parse_batches(wanted));
  subject.batches = possible_batches(graph, batches);
  for (const std::int64_t batch : batches) {
    if (std::find(subject.batches.begin(), subject.batches.end(), batch) == subject.batches.end())
      console.remark("{} takes batches of {} only: batch {} is left out", subject.source.name, subject.batches[0], batch);
  }
  SIGHTLINE_TRY(subject.cost, graph::cost_of(graph::fold_batch_norm(graph::serving_graph(graph))));
  subject.signature.inputs = graph.inputs;
  subject.signature.outputs = graph.outputs;
  return subject;
}

Result<Loaded> load(const Subject& subject, const Options& options, std::span<const Tensor> inputs) {
  ::malloc_trim(0);
  reset_peak_memory();
  const std::uint64_t before = peak_memory();
  const Clock::time_point begin = Clock::now();
  SIGHTLINE_TRY(graph::Graph graph, read_shaped(subject.file, options.shapes));
  runtime::Options how{.threads = subject.threads};
  enum_from(options.precision, how.precision);  // one of the choices
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, how));
  graph = {};
  SIGHTLINE_TRY(std::vector<Tensor> answer, session.run(inputs));
  return Loaded{std::move(session), std::move(answer), seconds_since(begin), before};
}

// --- timing ---

// So many seconds, one for each run.
using Turn = std::function<Result<std::vector<double>>(int runs)>;

Result<int> warm_up(const Turn& turn, Progress& progress) {
  const Clock::time_point begin = Clock::now();
  int done = 0;
  // The first run plans, so one is not enough to be warm.
  for (; done < warm_up_runs && (done < 2 || seconds_since(begin) < longest_seconds / 6); ++done) {
    SIGHTLINE_CHECK(turn(1));
    progress.advance();
  }
  return done;
}

Result<BatchFigures> time_batch(const Turn& ours, const Turn* theirs, std::int64_t batch, int runs) {
  BatchFigures figures{.batch = batch};
  const int engines = theirs == nullptr ? 1 : 2;
  // Alone there is nothing to alternate with; with a rival at least three turns of at least ten.
  const int turns = theirs == nullptr ? 1 : std::max(3, (runs + turn_runs - 1) / turn_runs);
  const int wanted = theirs == nullptr ? runs : (runs + turns - 1) / turns;
  Progress progress(fmt::format("batch {}", batch), static_cast<std::uint64_t>(engines * (warm_up_runs + turns * wanted)));
  std::vector<double> all, all_theirs;
  int warm = 0, warm_theirs = 0;
  SIGHTLINE_TRY(warm, warm_up(ours, progress));
  if (theirs != nullptr) {
    SIGHTLINE_TRY(warm_theirs, warm_up(*theirs, progress));
  }
  const auto take = [&](const Turn& turn, std::vector<double>& into) -> Result<double> {
    std::vector<double> seconds;
    const Clock::time_point begin = Clock::now();
    while (static_cast<int>(seconds.size()) < wanted && (seconds.size() < 10 || seconds_since(begin) < longest_seconds / turns / engines)) {
      SIGHTLINE_TRY(const auto one, turn(1));
      seconds.push_back(one.at(0));
      progress.advance();
    }
    into.insert(into.end(), seconds.begin(), seconds.end());
    return percentile(seconds, 0.5);
  };
  for (int i = 0; i < turns; ++i) {
    SIGHTLINE_TRY(const double mine, take(ours, all));
    if (theirs == nullptr) break;
    std::this_thread::sleep_for(pause);
    SIGHTLINE_TRY(const double other, take(*theirs, all_theirs));
    std::this_thread::sleep_for(pause);
    const double ratio = other / mine;
    figures.lowest_ratio = i == 0 ? ratio : std::min(figures.lowest_ratio, ratio);
    figures.highest_ratio = std::max(figures.highest_ratio, ratio);
  }
  figures.ours = timing_of(all, warm, batch);
  if (theirs != nullptr) {
    figures.theirs = timing_of(all_theirs, warm_theirs, batch);
    figures.ratio = figures.theirs->p50_ms / figures.ours.p50_ms;
  }
  return figures;
}

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

// Operations a second of this machine's f32 matrix product, through the same runtime: what a convolution without tricks can reach.
Result<double> measured_peak(int threads) {
  constexpr std::int64_t side = 1024;
  constexpr int runs = 12;
  graph::Builder builder(1);
  const std::string x = builder.input("x", Dtype::f32, {-1, side});
  const std::string y = builder.node("MatMul", {x, builder.constant("weight", Tensor::filled({side, side}, 0.01F))});
  SIGHTLINE_TRY(const graph::Graph graph, builder.finish({y}, {}));
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, {.threads = threads}));
  const Tensor input = Tensor::filled({side, side}, 0.5F);
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const Clock::time_point at = Clock::now();
    SIGHTLINE_CHECK(session.run(input));
    best = std::min(best, seconds_since(at));
  }
  return 2.0 * side * side * side / best;
}

// Seconds of each planned node, the least of several runs: what disturbs a run tells nothing about the node. In the order of the plan.
Result<std::vector<runtime::NodeTime>> time_operators(runtime::Session& session, std::span<const Tensor> inputs) {
  constexpr int runs = 30;
  std::vector<runtime::NodeTime> least;
  for (int run = 0; run < runs; ++run) {
    SIGHTLINE_TRY(const auto times, session.profile(inputs));
    if (run == 0) least = times;
    for (std::size_t i = 0; i < times.size() && i < least.size(); ++i) least[i].seconds = std::min(least[i].seconds, times[i].seconds);
  }
  return least;
}

// --- what is said ---

void print_operators(const Console& console, std::int64_t batch, const std::vector<runtime::NodeTime>& times) {
  double sum = 0;
  for (const auto& each : times) sum += each.seconds;
  std::vector<std::vector<std::string>> rows;
  for (const auto& each : times)
    rows.push_back({each.op_type, each.name, fmt::format("{:.4f}", 1e3 * each.seconds),
                    fmt::format("{:.1f}%", sum > 0 ? 100 * each.seconds / sum : 0)});
  console.say("");
  console.say("steps at batch {}: {:.3f} ms", batch, 1e3 * sum);
  console.table({"operator", "node", "ms", "share"}, rows);
}

std::string inputs_text(const Subject& subject) {
  std::vector<std::string> parts;
  for (const graph::ValueInfo& input : subject.signature.inputs)
    parts.push_back(fmt::format("{} {} {}", input.name, name_of(input.dtype), to_string(input.shape)));
  return join(parts, ", ");
}

struct Report {
  runtime::Precision precision = runtime::Precision::f32;  // that really ran
  std::vector<BatchFigures> batches;
  double load_seconds = 0, peak = 0;
  runtime::Memory memory;
  std::uint64_t growth = 0;
  std::string rival_version;
  double rival_load_seconds = 0;
  OnnxRuntime::Growth rival_memory;
};

void print(const Console& console, const Subject& subject, const Report& report) {
  console.say("{}: {}; {:.3f} GFLOPs an image; {}; {}, {}", subject.source.name, inputs_text(subject),
              static_cast<double>(subject.cost.flops) / 1e9, enum_name(report.precision),
              plural(static_cast<std::uint64_t>(subject.threads), "thread"), simd_level());
  std::vector<std::vector<std::string>> rows;
  const bool rival = !report.rival_version.empty();
  const auto row = [&](std::int64_t batch, const char* engine, const Timing& timing, double gflops) {
    std::vector<std::string> cells{std::to_string(batch)};
    if (rival) cells.emplace_back(engine);
    for (const double ms : {timing.p50_ms, timing.p95_ms, timing.p99_ms}) cells.push_back(fmt::format("{:.3f}", ms));
    cells.push_back(fmt::format("{:.0f}", timing.images_per_second));
    cells.push_back(fmt::format("{:.1f}", gflops));
    cells.push_back(fmt::format("{:.0f}%", report.peak > 0 ? 100 * gflops / report.peak : 0));
    cells.push_back(std::to_string(timing.runs));
    rows.push_back(cells);
  };
  for (const BatchFigures& each : report.batches) {
    row(each.batch, "Sightline", each.ours, each.gflops);
    if (each.theirs) row(each.batch, "ONNX Runtime", *each.theirs, each.gflops * each.ours.p50_ms / each.theirs->p50_ms);
  }
  std::vector<std::string> header{"batch", "p50 ms", "p95 ms", "p99 ms", "images/s", "GFLOP/s", "of peak", "runs"};
  if (rival) header.insert(header.begin() + 1, "engine");
  console.table(header, rows);
  for (const BatchFigures& each : report.batches) {
    if (each.theirs)
      console.say(
          "batch {}: {:.2f} × the speed of ONNX Runtime {} (turns: {:.2f} to {:.2f}); outputs differ by at most {:.1e} of their scale",
          each.batch, each.ratio, report.rival_version, each.lowest_ratio, each.highest_ratio, each.difference);
  }
  console.say("load to first answer: {:.1f} ms{}", 1e3 * report.load_seconds,
              rival ? fmt::format("; ONNX Runtime {:.1f} ms", 1e3 * report.rival_load_seconds) : "");
  console.say("memory: weights {}, arena {}, peak {} above the start{}", human_bytes(report.memory.weights),
              human_bytes(report.memory.arena), human_bytes(report.growth),
              rival ? fmt::format("; ONNX Runtime's peak {} above its start", human_bytes(report.rival_memory.peak)) : "");
  console.say("peak of this machine now, by an f32 matrix product: {:.1f} GFLOP/s", report.peak);
}

Json json_of(const Subject& subject, const Report& report) {
  Json batches = Json::array();
  for (const BatchFigures& each : report.batches) {
    Json batch = to_json(each.ours);
    batch["batch"] = each.batch;
    batch["gflops_per_second"] = each.gflops;
    if (each.theirs) {
      batch["rival"] = to_json(*each.theirs);
      batch["ratio"] = each.ratio;
      batch["lowest_ratio"] = each.lowest_ratio;
      batch["highest_ratio"] = each.highest_ratio;
      batch["difference"] = std::isfinite(each.difference) ? Json(each.difference) : Json(nullptr);
    }
    batches.push_back(batch);
  }
  Json document{
      {"model", json_of(subject.source)},
      {"threads", subject.threads},
      {"precision", enum_name(report.precision)},
      {"simd", simd_level()},
      {"processor", processor_name()},
      {"flops", subject.cost.flops},
      {"parameters", subject.cost.parameters},
      {"peak_gflops_per_second", report.peak},
      {"batches", batches},
      {"load_ms", 1e3 * report.load_seconds},
      {"memory", {{"weights", report.memory.weights}, {"arena", report.memory.arena}, {"growth", report.growth}, {"peak", peak_memory()}}}};
  if (!report.rival_version.empty())
    document["rival"] = {{"name", "ONNX Runtime"},
                         {"version", report.rival_version},
                         {"load_ms", 1e3 * report.rival_load_seconds},
                         {"memory", {{"resident", report.rival_memory.resident}, {"growth", report.rival_memory.peak}}}};
  return document;
}

Result<int> bench(const Options& options, Console& console) {
  if (options.runs < 10) return Error{ErrorKind::usage, "--runs must be at least 10"};
  if (options.threads < 0) return Error{ErrorKind::usage, "--threads must not be negative"};
  std::optional<OnnxRuntime> rival;
  if (options.rival) {
    SIGHTLINE_TRY(rival, OnnxRuntime::start());
  }
  SIGHTLINE_TRY(const Subject subject, find_subject(options, console));
  const std::vector<Tensor> first = noise_for(subject.signature, subject.batches[0], 7);
  SIGHTLINE_TRY(Loaded loaded, load(subject, options, first));
  Report report{.precision = loaded.session.precision(), .load_seconds = loaded.seconds};
  if (options.precision != enum_name(report.precision))
    console.remark("this processor has no {}: it runs in {}", options.precision, enum_name(report.precision));
  if (rival) {
    report.rival_version = rival->version();
    SIGHTLINE_TRY(report.rival_load_seconds, rival->load(subject.file, subject.signature, first, subject.threads));
  }
  for (const std::int64_t batch : subject.batches) {
    const std::vector<Tensor> inputs = noise_for(subject.signature, batch, 7);
    double difference = 0;
    if (rival) {
      SIGHTLINE_TRY(const auto answers, loaded.session.run(inputs));
      SIGHTLINE_TRY(const auto theirs, rival->answer(subject.signature, inputs));
      if (answers.size() != theirs.size()) return Error{ErrorKind::internal, "ONNX Runtime gave another number of outputs"};
      for (std::size_t i = 0; i < answers.size(); ++i) difference = std::max(difference, largest_difference(answers[i], theirs[i]));
    }
    const Turn ours = turn_of(loaded.session, inputs);
    const Turn theirs = [&](int runs) -> Result<std::vector<double>> {
      SIGHTLINE_CHECK(check_interrupt());
      SIGHTLINE_TRY(auto seconds, rival->time(runs));
      if (seconds.empty()) return Error{ErrorKind::internal, "ONNX Runtime's process measured nothing"};
      return seconds;
    };
    SIGHTLINE_TRY(BatchFigures figures, time_batch(ours, rival ? &theirs : nullptr, batch, options.runs));
    figures.difference = difference;
    figures.gflops = static_cast<double>(subject.cost.flops) * static_cast<double>(batch) / (1e6 * figures.ours.p50_ms);
    report.batches.push_back(figures);
  }
  report.memory = loaded.session.memory();
  report.growth = peak_memory() - std::min(peak_memory(), loaded.before);
  if (rival) {
    SIGHTLINE_TRY(report.rival_memory, rival->memory());
  }
  SIGHTLINE_TRY(const double peak, measured_peak(subject.threads));
  report.peak = peak / 1e9;
  print(console, subject, report);
  Json document = json_of(subject, report);
  if (options.operators) {
    SIGHTLINE_TRY(const auto times, time_operators(loaded.session, first));
    print_operators(console, subject.batches[0], times);
    for (const auto& each : times)
      document["operators"].push_back({{"op_type", each.op_type}, {"name", each.name}, {"ms", 1e3 * each.seconds}});
  }
  console.document(document);
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.flag("--rival", options->rival, "the same file through ONNX Runtime as well, by turns");
  arguments.flag("--ops", options->operators, "also the time of every step at the first batch size");
  arguments.option("--precision", options->precision, "PRECISION", "what to compute in; the rival stays at f32",
                   {precisions.begin(), precisions.end()});
  arguments.option("--batch", options->batches, "LIST", "batch sizes, like 1,8,32 (default: 1,8, or what --shape says)");
  arguments.option("--shape", options->shapes, "NAME=SIZES", "sizes that the file leaves free, like image=1x3x224x224");
  arguments.option("--runs", options->runs, "N", "timed runs per batch size");
  arguments.option("--threads", options->threads, "N", "cores to use; 0: all that this process may use");
  return [options](Console& console) { return bench(*options, console); };
}

constexpr std::array examples{
    Example{"sightline bench apparel", "latency and throughput of the release in force"},
    Example{"sightline bench resnet50.onnx --ops --threads 1", "where the time of any ONNX file goes, on one core"},
    Example{"sightline bench resnet50.onnx --precision bf16 --rival", "computed in bf16 where the processor has it"},
    Example{"sightline bench resnet50.onnx --rival --batch 1,8,32", "against ONNX Runtime: speed, answers, memory, time to load"},
    Example{"sightline bench net.onnx --shape image=1x3x320x320", "a file that leaves height and width free"},
};

}  // namespace

constexpr Verb bench_verb{
    .name = "bench",
    .group = Group::use,
    .summary = "time a model: latency, throughput, memory; against ONNX Runtime",
    .details =
        "Times the network on noise of the declared types and shapes: up to 50 runs to warm up, then --runs timed ones (fewer, but at "
        "least "
        "10, if a batch size takes longer than a minute). GFLOP/s are the network's operations over the median; Winograd convolutions do "
        "fewer, so they may exceed the machine's peak. With --rival the two engines take turns of up to 30 runs each, because the same "
        "machine "
        "varies by a factor of two within minutes; the ratio is that of the medians. Loading is timed once, from the file to the first "
        "answer, with the file already in the system's cache.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
