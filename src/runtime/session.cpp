#include "runtime/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <new>

#include "base/machine.h"
#include "base/parallel.h"
#include "base/text.h"
#include "runtime/operators.h"
#include "runtime/plan.h"
#include "runtime/program.h"
#include "runtime/weights.h"

namespace sightline::runtime {
namespace {

// A server sees few batch sizes (its buckets); a data set adds its remainder.
constexpr std::size_t kept_plans = 8;
// Work for which it is worth to wake one more thread: some 200 µs of one core. Below that, waiting for each other at every step costs more
// than the second thread saves (and very much more when the machine is busy).
constexpr double flops_per_thread = 2e7;

// Whatever oneDNN and the standard library throw becomes an error here and nowhere else.
template <class T, class Body>
Result<T> guarded(const char* what, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::refused, std::string(what) + ": not enough memory"};
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) return Error{ErrorKind::refused, std::string(what) + ": not enough memory"};
    return Error{ErrorKind::internal, fmt::format("{}: oneDNN: {}", what, error.what())};
  } catch (const std::exception& error) {
    return Error{ErrorKind::internal, fmt::format("{}: {}", what, error.what())};
  }
}

std::string signature(const graph::ValueInfo& info) {
  return fmt::format("\"{}\": {} {}", info.name, name_of(info.dtype), to_string(info.shape));
}

Result<void> check_sizes(const std::map<std::string, graph::ValueInfo>& values) {
  for (const auto& [name, info] : values) {
    for (std::int64_t d : info.shape) {
      if (d >= 0) continue;
      const std::string shape = to_string(info.shape);
      return Error{ErrorKind::unsupported,
                   fmt::format("\"{}\" ({}) has a free size other than the batch; only the first may be free", name, shape)};
    }
  }
  return {};
}

struct Made {
  Plan plan;
  std::int64_t batch = 0;
  int threads = 1;  // oneDNN's primitives are made for a number of threads
};

// What one thread needs to run plans.
struct Lane {
  std::list<Made> plans;  // the last used one first
  Tensor arena;           // as large as the largest plan needs; plans of a lane do not run at the same time
  dnnl::stream stream{cpu_engine()};
};

Result<Plan> plan_for(const Program& program, WeightStore& weights, std::int64_t batch) {
  SIGHTLINE_TRY(auto values, graph::infer_shapes(program.graph, batch));
  // Of initializers only those that are empty on purpose (a missing roi or scale of Resize) may have no elements.
  std::map<std::string, graph::ValueInfo> computed;
  for (const auto& [name, info] : values)
    if (!program.graph.initializers.contains(name)) computed.emplace(name, info);
  SIGHTLINE_CHECK(check_sizes(computed));
  // Planning needs memory in proportion to the values that are planned for.
  for (const auto& [name, info] : computed)
    if (static_cast<std::uint64_t>(element_count(info.shape)) > total_memory() / size_of(info.dtype))
      return Error{ErrorKind::refused,
                   fmt::format("\"{}\" ({}) alone needs more memory than this machine has", name, to_string(info.shape))};
  SIGHTLINE_TRY(Plan plan, Planner(program, weights, std::move(values)).plan());
  if (plan.arena_bytes() > total_memory())
    return Error{ErrorKind::refused, fmt::format("a batch of {} needs {} for its intermediate values, more than this machine has", batch,
                                                 human_bytes(plan.arena_bytes()))};
  return plan;
}

// Nodes whose inputs are all constant are computed once, by a plan of their own.
Result<void> compute_constant_nodes(graph::Graph& graph) {
  std::vector<graph::Node> left;
  for (graph::Node& node : graph.nodes) {
    bool constant = !node.inputs.empty() && node.outputs.size() == 1;
    for (const std::string& input : node.inputs) constant = constant && (input.empty() || graph.initializers.contains(input));
    for (const graph::ValueInfo& output : graph.outputs) constant = constant && output.name != node.outputs[0];
    if (!constant) {
      left.push_back(std::move(node));
      continue;
    }
    Program program;
    program.graph.opset = graph.opset;
    for (const std::string& input : node.inputs)
      if (!input.empty()) program.graph.initializers[input] = graph.initializers.at(input);
    const std::string output = node.outputs[0];
    program.graph.nodes = {std::move(node)};
    SIGHTLINE_TRY(const auto values, graph::infer_shapes(program.graph, 1));
    program.graph.outputs = {values.at(output)};
    program.chains = chains_of(program.graph);
    WeightStore weights;
    const ThreadScope scope(1);
    SIGHTLINE_TRY(Plan plan, plan_for(program, weights, 1));
    Tensor result(values.at(output).dtype, values.at(output).shape);
    const Tensor arena(Dtype::u8, {static_cast<std::int64_t>(plan.arena_bytes())});
    dnnl::stream stream(cpu_engine());
    std::byte* address = result.data();
    plan.execute(stream, const_cast<std::byte*>(arena.data()), {}, {&address, 1});
    stream.wait();
    graph.initializers[output] = std::move(result);
  }
  graph.nodes = std::move(left);
  return {};
}

}  // namespace

