#include "runtime/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/machine.h"
#include "base/text.h"
#include "runtime/guarded.h"
#include "runtime/lane.h"
#include "runtime/operators.h"
#include "runtime/program.h"
#include "runtime/scheduler.h"
#include "runtime/signature.h"
#include "runtime/ways.h"
#include "runtime/weights.h"

namespace sightline::runtime {
namespace {

// Batch sizes whose measured times are remembered.
constexpr std::size_t kept_choices = 64;

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

// What a plan that is executed reads.
void arrange_constants(const Plan& plan, WeightStore& weights) {
  for (const Buffer& buffer : plan.buffers)
    if (buffer.arranged != nullptr) weights.arrange(*buffer.arranged);
}

// Nodes whose inputs are all constant are computed once, by a plan of their own.
Result<void> compute_constant_nodes(graph::Graph& graph) {
  const std::set<std::string> kept = integer_weights(graph);
  std::vector<graph::Node> left;
  for (graph::Node& node : graph.nodes) {
    bool constant = !node.inputs.empty() && node.outputs.size() == 1;
    for (const std::string& input : node.inputs) constant = constant && (input.empty() || graph.initializers.contains(input));
    for (const graph::ValueInfo& output : graph.outputs) constant = constant && output.name != node.outputs[0];
    constant = constant && !kept.contains(node.outputs[0]);
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
    arrange_constants(plan, weights);
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

// Of convolutions and of the constant sides of matrix products.
std::size_t weight_bytes(const graph::Graph& graph) {
  std::size_t bytes = 0;
  for (const graph::Node& node : graph.nodes) {
    constexpr std::string_view weighted[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
    if (std::ranges::count(weighted, node.op_type) == 0 || node.inputs.size() < 2) continue;
    const auto weight = graph.initializers.find(node.inputs[1]);
    if (weight != graph.initializers.end()) bytes += weight->second.byte_count();
  }
  return bytes;
}

}  // namespace

struct Session::State {
  Program program;
  std::vector<graph::ValueInfo> inputs, outputs;
  int threads = 1;                  // at most
  double flops = 0;                 // for one image
  bool images_independent = false;  // so that a batch may be cut into pieces,
  std::int64_t at_once = 1;         // each plan of which, when it is for one thread, takes so many images

  std::mutex planning;  // held while a plan is made, which may take a second
  WeightStore weights;  // changes under `planning`, as does
  // the plan for one image, which shows when the session is made whether it can run; its weights are not arranged before it does.
  std::optional<Planned> draft;

  std::mutex mutex;                        // of what follows, for moments
  std::list<Planned> plans;                // the last used one first
  std::map<std::int64_t, Choice> choices;  // by batch size
  Lanes lanes;

  ~State() { flush_primitive_cache(); }

  std::optional<Planned> find_plan(std::int64_t batch, int using_threads) {
    const std::lock_guard lock(mutex);
    for (auto it = plans.begin(); it != plans.end(); ++it) {
      if (it->batch != batch || it->threads != using_threads) continue;
      plans.splice(plans.begin(), plans, it);
      return plans.front();
    }
    return std::nullopt;
  }

  Result<Planned> make_plan(std::int64_t batch, int using_threads) {
    const ThreadScope scope(using_threads);
    SIGHTLINE_TRY(Plan plan, plan_for(program, weights, batch));
    return Planned{std::make_shared<const Plan>(std::move(plan)), batch, using_threads};
  }

  // Ready to be executed.
  Result<Planned> plan_of(std::int64_t batch, int using_threads) {
    if (auto found = find_plan(batch, using_threads)) return *found;
    const std::lock_guard one_at_a_time(planning);
    if (auto found = find_plan(batch, using_threads)) return *found;  // somebody else was quicker
    if (!draft || draft->batch != batch || draft->threads != using_threads) {
      SIGHTLINE_TRY(draft, make_plan(batch, using_threads));
    }
    const Planned planned = *std::exchange(draft, std::nullopt);
    {
      const ThreadScope scope(threads);
      arrange_constants(*planned.plan, weights);
    }
    const std::lock_guard lock(mutex);
    plans.push_front(planned);
    if (plans.size() > kept_plans) plans.pop_back();
    return planned;
  }

  Ways ways(std::int64_t batch) const {
    Ways ways = ways_for(flops * static_cast<double>(batch), batch, threads, images_independent);
    // A plan for the whole batch would be other kernels and much memory, to be no faster.
    if (images_independent && batch > at_once && ways.rule != Way::together && ways.other == Way::together) ways.other = ways.rule;
    return ways;
  }

  // What the next run of this batch size shall do.
  std::pair<Ways, Choice::Next> next(std::int64_t batch) {
    const bool crowded = Scheduler::shared().crowded();
    const std::lock_guard lock(mutex);
    auto found = choices.find(batch);
    if (found == choices.end()) {
      if (choices.size() >= kept_choices) choices.clear();
      found = choices.emplace(batch, Choice(ways(batch))).first;
    }
    return {found->second.ways(), found->second.next(crowded)};
  }

  template <class Tell>
  void tell(std::int64_t batch, Tell what) {
    const std::lock_guard lock(mutex);
    if (const auto found = choices.find(batch); found != choices.end()) what(found->second);
  }

  // For the whole batch, of which `planned` computes a part.
  std::vector<Tensor> make_outputs(const Planned& planned, std::int64_t batch) const {
    std::vector<Tensor> results;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      Shape shape = planned.plan->output_shapes[i];
      if (planned.batch != batch) shape[0] = batch;
      results.emplace_back(outputs[i].dtype, shape);
    }
    return results;
  }

  // Images [begin, begin + planned.batch) of the tensors; all of them when they do not carry the batch.
  void execute(const Planned& planned, std::span<const Tensor> given, std::span<Tensor> results, std::int64_t begin, std::int64_t batch,
               std::vector<double>* seconds = nullptr) {
    const auto part = [&](const Tensor& tensor) {
      const std::size_t skipped = begin == 0 ? 0 : tensor.byte_count() / static_cast<std::size_t>(batch) * static_cast<std::size_t>(begin);
      return const_cast<std::byte*>(tensor.data()) + skipped;  // inputs are only read
    };
    std::vector<std::byte*> from, to;
    for (const Tensor& tensor : given) from.push_back(part(tensor));
    for (const Tensor& tensor : results) to.push_back(part(tensor));
    std::unique_ptr<Lane> lane = lanes.take();
    lane->execute(planned, from, to, seconds);
    lanes.give_back(std::move(lane));  // a lane in which something was thrown is not used again
  }

  Result<std::vector<Tensor>> run_whole(std::span<const Tensor> given, std::int64_t batch, int using_threads) {
    SIGHTLINE_TRY(const Planned planned, plan_of(batch, using_threads));
    std::vector<Tensor> results = make_outputs(planned, batch);
    Scheduler::shared().together(using_threads, [&] { execute(planned, given, results, 0, batch); });
    return results;
  }

  Result<std::vector<Tensor>> run_pieces(std::span<const Tensor> given, std::int64_t batch, std::int64_t pieces) {
    struct Part {
      Planned planned;
      std::int64_t begin = 0;
    };
    std::vector<std::vector<Part>> parts(static_cast<std::size_t>(pieces));  // of each piece
    std::int64_t begin = 0;
    for (std::int64_t i = 0; i < pieces; ++i) {
      const std::int64_t end = begin + batch / pieces + (i < batch % pieces ? 1 : 0);
      // Turns as long as each other: another length needs a plan, perhaps weights, of its own.
      for (std::int64_t turns = std::max<std::int64_t>((2 * (end - begin) + at_once) / (2 * at_once), 1); begin < end; --turns) {
        SIGHTLINE_TRY(Planned planned, plan_of((end - begin + turns - 1) / turns, 1));
        const std::int64_t images = planned.batch;
        parts[static_cast<std::size_t>(i)].push_back({std::move(planned), begin});
        begin += images;
      }
    }
    std::vector<Tensor> results = make_outputs(parts[0][0].planned, batch);
    Scheduler::shared().side_by_side(parts.size(), [&](std::size_t i) {
      for (const Part& part : parts[i]) execute(part.planned, given, results, part.begin, batch);
    });
    return results;
  }

  Result<std::vector<Tensor>> run_in(Way way, const Ways& ways, std::span<const Tensor> given, std::int64_t batch) {
    if (way == Way::pieces) return run_pieces(given, batch, ways.threads);
    if (way == Way::alone && images_independent && batch > at_once) return run_pieces(given, batch, 1);
    return run_whole(given, batch, way == Way::together ? ways.threads : 1);
  }

  Result<std::vector<Tensor>> run(std::span<const Tensor> given) {
    SIGHTLINE_TRY(const std::int64_t batch, batch_of(inputs, given));
    const auto [ways, todo] = next(batch);
    if (todo.action == Choice::Action::compare) return compare(ways, given, batch);
    if (ways.other == ways.rule) return run_in(ways.rule, ways, given, batch);
    Scheduler& scheduler = Scheduler::shared();
    const std::uint64_t begun = scheduler.begun();
    const auto start = std::chrono::steady_clock::now();
    auto results = run_in(todo.way, ways, given, batch);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!results.ok() || scheduler.begun() != begun + 1 || scheduler.crowded()) return results;
    std::optional<Way> loser;
    tell(batch, [&loser, way = todo.way, seconds](Choice& choice) { loser = choice.timed(way, seconds); });
    if (loser) forget(*loser, ways, batch);
    return results;
  }

  // Both ways on the same images. The rule's answer is what the caller gets, whatever happens to the other.
  Result<std::vector<Tensor>> compare(const Ways& ways, std::span<const Tensor> given, std::int64_t batch) {
    bool same = false;
    auto results = guarded<std::vector<Tensor>>("running", [&] { return run_in(ways.rule, ways, given, batch); });
    if (results.ok()) {
      lanes.release_arenas();  // both ways' arenas at once would be more than either needs
      const auto others = guarded<std::vector<Tensor>>("running", [&] { return run_in(ways.other, ways, given, batch); });
      same = others.ok() && std::ranges::equal(*results, *others, [](const Tensor& a, const Tensor& b) { return a.same_as(b); });
    }
    tell(batch, [&](Choice& choice) { choice.compared(same); });
    if (!same) forget(ways.other, ways, batch);
    return results;
  }

  // Lets go what one way of computing a batch has allocated, unless another batch size has it too. Lanes in use keep their copies until
  // these are pushed out.
  void forget(Way way, const Ways& ways, std::int64_t batch) {
    if (way == Way::pieces) return;  // plans for small batches are wanted for themselves
    const std::lock_guard lock(mutex);
    for (auto it = plans.begin(); it != plans.end(); ++it) {
      if (it->batch != batch || it->threads != (way == Way::together ? ways.threads : 1)) continue;
      lanes.forget(it->plan.get());
      plans.erase(it);
      return;
    }
  }

  Result<std::vector<NodeTime>> profile(std::span<const Tensor> given) {
    SIGHTLINE_TRY(const std::int64_t batch, batch_of(inputs, given));
    const Ways ways = this->ways(batch);
    const bool apart = images_independent && ways.rule != Way::together && batch > at_once;
    const std::int64_t images = apart ? at_once : batch;
    const int useful = apart || ways.rule == Way::alone ? 1 : ways.threads;
    SIGHTLINE_TRY(const Planned planned, plan_of(images, useful));
    std::vector<Tensor> results = make_outputs(planned, batch);
    std::vector<NodeTime> times;
    for (const Step& step : planned.plan->steps) times.push_back({step.name, step.op_type, 0});
    std::int64_t done = 0;
    for (; done + images <= batch; done += images) {
      std::vector<double> seconds;
      Scheduler::shared().together(useful, [&] { execute(planned, given, results, done, batch, &seconds); });
      for (std::size_t i = 0; i < seconds.size(); ++i) times[i].seconds += seconds[i];
    }
    // What is left over runs a plan of its own, with other steps: taken as the same for each image.
    for (NodeTime& time : times) time.seconds *= static_cast<double>(batch) / static_cast<double>(done);
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
    const Ways ways = state->ways(1);
    SIGHTLINE_TRY(state->draft, state->make_plan(1, ways.rule == Way::alone ? 1 : ways.threads));
    state->at_once = images_at_once(state->draft->plan->arena_bytes(), weight_bytes(state->program.graph), state->flops);
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
  {
    const std::lock_guard lock(state_->planning);
    memory.weights = state_->weights.bytes();
  }
  for (const auto& [name, tensor] : state_->program.graph.initializers) memory.weights += tensor.byte_count();
  memory.arena = state_->lanes.bytes();
  return memory;
}

Result<std::vector<NodeTime>> Session::profile(std::span<const Tensor> inputs) {
  return guarded<std::vector<NodeTime>>("profiling", [&] { return state_->profile(inputs); });
}

}  // namespace sightline::runtime
