#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>

#include "app/cli/bench_inputs.h"
#include "app/cli/bench_report.h"
#include "app/cli/bench_timing.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/machine.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "graph/operators.h"
#include "runtime/quantizer.h"

namespace sightline::cli {
namespace {

using Clock = std::chrono::steady_clock;

const std::vector<std::string> known_precisions{"f32", "bf16", "int8"};

struct Options {
  std::string model, batches, precisions;
  std::vector<std::string> shapes;
  int runs = 100;
  int threads = 0;
  double seconds = 60;
  bool operators = false, rival = false;
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// --- the model on our side ---

struct Loaded {
  runtime::Session session;
  std::vector<Tensor> first_answer;
  double seconds = 0;        // from the file to the first answer
  std::uint64_t before = 0;  // resident bytes before that
};

// The same network in one precision.
struct Variant {
  std::string precision;  // f32, bf16, int8
  std::string file;
  std::string rivals_file;  // integers with pairs where ONNX Runtime wants them; "" when the file is as it came
};

Result<graph::Graph> read_shaped(const std::string& file, const std::vector<std::string>& shapes) {
  SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(file));
  for (const std::string& shape : shapes) SIGHTLINE_CHECK(apply_shape(graph, shape));
  return graph;
}

bool is_quantised(const graph::Graph& graph) {
  return std::ranges::any_of(graph.nodes, [](const graph::Node& node) { return node.op_type == "QuantizeLinear"; });
}

// What the file itself asks for: integers stand in it, bf16 in its metadata.
std::string own_precision(const graph::Graph& graph) {
  if (is_quantised(graph)) return "int8";
  const auto stated = graph.metadata.find("sightline_precision");
  return stated != graph.metadata.end() && stated->second == "bf16" ? "bf16" : "f32";
}

struct Plan {
  Subject subject;
  std::vector<std::string> precisions;
  bool quantised = false;  // the file itself
};

Result<Plan> plan_bench(const Options& options, const Console& console) {
  Plan plan;
  Subject& subject = plan.subject;
  SIGHTLINE_TRY(subject.source, find_model(console, options.model));
  subject.file = subject.source.kind == FoundModel::Kind::onnx ? subject.source.path : subject.source.path + "/1/model.onnx";
  subject.threads = options.threads > 0 ? options.threads : usable_cores();
  SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(subject.file));
  std::int64_t first = 0;
  for (const std::string& shape : options.shapes) {
    SIGHTLINE_TRY(first, apply_shape(graph, shape));
  }
  SIGHTLINE_CHECK(check_settled(graph));
  plan.quantised = is_quantised(graph);
  for (const std::string& part : split(options.precisions.empty() ? own_precision(graph) : options.precisions, ',')) {
    const std::string precision = trim(part);
    if (std::ranges::find(known_precisions, precision) == known_precisions.end())
      return Error{ErrorKind::usage, fmt::format("--precision {}: \"{}\" is not one of {}{}", options.precisions, precision,
                                                 join(known_precisions, ", "), did_you_mean(precision, known_precisions))};
    if (plan.quantised && precision != "int8")
      return Error{ErrorKind::usage,
                   fmt::format("--precision {}: {} is quantised already, so int8 is all that can be timed", precision, subject.file)};
    plan.precisions.push_back(precision);
  }
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
  return plan;
}

// Integers whose ranges come from noise: as fast as any others.
Result<std::string> quantised_file(const Plan& plan, const Options& options, const std::string& folder, bool pairs_before_sums) {
  SIGHTLINE_TRY(const graph::Graph graph, read_shaped(plan.subject.file, options.shapes));
  const std::int64_t batch = possible_batches(graph, {2})[0];
  std::vector<runtime::Batch> batches{noise_for(plan.subject.signature, batch, 11)};
  SIGHTLINE_TRY(const runtime::Quantizer quantizer,
                runtime::Quantizer::create(graph, batches, {.pairs_before_sums = pairs_before_sums, .threads = plan.subject.threads}));
  SIGHTLINE_TRY(const graph::Graph integer, quantizer.quantize());
  SIGHTLINE_TRY(const std::string bytes, graph::serialize_onnx(integer));
  std::string file = folder + (pairs_before_sums ? "/int8-sums.onnx" : "/int8.onnx");
  SIGHTLINE_CHECK(write_file(file, bytes));
  return file;
}

Result<Loaded> load(const Variant& variant, const Options& options, int threads, std::span<const Tensor> inputs) {
  ::malloc_trim(0);
  reset_peak_memory();
  const std::uint64_t before = peak_memory();
  const Clock::time_point begin = Clock::now();
  SIGHTLINE_TRY(graph::Graph graph, read_shaped(variant.file, options.shapes));
  runtime::Options how{.threads = threads};
  enum_from(variant.precision, how.precision);  // int8 stands in the graph
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, how));
  graph = {};
  SIGHTLINE_TRY(std::vector<Tensor> answer, session.run(inputs));
  return Loaded{std::move(session), std::move(answer), seconds_since(begin), before};
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