struct Session::State {
  Program program;
  std::vector<graph::ValueInfo> inputs, outputs;
  int threads = 1;                  // at most
  double flops = 0;                 // for one image
  bool images_independent = false;  // so that a batch may be shared out to lanes
  WeightStore weights;
  std::vector<Lane> lanes{1};

  // Not for two threads at once: the weights are shared.
  Result<Made*> plan_of(Lane& lane, std::int64_t batch, int using_threads) {
    for (auto it = lane.plans.begin(); it != lane.plans.end(); ++it) {
      if (it->batch != batch || it->threads != using_threads) continue;
      lane.plans.splice(lane.plans.begin(), lane.plans, it);
      return &lane.plans.front();
    }
    const ThreadScope scope(using_threads);
    SIGHTLINE_TRY(Plan plan, plan_for(program, weights, batch));
    if (!lane.arena.defined() || lane.arena.byte_count() < plan.arena_bytes())
      lane.arena = Tensor(Dtype::u8, {static_cast<std::int64_t>(plan.arena_bytes())});
    lane.plans.push_front({std::move(plan), batch, using_threads});
    if (lane.plans.size() > kept_plans) lane.plans.pop_back();
    return &lane.plans.front();
  }

  int threads_worth(std::int64_t batch) const {
    const double worth = flops * static_cast<double>(batch) / flops_per_thread;
    return std::clamp(static_cast<int>(std::min(worth, 1e6)), 1, threads);
  }

  // The batch size, when the tensors fit the signature.
  Result<std::int64_t> check_inputs(std::span<const Tensor> given) const {
    if (given.size() != inputs.size())
      return Error{ErrorKind::usage, fmt::format("the model takes {}, not {}", plural(inputs.size(), "input"), given.size())};
    std::int64_t batch = -1;
    for (std::size_t i = 0; i < given.size(); ++i) {
      const Tensor& tensor = given[i];
      const Shape& wanted = inputs[i].shape;
      bool fits = tensor.dtype() == inputs[i].dtype && tensor.rank() == wanted.size() && (tensor.data() != nullptr);
      for (std::size_t d = 0; fits && d < wanted.size(); ++d) fits = wanted[d] < 0 ? tensor.dim(d) > 0 : wanted[d] == tensor.dim(d);
      if (!fits)
        return Error{ErrorKind::usage,
                     fmt::format("input {} does not fit {}",
                                 tensor.data() == nullptr ? "without data"
                                                          : fmt::format("{} {}", name_of(tensor.dtype()), to_string(tensor.shape())),
                                 signature(inputs[i]))};
      if (wanted.empty() || wanted[0] >= 0) continue;
      if (batch >= 0 && tensor.dim(0) != batch)
        return Error{ErrorKind::usage, fmt::format("the inputs have batches of {} and {}; they must be the same", batch, tensor.dim(0))};
      batch = tensor.dim(0);
    }
    return batch < 0 ? 1 : batch;
  }

