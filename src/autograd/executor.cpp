#include "autograd/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "autograd/fuse.h"
#include "autograd/operators.h"
#include "base/text.h"

namespace sightline::autograd {
namespace {

// What one set of wanted values needs, in order.
struct Plan {
  struct Step {
    Kernel run;
    std::vector<std::size_t> released;  // slots that nobody reads after it
  };
  std::vector<Step> steps;
  std::vector<std::size_t> wanted;
};

bool learned(graph::Role role) { return role == graph::Role::weight || role == graph::Role::bias || role == graph::Role::scale; }
bool running(graph::Role role) { return role == graph::Role::running_mean || role == graph::Role::running_variance; }

}  // namespace

struct Executor::State {
  graph::Graph graph;
  Options options;
  std::map<std::string, graph::Role> roles;
  std::map<std::string, graph::ValueInfo> shapes;
  std::map<std::string, std::size_t> slot_of;
  std::vector<std::pair<std::string, torch::Tensor>> parameters, statistics;
  std::map<std::vector<std::string>, Plan> plans;
  std::vector<torch::Tensor> slots;
  at::Generator generator = at::detail::createCPUGenerator(0);

  Result<Plan> plan(const std::vector<std::string>& wanted) const;
  std::vector<bool> overwritable(const graph::Node& node, const std::map<std::string, int>& readers,
                                 const std::map<std::string, const graph::Node*>& producer) const;
};

std::vector<bool> Executor::State::overwritable(const graph::Node& node, const std::map<std::string, int>& readers,
                                                const std::map<std::string, const graph::Node*>& producer) const {
  std::vector<bool> may(node.inputs.size(), false);
  const auto result = shapes.find(node.outputs.empty() ? "" : node.outputs[0]);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const auto made_by = producer.find(node.inputs[i]);
    const auto shape = shapes.find(node.inputs[i]);
    if (made_by == producer.end() || shape == shapes.end() || result == shapes.end()) continue;
    const Operator* op = find_operator(made_by->second->op_type);
    may[i] = op != nullptr && op->fresh && readers.at(node.inputs[i]) == 1 && shape->second.dtype == result->second.dtype &&
             shape->second.shape == result->second.shape;
  }
  return may;
}

Result<Plan> Executor::State::plan(const std::vector<std::string>& wanted) const {
  // Backwards from what is wanted.
  std::set<std::string> needed(wanted.begin(), wanted.end());
  std::vector<graph::Node> nodes;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::none_of(node->outputs.begin(), node->outputs.end(), [&](const std::string& each) { return needed.contains(each); })) continue;
    nodes.push_back(*node);
    needed.insert(node->inputs.begin(), node->inputs.end());
  }
  std::reverse(nodes.begin(), nodes.end());
  nodes = fuse_norms(std::move(nodes), wanted, shapes);
  std::map<std::string, const graph::Node*> producer;
  for (const graph::Node& node : nodes)
    for (const std::string& output : node.outputs)
      if (!output.empty()) producer[output] = &node;

  std::map<std::string, int> readers;
  std::map<std::string, std::size_t> last_reader;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& input : nodes[i].inputs) {
      ++readers[input];
      last_reader[input] = i;
    }
  }
  for (const std::string& name : wanted) ++readers[name];

  Plan plan;
  std::set<std::string> made;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const graph::Node& node = nodes[i];
    for (const std::string& input : node.inputs) {
      const bool given = input.empty() || graph.initializers.contains(input) ||
                         std::any_of(graph.inputs.begin(), graph.inputs.end(), [&](const auto& each) { return each.name == input; });
      if (!given && !made.contains(input))
        return Error{ErrorKind::internal, fmt::format("node \"{}\" ({}) reads \"{}\" before it is made", node.name, node.op_type, input)};
    }
    made.insert(node.outputs.begin(), node.outputs.end());
    const Operator* op = find_operator(node.op_type);
    if (op == nullptr || !(node.domain.empty() || node.domain == "ai.onnx")) {
      return Error{ErrorKind::unsupported,
                   fmt::format("node \"{}\": the operator {}{}{} cannot be trained{}", node.name, node.domain,
                               node.domain.empty() ? "" : ".", node.op_type, did_you_mean(node.op_type, supported_operators()))};
    }
    Site site{.node = node, .graph = graph, .inputs = {}, .outputs = {}, .overwritable = overwritable(node, readers, producer)};
    site.batch_norm_momentum = options.batch_norm_momentum;
    site.values = &shapes;
    site.bf16 = options.bf16;
    site.frozen = node.inputs.size() > 1 && options.frozen.contains(node.inputs[1]);
    for (const std::string& input : node.inputs) site.inputs.push_back(input.empty() ? -1 : static_cast<int>(slot_of.at(input)));
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      const bool read = !node.outputs[k].empty() && (k == 0 || readers.contains(node.outputs[k]));
      site.outputs.push_back(read ? static_cast<int>(slot_of.at(node.outputs[k])) : -1);
    }
    for (int k = 0; k < op->least_inputs; ++k)
      if (site.in(static_cast<std::size_t>(k)) < 0) return site.invalid(fmt::format("input {} is missing", k));
    if (site.out() < 0) return site.invalid("the first output is missing");
    SIGHTLINE_TRY(Kernel kernel, op->compile(site));

    Plan::Step step{std::move(kernel), {}};
    for (const std::string& input : std::set<std::string>(node.inputs.begin(), node.inputs.end())) {
      const bool computed = producer.contains(input);
      const bool kept = std::find(wanted.begin(), wanted.end(), input) != wanted.end();
      if (computed && !kept && last_reader.at(input) == i) step.released.push_back(slot_of.at(input));
    }
    plan.steps.push_back(std::move(step));
  }
  for (const std::string& name : wanted) plan.wanted.push_back(slot_of.at(name));
  return plan;
}

