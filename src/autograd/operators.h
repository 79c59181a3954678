// The operator table of the training engine: one row per ONNX operator, each a function that looks at a node once and gives back a
// closure that runs it. Internal to autograd/.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::autograd {

// What a running closure sees. Slots hold values; an empty tensor is one that was left out or is released.
struct Frame {
  std::vector<torch::Tensor>& slots;
  bool training = false;
  at::Generator* dropout_generator = nullptr;
};
using Kernel = std::function<void(Frame&)>;

// A node at its place in the graph, while it is compiled.
struct Site {
  const graph::Node& node;
  const graph::Graph& graph;
  std::vector<int> inputs;   // slots; -1: left out
  std::vector<int> outputs;  // slots; -1: nobody reads it
  // Per input: nobody else reads it, it is fresh memory, its producer does not need it for the backward pass, and it has the shape and
  // dtype of the first output. The closure may write its result there.
  std::vector<bool> overwritable;
  double batch_norm_momentum = 0.1;

  int in(std::size_t i) const { return i < inputs.size() ? inputs[i] : -1; }
  int out() const { return outputs.empty() ? -1 : outputs[0]; }
  bool may_overwrite(std::size_t i) const { return i < overwritable.size() && overwritable[i]; }
  // The initializer behind input i; nullptr when it is computed or left out.
  const Tensor* constant(std::size_t i) const;
  // Integers of a constant input (i64 or i32), for shapes, axes and pads. Error unsupported when they are computed.
  Result<std::vector<std::int64_t>> integers(std::size_t i, const char* what) const;
  // axes as input i, or as the attribute of older opsets; nothing when neither is there.
  Result<std::optional<std::vector<std::int64_t>>> axes(std::size_t i) const;
  Result<std::optional<double>> scalar(std::size_t i, const char* what) const;
  Error unsupported(const std::string& what) const;
  Error invalid(const std::string& what) const;
};

using Compile = Result<Kernel> (*)(const Site& site);
struct Operator {
  const char* name;
  int least_inputs;
  Compile compile;
  bool fresh = false;     // its output is new memory that its backward pass does not read: the next node may write over it
  bool internal = false;  // no operator of ONNX: fuse.h makes it
};

const Operator* find_operator(const std::string& name);
std::span<const Operator> operators();

// operators_convolution.cpp
Result<Kernel> compile_conv(const Site& site);
Result<Kernel> compile_conv_transpose(const Site& site);
// operators_pooling.cpp
Result<Kernel> compile_max_pool(const Site& site);
Result<Kernel> compile_average_pool(const Site& site);
// operators_normalisation.cpp
Result<Kernel> compile_batch_normalization(const Site& site);
Result<Kernel> compile_fused_norm(const Site& site);
Result<Kernel> compile_dropout(const Site& site);
// operators_shape.cpp
Result<Kernel> compile_flatten(const Site& site);
Result<Kernel> compile_reshape(const Site& site);
Result<Kernel> compile_transpose(const Site& site);
Result<Kernel> compile_concat(const Site& site);
Result<Kernel> compile_pad(const Site& site);
Result<Kernel> compile_squeeze(const Site& site);
Result<Kernel> compile_unsqueeze(const Site& site);
Result<Kernel> compile_cast(const Site& site);
Result<Kernel> compile_reduce_mean(const Site& site);

// Windows that slide over the spatial axes, as ONNX describes them (Conv, pools).
struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, begin, end;  // begin, end: pads
  enum class Auto { none, same_upper, same_lower, valid } automatic = Auto::none;

  bool symmetric() const { return begin == end; }
  // Pads for these spatial sizes (fixed ones, or those of SAME_UPPER and SAME_LOWER).
  void resolve(torch::IntArrayRef sizes, std::vector<std::int64_t>& out_begin, std::vector<std::int64_t>& out_end) const;
};
Result<Window> read_window(const Site& site, std::vector<std::int64_t> kernel);

// begin and end per axis, from the first padded axis on → LibTorch's order (last axis first).
std::vector<std::int64_t> torch_pads(const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& end);

}  // namespace sightline::autograd