// Operations of each node by the name that its step has; only what multiplies counts.
Result<std::map<std::string, double>> flops_of_nodes(const graph::Graph& graph, std::int64_t batch) {
  std::map<std::string, double> flops;
  const graph::Graph folded = graph::fold_batch_norm(graph::serving_graph(graph));
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(folded, batch));
  for (const graph::Node& node : folded.nodes) {
    const graph::Operator* row = graph::find_operator(node);
    if (row == nullptr || node.outputs[0].empty() || node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear") continue;
    graph::Call call{folded, node, {}, graph::Constants(folded, &values)};
    for (const std::string& name : node.inputs) call.inputs.push_back(name.empty() ? nullptr : &values.at(name));
    flops[node.name.empty() ? node.outputs[0] : node.name] = row->flops(call, values.at(node.outputs[0]).shape);
  }
  return flops;
}

struct Rival {
  OnnxRuntime engine;
  RivalFigures figures;
};

Result<Rival> start_rival(const Plan& plan, const std::string& file, const std::string& what, std::span<const Tensor> inputs) {
  SIGHTLINE_TRY(OnnxRuntime engine, OnnxRuntime::start());
  Rival rival{std::move(engine), {.runs = what}};
  SIGHTLINE_TRY(rival.figures.load_seconds, rival.engine.load(file, plan.subject.signature, inputs, plan.subject.threads));
  return rival;
}

Turn rival_turn(OnnxRuntime& rival) {
  return [&rival](int runs) -> Result<std::vector<double>> {
    SIGHTLINE_CHECK(check_interrupt());
    SIGHTLINE_TRY(auto seconds, rival.time(runs));
    if (seconds.empty()) return Error{ErrorKind::internal, "ONNX Runtime's process measured nothing"};
    return seconds;
  };
}

Result<BenchReport> bench_variant(const Plan& plan, const Variant& variant, const Options& options, const Console& console) {
  const Subject& subject = plan.subject;
  const std::vector<Tensor> first = noise_for(subject.signature, subject.batches[0], 7);
  SIGHTLINE_TRY(Loaded loaded, load(variant, options, subject.threads, first));
  BenchReport report{.precision = variant.precision, .load_seconds = loaded.seconds};
  if (variant.precision == "bf16") report.precision = enum_name(loaded.session.precision());
  if (report.precision != variant.precision) console.remark("this processor has no {}: it runs in {}", variant.precision, report.precision);
  std::deque<Rival> rivals;
  if (options.rival) {
    SIGHTLINE_TRY(Rival same, start_rival(plan, variant.file, variant.precision == "bf16" ? "the f32 file" : "the same file", first));
    report.rival_version = same.engine.version();
    rivals.push_back(std::move(same));
    // Integers against its real numbers as well.
    if (variant.file != subject.file) {
      SIGHTLINE_TRY(Rival real, start_rival(plan, subject.file, "the f32 file", first));
      rivals.push_back(std::move(real));
      SIGHTLINE_TRY(Rival own, start_rival(plan, variant.rivals_file, "a QDQ file in its own style", first));
      rivals.push_back(std::move(own));
    }
  }
  for (const std::int64_t batch : subject.batches) {
    const std::vector<Tensor> inputs = noise_for(subject.signature, batch, 7);
    double difference = 0;
    std::vector<Turn> theirs;
    SIGHTLINE_TRY(const auto answers, loaded.session.run(inputs));
    for (Rival& rival : rivals) {
      SIGHTLINE_TRY(const auto other, rival.engine.answer(subject.signature, inputs));
      if (answers.size() != other.size()) return Error{ErrorKind::internal, "ONNX Runtime gave another number of outputs"};
      for (std::size_t i = 0; theirs.empty() && i < answers.size(); ++i)
        difference = std::max(difference, largest_difference(answers[i], other[i]));
      theirs.push_back(rival_turn(rival.engine));
    }
    SIGHTLINE_TRY(BatchFigures figures, time_batch(fmt::format("{}, batch {}", report.precision, batch), turn_of(loaded.session, inputs),
                                                   theirs, batch, {.runs = options.runs, .seconds = options.seconds}));
    figures.difference = difference;
    figures.gflops = static_cast<double>(subject.cost.flops) * static_cast<double>(batch) / (1e6 * figures.ours.p50_ms);
    report.batches.push_back(std::move(figures));
  }
  report.memory = loaded.session.memory();
  report.growth = peak_memory() - std::min(peak_memory(), loaded.before);
  for (Rival& rival : rivals) {
    SIGHTLINE_TRY(rival.figures.memory, rival.engine.memory());
    report.rivals.push_back(rival.figures);
  }
  SIGHTLINE_TRY(const double peak, measured_peak(report.precision, subject.threads));
  report.peak = peak / 1e9;
  if (!options.operators) return report;
  SIGHTLINE_TRY(const graph::Graph graph, read_shaped(variant.file, options.shapes));
  SIGHTLINE_TRY(const auto flops, flops_of_nodes(graph, subject.batches[0]));
  SIGHTLINE_TRY(const auto times, time_operators(loaded.session, first));
  for (const runtime::NodeTime& time : times) {
    const auto known = flops.find(time.name);
    report.operators.push_back({time, known == flops.end() ? 0 : known->second});
  }
  return report;
}

