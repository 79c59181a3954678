// Runs a graph with LibTorch, forward and backward: how a graph is trained. With training/, the only place that includes LibTorch.
//
// The node list is compiled once per set of wanted values into closures over slots; a step looks nothing up by name. Values keep
// LibTorch's channels-last layout from the input on (its oneDNN convolutions then reorder nothing); layouts are invisible to callers.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace sightline::autograd {

struct Options {
  // Share of the new batch in the running statistics. The attribute of the nodes is not read: imported graphs carry what their exporter
  // felt like. The running variance takes the unbiased batch variance (n - 1), as LibTorch does, because it stands for the population;
  // ONNX's training_mode would take the biased one.
  double batch_norm_momentum = 0.1;
  // Initializers that stay as they are: they get no gradient, and a BatchNormalization whose scale is among them keeps its running
  // statistics and normalises by them, also in training.
  std::set<std::string> frozen;
  // Convolutions of sixteen channels and more multiply in bf16 (f32 sums, weights and everything else), several times faster where the
  // processor has AMX.
  bool bf16 = false;
};

class Executor {
 public:
  // Errors: unsupported names node and operator; invalid_data.
  static Result<Executor> create(const graph::Graph& graph, const Options& options = {});

  // Learned parameters (roles weight, bias, scale) by initializer name, in the order of the names; they require gradients unless
  // they are frozen. A caller may move them into its own memory with set_data (same shape).
  std::vector<std::pair<std::string, torch::Tensor>>& parameters();
  // Running statistics by initializer name.
  std::vector<std::pair<std::string, torch::Tensor>>& statistics();
  graph::Role role_of(const std::string& parameter) const;

  // training: batch statistics in BatchNormalization (running ones are updated), Dropout active.
  // Values that are asked for, by name (outputs or training outputs); inputs by the graph's order. Only what they need is computed.
  // Throws c10::Error when shapes do not fit or a name is no output, like LibTorch itself.
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& inputs, const std::vector<std::string>& wanted, bool training);

  // Dropout masks of the next forward passes are drawn from this seed alone.
  void seed_dropout(std::uint64_t seed);

  // The graph with parameters and running statistics written back.
  graph::Graph to_graph() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

torch::Tensor to_torch(const Tensor& tensor);    // copies
Tensor from_torch(const torch::Tensor& tensor);  // copies, contiguous

std::vector<std::string> supported_operators();  // sorted

}  // namespace sightline::autograd