  // For the whole batch, of which `made` computes a part.
  std::vector<Tensor> make_outputs(const Made& made, std::int64_t batch) const {
    std::vector<Tensor> results;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      Shape shape = made.plan.output_shapes[i];
      if (made.batch != batch) shape[0] = batch;
      results.emplace_back(outputs[i].dtype, shape);
    }
    return results;
  }

  // Images [begin, begin + made.batch) of the tensors; all of them when they do not carry the batch.
  static void execute(Lane& lane, Made& made, std::span<const Tensor> given, std::span<Tensor> results, std::int64_t begin,
                      std::int64_t batch, std::vector<double>* seconds) {
    const auto part = [&](const Tensor& tensor) {
      const std::size_t skipped = begin == 0 ? 0 : tensor.byte_count() / static_cast<std::size_t>(batch) * static_cast<std::size_t>(begin);
      return const_cast<std::byte*>(tensor.data()) + skipped;  // inputs are only read
    };
    std::vector<std::byte*> from, to;
    for (const Tensor& tensor : given) from.push_back(part(tensor));
    for (const Tensor& tensor : results) to.push_back(part(tensor));
    const ThreadScope scope(made.threads);
    made.plan.execute(lane.stream, lane.arena.data(), from, to, seconds);
    lane.stream.wait();
  }

  Result<std::vector<Tensor>> run(std::span<const Tensor> given) {
    SIGHTLINE_TRY(const std::int64_t batch, check_inputs(given));
    const int useful = threads_worth(batch);
    const std::int64_t pieces = images_independent && batch >= useful ? useful : 1;
    while (lanes.size() < static_cast<std::size_t>(pieces)) lanes.emplace_back();
    std::vector<Made*> made;
    for (std::int64_t i = 0; i < pieces; ++i) {
      const std::int64_t images = batch / pieces + (i < batch % pieces ? 1 : 0);
      SIGHTLINE_TRY(Made * one, plan_of(lanes[static_cast<std::size_t>(i)], images, pieces > 1 ? 1 : useful));
      made.push_back(one);
    }
    std::vector<Tensor> results = make_outputs(*made[0], batch);
    if (pieces == 1) {
      execute(lanes[0], *made[0], given, results, 0, batch, nullptr);
      return results;
    }
    SIGHTLINE_CHECK(parallel_for(
        made.size(),
        [&](std::size_t i) -> Result<void> {
          std::int64_t begin = 0;
          for (std::size_t k = 0; k < i; ++k) begin += made[k]->batch;
          execute(lanes[i], *made[i], given, results, begin, batch, nullptr);
          return {};
        },
        static_cast<int>(pieces)));
    return results;
  }

  Result<std::vector<NodeTime>> profile(std::span<const Tensor> given) {
    SIGHTLINE_TRY(const std::int64_t batch, check_inputs(given));
    SIGHTLINE_TRY(Made * made, plan_of(lanes[0], batch, threads_worth(batch)));
    std::vector<Tensor> results = make_outputs(*made, batch);
    std::vector<double> seconds;
    execute(lanes[0], *made, given, results, 0, batch, &seconds);
    std::vector<NodeTime> times;
    for (std::size_t i = 0; i < seconds.size(); ++i) times.push_back({made->plan.steps[i].name, made->plan.steps[i].op_type, seconds[i]});
    return times;
  }
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::create(const graph::Graph& graph, const Options& options) {
  return guarded<Session>("planning", [&]() -> Result<Session> {
    auto state = std::make_unique<State>();
    state->threads = options.threads > 0 ? options.threads : usable_cores();
    if (options.precision == Precision::bf16 && processor_has_bf16()) state->program.precision = Precision::bf16;
    state->program.kept_f32 = options.keep_f32;
    SIGHTLINE_TRY(state->program.graph, folded_graph(graph));
    SIGHTLINE_CHECK(compute_constant_nodes(state->program.graph));
    state->program.chains = chains_of(state->program.graph);
    state->inputs = state->program.graph.inputs;
    SIGHTLINE_TRY(const auto values, graph::infer_shapes(state->program.graph));
    for (const graph::ValueInfo& output : state->program.graph.outputs) state->outputs.push_back(values.at(output.name));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(state->program.graph));
    state->flops = static_cast<double>(cost.flops);
    state->images_independent = images_are_independent(state->program.graph);
    SIGHTLINE_TRY([[maybe_unused]] const Made* made, state->plan_of(state->lanes[0], 1, state->threads_worth(1)));
    return Session(std::move(state));
  });
}

const std::vector<graph::ValueInfo>& Session::inputs() const { return state_->inputs; }
const std::vector<graph::ValueInfo>& Session::outputs() const { return state_->outputs; }

Precision Session::precision() const { return state_->program.precision; }

Result<std::vector<Tensor>> Session::run(std::span<const Tensor> inputs) {
  return guarded<std::vector<Tensor>>("running", [&] { return state_->run(inputs); });
}

Result<Tensor> Session::run(const Tensor& input) {
  if (state_->outputs.size() != 1)
    return Error{ErrorKind::usage, fmt::format("the model has {}; ask for all of them", plural(state_->outputs.size(), "output"))};
  SIGHTLINE_TRY(std::vector<Tensor> results, run(std::span<const Tensor>(&input, 1)));
  return std::move(results[0]);
}

Memory Session::memory() const {
  Memory memory;
  memory.weights = state_->weights.bytes();
  for (const auto& [name, tensor] : state_->program.graph.initializers) memory.weights += tensor.byte_count();
  for (const Lane& lane : state_->lanes) memory.arena += lane.arena.defined() ? lane.arena.byte_count() : 0;
  return memory;
}

Result<std::vector<NodeTime>> Session::profile(std::span<const Tensor> inputs) {
  return guarded<std::vector<NodeTime>>("profiling", [&] { return state_->profile(inputs); });
}

}  // namespace sightline::runtime
