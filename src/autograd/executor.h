// Runs a graph with LibTorch, forward and backward: how a graph is trained. With training/, the only place that includes LibTorch.
#pragma once

#include <torch/torch.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::autograd {

struct Options {
  float batch_norm_momentum = 0.1F;  // share of the new batch in the running statistics
};

class Executor {
 public:
  // Errors: unsupported names node and operator; invalid_data.
  static Result<Executor> create(const graph::Graph& graph, const Options& options = {});

  // Learned parameters (roles weight, bias, scale) by initializer name; they require gradients.
  std::vector<std::pair<std::string, torch::Tensor>>& parameters();
  // Running statistics by initializer name.
  std::vector<std::pair<std::string, torch::Tensor>>& statistics();

  // training: batch statistics in BatchNormalization (running ones are updated), Dropout active.
  // Values that are asked for, by name (outputs or training outputs); inputs by the graph's order.
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& inputs, const std::vector<std::string>& wanted, bool training);

  // The graph with parameters and running statistics written back.
  graph::Graph to_graph() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

torch::Tensor to_torch(const Tensor& tensor);    // copies
Tensor from_torch(const torch::Tensor& tensor);  // copies, contiguous

std::vector<std::string> supported_operators();

}  // namespace sightline::autograd