Result<Executor> Executor::create(const graph::Graph& graph, const Options& options) {
  SIGHTLINE_CHECK(graph::check(graph));
  auto state = std::make_shared<State>();
  state->graph = graph;
  state->options = options;
  state->roles = graph::roles_of(graph);
  SIGHTLINE_TRY(state->shapes, graph::infer_shapes(graph));

  const auto add_slot = [&](const std::string& name) {
    if (!name.empty()) state->slot_of.emplace(name, state->slot_of.size());
  };
  for (const graph::ValueInfo& input : graph.inputs) add_slot(input.name);
  for (const auto& [name, tensor] : graph.initializers) add_slot(name);
  for (const graph::Node& node : graph.nodes)
    for (const std::string& output : node.outputs) add_slot(output);

  state->slots.resize(state->slot_of.size());
  for (const auto& [name, tensor] : graph.initializers) {
    torch::Tensor value = to_torch(tensor);
    const auto found = state->roles.find(name);
    const graph::Role role = found == state->roles.end() ? graph::Role::constant : found->second;
    if (learned(role) && value.is_floating_point()) {
      value.set_requires_grad(!options.frozen.contains(name));
      state->parameters.emplace_back(name, value);
    } else if (running(role)) {
      state->statistics.emplace_back(name, value);
    }
    state->slots[state->slot_of.at(name)] = value;
  }

  // Everything that can be asked for is compiled once, so that what cannot run is known now.
  std::vector<std::string> all;
  for (const graph::ValueInfo& output : graph.outputs) all.push_back(output.name);
  all.insert(all.end(), graph.training_outputs.begin(), graph.training_outputs.end());
  SIGHTLINE_TRY(Plan whole, state->plan(all));
  state->plans.emplace(std::move(all), std::move(whole));

  Executor executor;
  executor.state_ = std::move(state);
  return executor;
}

std::vector<std::pair<std::string, torch::Tensor>>& Executor::parameters() { return state_->parameters; }
std::vector<std::pair<std::string, torch::Tensor>>& Executor::statistics() { return state_->statistics; }
graph::Role Executor::role_of(const std::string& parameter) const {
  const auto found = state_->roles.find(parameter);
  return found == state_->roles.end() ? graph::Role::constant : found->second;
}

std::vector<torch::Tensor> Executor::forward(const std::vector<torch::Tensor>& inputs, const std::vector<std::string>& wanted,
                                             bool training) {
  State& state = *state_;
  auto found = state.plans.find(wanted);
  if (found == state.plans.end()) {
    for (const std::string& name : wanted) TORCH_CHECK(state.slot_of.contains(name), "no value of the graph is called ", name);
    auto plan = state.plan(wanted);
    TORCH_CHECK(plan.ok(), plan.error().message);
    found = state.plans.emplace(wanted, *std::move(plan)).first;
  }
  const Plan& plan = found->second;
  TORCH_CHECK(inputs.size() == state.graph.inputs.size(), "the graph has ", state.graph.inputs.size(), " inputs and ", inputs.size(),
              " were given");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool pictures = inputs[i].dim() == 4 && inputs[i].is_floating_point();
    state.slots[state.slot_of.at(state.graph.inputs[i].name)] =
        pictures ? inputs[i].contiguous(torch::MemoryFormat::ChannelsLast) : inputs[i];
  }
  Frame frame{state.slots, training, &state.generator};
  for (const Plan::Step& step : plan.steps) {
    step.run(frame);
    for (const std::size_t slot : step.released) state.slots[slot].reset();
  }
  std::vector<torch::Tensor> values;
  values.reserve(plan.wanted.size());
  for (const std::size_t slot : plan.wanted) values.push_back(state.slots[slot]);
  for (const std::size_t slot : plan.wanted) {
    const bool computed = slot >= state.graph.inputs.size() + state.graph.initializers.size();
    if (computed) state.slots[slot].reset();
  }
  return values;
}

void Executor::seed_dropout(std::uint64_t seed) { state_->generator.set_current_seed(seed); }

graph::Graph Executor::to_graph() const {
  graph::Graph graph = state_->graph;
  for (const auto* list : {&state_->parameters, &state_->statistics})
    for (const auto& [name, tensor] : *list) graph.initializers.at(name) = from_torch(tensor);
  return graph;
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> names;
  for (const Operator& each : operators())
    if (!each.internal) names.emplace_back(each.name);
  return names;
}

}  // namespace sightline::autograd