Result<int> bench(const Options& options, Console& console) {
  if (options.runs < 10) return Error{ErrorKind::usage, "--runs must be at least 10"};
  if (options.threads < 0) return Error{ErrorKind::usage, "--threads must not be negative"};
  if (!(options.seconds > 0)) return Error{ErrorKind::usage, "--seconds must be positive"};
  if (options.rival) SIGHTLINE_CHECK(find_rivals());  // before anything long begins
  SIGHTLINE_TRY(const Plan plan, plan_bench(options, console));
  const TemporaryFolder folder;
  std::vector<BenchReport> reports;
  for (const std::string& precision : plan.precisions) {
    Variant variant{.precision = precision, .file = plan.subject.file};
    if (precision == "int8" && !plan.quantised) {
      SIGHTLINE_TRY(variant.file, quantised_file(plan, options, folder.path(), false));
      if (options.rival) {
        SIGHTLINE_TRY(variant.rivals_file, quantised_file(plan, options, folder.path(), true));
      }
    }
    SIGHTLINE_TRY(BenchReport report, bench_variant(plan, variant, options, console));
    reports.push_back(std::move(report));
  }
  print(console, plan.subject, reports);
  console.document(json_of(plan.subject, reports));
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.flag("--rival", options->rival, "the same file through ONNX Runtime as well, by turns");
  arguments.flag("--ops", options->operators, "also the time of every step at the first batch size");
  arguments.option("--precision", options->precisions, "LIST", "f32, bf16, int8 or several, like f32,bf16,int8 (default: as the file is)");
  arguments.option("--batch", options->batches, "LIST", "batch sizes, like 1,8,32 (default: 1,8, or what --shape says)");
  arguments.option("--shape", options->shapes, "NAME=SIZES", "sizes that the file leaves free, like image=1x3x224x224");
  arguments.option("--runs", options->runs, "N", "timed runs per batch size");
  arguments.option("--seconds", options->seconds, "S", "about as long per batch size at most; a slow model is then run less often");
  arguments.option("--threads", options->threads, "N", "cores to use; 0: all that this process may use");
  return [options](Console& console) { return bench(*options, console); };
}

constexpr std::array examples{
    Example{"sightline bench apparel", "latency and throughput of the release in force"},
    Example{"sightline bench resnet50.onnx --ops --threads 1", "where the time of any ONNX file goes, on one core"},
    Example{"sightline bench resnet50.onnx --precision f32,bf16,int8", "what fewer bits bring on this machine"},
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
        "least 10, if a batch size takes longer than --seconds). GFLOP/s are the network's operations over the median, in every precision; "
        "Winograd convolutions do fewer, so they may exceed the machine's peak, which is that of a matrix product in the same precision. A "
        "file without integers is quantised on noise for int8: its speed is right, its answers are not. With --rival the engines take "
        "turns of up to 30 runs each, because the same machine varies by a factor of two within minutes; the ratio is that of the medians. "
        "ONNX Runtime runs the same file; for bf16, which it does not have here, the f32 file, and for int8 both, and one with Q and DQ "
        "before residual sums as well, without which it computes such layers in f32. Loading is timed once, from the file to the first "
        "answer, with the file already in the system's cache.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
