#include "runtime/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <new>

#include "base/machine.h"
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
      if (d > 0) continue;
      const std::string shape = to_string(info.shape);
      if (d == 0) return Error{ErrorKind::unsupported, fmt::format("\"{}\" ({}) has no elements", name, shape)};
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

Result<Plan> plan_for(const Program& program, WeightStore& weights, std::int64_t batch) {
  SIGHTLINE_TRY(auto values, graph::infer_shapes(program.graph, batch));
  // Of initializers only those that are empty on purpose (a missing roi or scale of Resize) may have no elements.
  std::map<std::string, graph::ValueInfo> computed;
  for (const auto& [name, info] : values)
    if (!program.graph.initializers.contains(name)) computed.emplace(name, info);
  SIGHTLINE_CHECK(check_sizes(computed));
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
  int threads = 1;   // at most
  double flops = 0;  // for one image
  WeightStore weights;
  std::list<Made> plans;  // the last used one first
  Tensor arena;           // as large as the largest plan needs; plans do not run at the same time
  dnnl::stream stream{cpu_engine()};

  Result<Made*> plan_of(std::int64_t batch) {
    for (auto it = plans.begin(); it != plans.end(); ++it) {
      if (it->batch != batch) continue;
      plans.splice(plans.begin(), plans, it);
      return &plans.front();
    }
    const double worth = flops * static_cast<double>(batch) / flops_per_thread;
    const int used = std::clamp(static_cast<int>(std::min(worth, 1e6)), 1, threads);
    const ThreadScope scope(used);
    SIGHTLINE_TRY(Plan plan, plan_for(program, weights, batch));
    if (!arena.defined() || arena.byte_count() < plan.arena_bytes())
      arena = Tensor(Dtype::u8, {static_cast<std::int64_t>(plan.arena_bytes())});
    plans.push_front({std::move(plan), batch, used});
    if (plans.size() > kept_plans) plans.pop_back();
    return &plans.front();
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

  Result<std::vector<Tensor>> run(std::span<const Tensor> given, Plan** used, std::vector<double>* seconds) {
    SIGHTLINE_TRY(const std::int64_t batch, check_inputs(given));
    SIGHTLINE_TRY(Made * made, plan_of(batch));
    Plan* plan = &made->plan;
    const ThreadScope scope(made->threads);
    std::vector<std::byte*> from, to;
    for (const Tensor& tensor : given) from.push_back(const_cast<std::byte*>(tensor.data()));  // only read
    std::vector<Tensor> results;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      results.emplace_back(outputs[i].dtype, plan->output_shapes[i]);
      to.push_back(results.back().data());
    }
    plan->execute(stream, arena.data(), from, to, seconds);
    stream.wait();
    if (used != nullptr) *used = plan;
    return results;
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
    SIGHTLINE_TRY(state->program.graph, folded_graph(graph));
    SIGHTLINE_CHECK(compute_constant_nodes(state->program.graph));
    state->program.chains = chains_of(state->program.graph);
    state->inputs = state->program.graph.inputs;
    SIGHTLINE_TRY(const auto values, graph::infer_shapes(state->program.graph));
    for (const graph::ValueInfo& output : state->program.graph.outputs) state->outputs.push_back(values.at(output.name));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(state->program.graph));
    state->flops = static_cast<double>(cost.flops);
    SIGHTLINE_TRY([[maybe_unused]] const Made* made, state->plan_of(1));
    return Session(std::move(state));
  });
}

const std::vector<graph::ValueInfo>& Session::inputs() const { return state_->inputs; }
const std::vector<graph::ValueInfo>& Session::outputs() const { return state_->outputs; }

Result<std::vector<Tensor>> Session::run(std::span<const Tensor> inputs) {
  return guarded<std::vector<Tensor>>("running", [&] { return state_->run(inputs, nullptr, nullptr); });
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
  memory.arena = state_->arena.defined() ? state_->arena.byte_count() : 0;
  return memory;
}

Result<std::vector<NodeTime>> Session::profile(std::span<const Tensor> inputs) {
  return guarded<std::vector<NodeTime>>("profiling", [&]() -> Result<std::vector<NodeTime>> {
    Plan* plan = nullptr;
    std::vector<double> seconds;
    SIGHTLINE_CHECK([&]() -> Result<void> {
      auto results = state_->run(inputs, &plan, &seconds);
      return results.ok() ? Result<void>{} : Result<void>{results.error()};
    }());
    std::vector<NodeTime> times;
    for (std::size_t i = 0; i < plan->steps.size(); ++i) times.push_back({plan->steps[i].name, plan->steps[i].op_type, seconds[i]});
    return times;
  });
}

}  // namespace sightline::runtime
